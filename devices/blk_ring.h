/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a ring of io_uring that is restricted to the operations that a disk's queue needs.
 *
 * A system call filter does not see the operations of a ring, and an unrestricted one opens files
 * and connects sockets. So restrictions are set before it is enabled, and nobody can change them
 * afterwards (Linux 5.10; an older kernel's rings are not used).
 */
#ifndef UMBRA_DEVICES_BLK_RING_H
#define UMBRA_DEVICES_BLK_RING_H

#include <liburing.h>

/*
 * Makes a ring with room for @entries, and has it carry out one operation. It allows nop, readv,
 * writev, fsync, poll_add and async_cancel, without flags. One thread at a time may use it, not
 * only the one that opened it: a queue's thread ends at a reset, its ring does not. -errno: the
 * kernel has no such rings, or a sandbox forbids them. io_uring_queue_exit() ends it.
 */
int blk_ring_open(struct io_uring *ring, unsigned entries);
/* Returns true if a completion is there, or will be when the ring is entered. No system call. */
bool blk_ring_ready(const struct io_uring *ring);

#endif
