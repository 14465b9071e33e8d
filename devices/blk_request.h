/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One request of a virtio block driver (virtio 1.2, 5.2.6): from a chain of buffers to what is to
 * be done, and from its result to the status byte. Knows no threads and no way of doing I/O but
 * the plain one; everything that comes from the guest is copied once and then checked.
 */
#ifndef UMBRA_DEVICES_BLK_REQUEST_H
#define UMBRA_DEVICES_BLK_REQUEST_H

#include "devices/blk_image.h"
#include "devices/virtqueue.h"

#define BLK_MAX_RANGES	16U	   /* of one discard or write-zeroes */
#define BLK_MAX_DISCARD (1U << 22) /* sectors of one range */
#define BLK_MAX_ZERO	(1U << 15) /* less: the host may have to write them one by one */
#define BLK_ID_BYTES	20U

enum blk_step {
	BLK_BAD,  /* not a request at all: the driver broke the rules */
	BLK_DONE, /* dealt with, the status is set */
	BLK_READ, /* to be done by the caller: iov, n and offset */
	BLK_WRITE,
	BLK_FLUSH,
};

struct blk_request {
	struct vq_chain chain;
	/* Set by blk_request_start(). */
	enum blk_step step;
	struct iovec *iov; /* what is left of the data */
	unsigned n;
	u64 offset; /* bytes */
	u64 filled; /* bytes of the writable part, from its start, that hold something */
	u8 *status;
	/* For blk_stats_count(). */
	u32 type;
	bool failed;
	u64 start, bytes;
	struct blk_request *next; /* the caller's list */
};

/*
 * Decode r->chain, and do what needs no waiting (@id: 20 bytes; discarding; refusing). The result
 * is r->step, too. @durable: every write reaches the disk; then zeroing ends in a FLUSH.
 */
enum blk_step blk_request_start(struct blk_request *r, const struct blk_image *im, const char *id,
				bool durable);
/* Do a READ, WRITE or FLUSH now. Sets the status. */
void blk_request_run(struct blk_request *r, struct blk_image *im, bool durable);
/* The status for @ret, 0 or -errno. */
void blk_request_finish(struct blk_request *r, int ret);
/*
 * What goes into the used ring: how much of the writable part holds something, from its start on
 * (2.7.8.2), so that no driver takes for data what nobody wrote.
 */
u32 blk_request_written(const struct blk_request *r);

#endif
