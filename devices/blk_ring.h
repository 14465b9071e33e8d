/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A ring of io_uring that can do nothing but what a disk's queue needs. A system call filter does not
 * see what is asked of a ring, and one as it comes from the kernel opens files and connects sockets.
 * So its restrictions are set before it is enabled (Linux 5.10; an older kernel's rings are not used),
 * and cannot be changed any more, by nobody.
 */
#ifndef UMBRA_DEVICES_BLK_RING_H
#define UMBRA_DEVICES_BLK_RING_H

#include <liburing.h>

/*
 * A ring with room for @entries, which has carried out one operation already: readv, writev, fsync,
 * poll_add and async_cancel are what there is, without flags. It may be used by another thread than
 * the one that opened it, by one at a time: a queue's thread ends at a reset, its ring does not.
 * -errno: the kernel has no such rings, or a sandbox forbids them. Ended by io_uring_queue_exit().
 */
int blk_ring_open(struct io_uring *ring, unsigned entries);
/* Is there a completion to be seen, or one that the kernel shows to who enters it? No system call. */
bool blk_ring_ready(const struct io_uring *ring);

#endif
