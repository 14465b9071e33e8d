/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Closes the descriptors that the process was started with, and opens missing standard ones. The
 * parent may have left any open: a file that it forgot to close could be written to by a guest that
 * took over the VMM. Or it closed stderr: then the next file that is opened, a disk perhaps, would
 * get the VMM's messages.
 *
 * They are closed at once, unless the command line may name one: of "--initrd <(...)" the shell
 * makes /dev/fd/63, and there are options that take a descriptor. Then one poll(2) over a thousand
 * numbers tells which are open, and they are closed later, when all that is named has been opened.
 */
#ifndef UMBRA_BASE_DESCRIPTORS_H
#define UMBRA_BASE_DESCRIPTORS_H

#include "base/types.h"

#define DESCRIPTORS_MAX 1024 /* those above are closed without a look */

struct descriptors {
	u64 open[DESCRIPTORS_MAX / 64]; /* from 3 on */
	bool high_closed;		/* those from DESCRIPTORS_MAX on are closed already */
};

/*
 * Closes those from 3 on; if they may be @named, note instead which are open. Those of 0, 1 and 2
 * that are closed become /dev/null. To be called before the process opens anything.
 */
void descriptors_look(struct descriptors *d, bool named);
/*
 * Keeps @fd open over descriptors_close(). -EBADF: it is none of those that descriptors_look() has
 * found, or is kept already.
 */
int descriptors_keep(struct descriptors *d, int fd);
/*
 * Closes those that descriptors_look() has left open: those that it found, from 3 on, and all from
 * DESCRIPTORS_MAX on. Each process for itself.
 */
void descriptors_close(const struct descriptors *d);

#endif
