/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One queue of a block device, and the thread that serves it while the driver is ready.
 *
 * With io_uring many requests are in flight, and one system call both submits and waits, for
 * completions as for the driver's kick. Where the kernel has no io_uring or a sandbox forbids it,
 * the same thread does one request after the other. Which of the two is found out when the queue is
 * created, by a ring that completes something: that a ring can be made does not mean that it may be
 * used. The ring lives as long as the queue: no system call that makes or configures one is needed
 * once a guest runs.
 *
 * A stop is bounded, whatever the guest has asked for. Requests are transferred in pieces of BLK_PIECE
 * bytes; a stop cancels the pieces that the kernel has not begun, waits for those that it has, and
 * drops the rest of their requests, unanswered: the driver has given the queue up. What nobody can
 * bound is one system call in the host's kernel, on a disk that does not answer or in a flush.
 */
#ifndef UMBRA_DEVICES_BLK_QUEUE_H
#define UMBRA_DEVICES_BLK_QUEUE_H

#include "devices/blk_image.h"
#include "devices/blk_stats.h"
#include "devices/virtio.h"

struct blk_queue;

struct blk_queue_config {
	struct blk_image *image;
	struct blk_stats *stats; /* the queue's */
	const char *id;		 /* 20 bytes */
	unsigned index;
	unsigned queues;  /* of the device: as many threads may want a CPU */
	bool aio_threads; /* without io_uring */
};

/* @c is copied, what it points to is borrowed. -ENOMEM. */
int blk_queue_create(struct blk_queue **out, const struct blk_queue_config *c);
/* It is stopped. NULL allowed. */
void blk_queue_destroy(struct blk_queue *q);

/* Serve the queue of @v, which the driver has enabled. @durable: every write is flushed. -errno. */
int blk_queue_start(struct blk_queue *q, struct virtio *v, bool durable);
/*
 * Stop it, in two steps, so that the queues of a device end at the same time: the first returns at
 * once, the second when nothing is in flight any more. Both do nothing if it was not started.
 */
void blk_queue_stop_begin(struct blk_queue *q);
void blk_queue_stop_wait(struct blk_queue *q);

#endif
