/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates a virtio-blk device (virtio 1.2, 5.2) on a raw file or a block device.
 *
 * Each queue has a thread (blk_queue.h), which is started when the driver is ready and joined at a
 * reset: so a reset returns only when no I/O is in flight, after a bounded time. A completed write
 * is in the host's page cache, a completed flush on its disk; for a driver that does not negotiate
 * flushes every write is flushed. An error of the host (no space, a file that was truncated, an I/O
 * error) is an I/O error of the request, nothing else.
 */
#ifndef UMBRA_DEVICES_VIRTIO_BLK_H
#define UMBRA_DEVICES_VIRTIO_BLK_H

#include "base/err.h"
#include "devices/blk_queue.h"
#include "devices/blk_stats.h"
#include "devices/virtio.h"

struct virtio_blk;

struct virtio_blk_params {
	const char *path;
	const char *id; /* the serial number; the guest gets 20 bytes of it at most */
	bool readonly;
	bool direct; /* transfers go past the host's page cache */
	enum blk_aio aio;
	unsigned queues; /* 0: one; at most VIRTIO_MAX_QUEUES are made */
	/* Gets one line for people about an image that may have been cut short. May be NULL. */
	void (*note)(void *arg, const char *line);
	void *arg;
};

/* Opens the image as blk_image_open() does; its errors. Nothing of @c is kept. */
int virtio_blk_create(struct virtio_blk **out, const struct virtio_blk_params *c, struct err *e);
/* Checks the image by blk_image_check(), before the guest starts. @c as for virtio_blk_create(). */
int virtio_blk_check(struct virtio_blk *b, const struct virtio_blk_params *c, struct err *e);
/* Frees the disk, after the struct virtio that uses it. NULL allowed. */
void virtio_blk_destroy(struct virtio_blk *b);

/* Returns the type to create its struct virtio with (virtio.h). */
const struct virtio_type *virtio_blk_type(const struct virtio_blk *b);
/* Tells the disk its struct virtio @v, which was created with @b as its argument. */
void virtio_blk_attach(struct virtio_blk *b, struct virtio *v);

/*
 * Measures the image again, and tells the driver if its size has changed. Returns it in bytes. Any
 * thread but a queue's, which may have to wait for the image's storage and for a reset by the
 * driver.
 */
u64 virtio_blk_refresh(struct virtio_blk *b);
/*
 * Gives the image another size, by blk_image_check_size() and blk_image_truncate(), and tells the
 * driver. -EBUSY: for most of a second the driver's reset of the device has not ended; nothing is
 * done. One call at a time; any thread but a queue's, which may have to wait for the image's
 * storage.
 */
int virtio_blk_resize(struct virtio_blk *b, u64 bytes);
/* Returns the size in bytes that the driver was told last. Any thread. */
u64 virtio_blk_size(const struct virtio_blk *b);
/*
 * Asks the queues' threads to end, and does not wait: for an end or a reset, which follows. No vCPU
 * runs.
 */
void virtio_blk_stop_begin(struct virtio_blk *b);
/*
 * Returns for how many milliseconds threads have not ended that the driver's reset, or
 * virtio_blk_stop_begin(), has asked to; 0: none. After a moment that is because the host's kernel
 * holds a request uninterruptibly. Any thread.
 */
s64 virtio_blk_held_ms(const struct virtio_blk *b);
/*
 * Closes the image, which may wait for its storage (a server is sent what it has not got yet), when
 * virtio_blk_held_ms() is 0 after virtio_blk_stop_begin(). Only virtio_blk_destroy(), which does
 * the same else, and questions follow. Any thread.
 */
void virtio_blk_close(struct virtio_blk *b);
/* Adds up the counts of all queues since the disk was created. Any thread. */
void virtio_blk_stats(const struct virtio_blk *b, struct blk_stats *out);

#endif
