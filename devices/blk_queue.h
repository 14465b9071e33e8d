/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves one queue of a block device on a thread of its own, while the driver is ready.
 *
 * With io_uring many requests are in flight, and one system call both submits and waits, for
 * completions as for the driver's kick. If the kernel has no io_uring, or a sandbox forbids it, the
 * same thread carries out one request after the other. That is decided when the queue is created,
 * by trying a ring (blk_ring_open()). The ring lives as long as the queue: once a guest runs, no
 * system call that makes or configures one is needed.
 *
 * The time of a stop is bounded, however large the guest's requests are. They are transferred in
 * pieces of BLK_PIECE bytes; a stop cancels the pieces that the kernel has not begun, waits for
 * those that it has, and drops the rest of their requests without an answer: the driver has given
 * the queue up. Only one system call in the host's kernel has no bound, on a disk that does not
 * answer or in a flush.
 */
#ifndef UMBRA_DEVICES_BLK_QUEUE_H
#define UMBRA_DEVICES_BLK_QUEUE_H

#include "devices/blk_image.h"
#include "devices/blk_stats.h"
#include "devices/virtio.h"

struct blk_queue;

/*
 * How transfers are carried out. BLK_AIO_AUTO is what measures best for each:
 *
 * - Of an image in memory, by the queue's thread: it is a copy, which io_uring hands to a thread of
 *   the kernel (seen up to Linux 6.18), at half of the I/Os per second.
 * - A write to the page cache, by the queue's thread while it is a copy: io_uring hands that to a
 *   thread, too, on all file systems but a few (ext4: 0.7 of the I/Os per second). If two in a row
 *   take longer than BLK_COPY_NS and the second has slept, they wait for the limit on dirty pages
 *   or a journal: the next BLK_COPY_PAUSE writes go by the ring, so that reads do not wait. Where
 *   each write waits for a server the ring has several under way.
 * - All others, by the ring.
 *
 * QEMU leaves the choice to its user (aio=threads is its default, of 64 threads, each of which
 * costs a hand-over as io_uring's do); Cloud Hypervisor takes io_uring for all of a disk if the
 * host has it.
 */
enum blk_aio {
	BLK_AIO_URING,	 /* by io_uring, if the host has it */
	BLK_AIO_THREADS, /* by the queue's thread, one after the other */
	BLK_AIO_AUTO,
};

#define BLK_COPY_NS    2000000ULL
#define BLK_COPY_PAUSE 64U

struct blk_queue_config {
	struct blk_image *image;
	struct blk_stats *stats; /* the queue's */
	const char *id;		 /* 20 bytes */
	unsigned index;
	unsigned queues; /* of the device, for vq_pace_init(): each has a thread */
	enum blk_aio aio;
	enum blk_storage storage; /* for BLK_AIO_AUTO: blk_image_storage() */
};

/* Makes a queue, which does not run yet. @c is copied, its pointers are borrowed. -ENOMEM. */
int blk_queue_create(struct blk_queue **out, const struct blk_queue_config *c);
/* Frees a queue that is stopped. NULL allowed. */
void blk_queue_destroy(struct blk_queue *q);

/*
 * Serves its queue of @v, which the driver has enabled. @durable: every write is flushed. -errno.
 */
int blk_queue_start(struct blk_queue *q, struct virtio *v, bool durable);
/*
 * Stops the queue in two steps, so that all queues of a device end at the same time:
 * blk_queue_stop_begin() returns at once, the other one when nothing is in flight any more. Both do
 * nothing if the queue was not started.
 */
void blk_queue_stop_begin(struct blk_queue *q);
void blk_queue_stop_wait(struct blk_queue *q);
/*
 * Returns for how many milliseconds the queue's thread has not ended since it was asked to; 0: it
 * was not asked, or has ended. After a moment that is a system call in the host's kernel. Any
 * thread.
 */
s64 blk_queue_held_ms(const struct blk_queue *q);

#endif
