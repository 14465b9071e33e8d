/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks of a disk's image that QEMU, its tools and other guests of ours understand.
 *
 * QEMU (block/file-posix.c) locks single bytes of the image, all of them shared: byte 100 + P says that
 * its holder does P, byte 200 + P that it bears nobody else who does P. Whoever opens the image takes
 * its bytes, and then looks whether another holds one that contradicts. So readers go together, and a
 * writer goes with nobody, whichever program they are.
 */
#ifndef UMBRA_DEVICES_BLK_LOCK_H
#define UMBRA_DEVICES_BLK_LOCK_H

#include "base/types.h"

/*
 * Locks the image that is open at @fd and, unless that is -1, at @direct: a reader's locks if
 * @readonly, else a writer's. They are held until both descriptors are closed and no transfer by
 * either is in flight. -EBUSY: another has it. A file system without locks is no error.
 */
int blk_lock(int fd, int direct, bool readonly);

#endif
