/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The thread that serves one queue of a block device.
 *
 * With io_uring many requests are in flight, and one system call both submits and waits, for
 * completions as for the driver's kick. Where the kernel has no io_uring or a sandbox forbids it,
 * the same thread does one request after the other. Which of the two is found out when the thread
 * starts, by a ring that completes something: that a ring can be made does not mean that it may be
 * used.
 */
#ifndef UMBRA_DEVICES_BLK_QUEUE_H
#define UMBRA_DEVICES_BLK_QUEUE_H

#include "devices/blk_image.h"
#include "devices/blk_stats.h"
#include "devices/virtio.h"

struct blk_queue;

struct blk_queue_config {
	struct virtio *v;
	unsigned index;
	struct blk_image *image;
	struct blk_stats *stats; /* the queue's */
	const char *id;		 /* 20 bytes */
	bool durable;		 /* every write is flushed */
	bool one_by_one;	 /* without io_uring */
};

/* @c is copied, what it points to is borrowed. -errno: no memory, no thread. */
int blk_queue_start(struct blk_queue **out, const struct blk_queue_config *c);
/* Returns when nothing is in flight any more; frees. NULL allowed. */
void blk_queue_stop(struct blk_queue *q);

#endif
