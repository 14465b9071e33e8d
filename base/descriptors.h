/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The descriptors that a process was started with. Who starts `vmm` may have left any open: a file
 * that it forgot to close, which a guest that took over the VMM could write to; or closed its stderr,
 * so that the next file that is opened, a disk perhaps, gets the VMM's messages.
 *
 * Which are open poll(2) tells of a thousand of them in one system call. They are not closed at once:
 * "--initrd <(...)" names one of them.
 */
#ifndef UMBRA_BASE_DESCRIPTORS_H
#define UMBRA_BASE_DESCRIPTORS_H

#include "base/types.h"

#define DESCRIPTORS_MAX 1024 /* those above stay as they are */

struct descriptors {
	u64 open[DESCRIPTORS_MAX / 64]; /* from 3 on */
};

/* First thing in the process. Of 0, 1 and 2 those that are closed become /dev/null. */
void descriptors_look(struct descriptors *d);
/* Those that were found. */
void descriptors_close(const struct descriptors *d);

#endif
