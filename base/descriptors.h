/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The descriptors that a process was started with. The parent may have left any open: a file that
 * it forgot to close could be written to by a guest that took over the VMM. Or it closed stderr:
 * then the next file that is opened, a disk perhaps, would get the VMM's messages.
 *
 * One poll(2) over a thousand numbers tells which are open. They are closed later, when the
 * command line has been read: "--initrd <(...)" names one of them.
 */
#ifndef UMBRA_BASE_DESCRIPTORS_H
#define UMBRA_BASE_DESCRIPTORS_H

#include "base/types.h"

#define DESCRIPTORS_MAX 1024 /* those above are closed without a look */

struct descriptors {
	u64 open[DESCRIPTORS_MAX / 64]; /* from 3 on */
	bool all_low;			/* few were free: those above are closed already */
};

/*
 * Note which descriptors are open; those of 0, 1 and 2 that are closed become /dev/null. To be
 * called before the process opens anything.
 */
void descriptors_look(struct descriptors *d);
/* Close those that descriptors_look() found, from 3 on, and all from DESCRIPTORS_MAX on. */
void descriptors_close(const struct descriptors *d);

#endif
