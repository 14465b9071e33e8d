/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks a disk's image so that QEMU, its tools and other guests of ours understand it.
 *
 * QEMU (block/file-posix.c) locks single bytes of the image, all of them shared: a lock on byte 100
 * + P says that its holder uses permission P, one on byte 200 + P that it shares P with nobody. A
 * program that opens the image locks its bytes, and then checks whether another holds a
 * contradicting one. So any number of readers can have the image open, or one writer alone.
 */
#ifndef UMBRA_DEVICES_BLK_LOCK_H
#define UMBRA_DEVICES_BLK_LOCK_H

#include "base/types.h"

/*
 * Locks the image that is open at @fd and, unless that is -1, at @direct: with a reader's locks if
 * @readonly, else with a writer's. They are held until both descriptors are closed and no transfer
 * by either is in flight. -EBUSY: another program has the image open. On a file system without
 * locks it returns 0.
 */
int blk_lock(int fd, int direct, bool readonly);

#endif
