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
/*
 * Bytes that are transferred at a time. A request may have gigabytes, and nobody can take back what the
 * host's kernel has begun; no stock driver makes one that is larger than a piece.
 */
#define BLK_PIECE (2U << 20)

enum blk_step {
	BLK_BAD,  /* not a request at all: the driver broke the rules */
	BLK_DONE, /* dealt with, the status is set */
	BLK_LEFT, /* told to stop before all was done; there is no status */
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
	/* The piece that is being transferred: so many entries, and bytes cut off the last. */
	unsigned piece;
	size_t held;
	u64 filled; /* bytes of the writable part, from its start, that hold something */
	u8 *status;
	/* For blk_stats_count(). */
	u32 type;
	bool failed;
	u64 start, bytes;
	/* The caller's. */
	struct blk_request *next;
	bool in_flight;
};

/*
 * Decode r->chain, and do what needs no waiting (@id: 20 bytes; discarding; refusing). The result
 * is r->step, too. @durable: every write reaches the disk; then zeroing ends in a FLUSH. *@stop, which
 * is atomic: what has several ranges is left at the next one.
 */
enum blk_step blk_request_start(struct blk_request *r, const struct blk_image *im, const char *id,
				bool durable, const bool *stop);
/*
 * Do a READ, WRITE or FLUSH now, piece by piece. True: the status is set; false: *@stop, which is
 * atomic, became true before all pieces were done.
 */
bool blk_request_run(struct blk_request *r, struct blk_image *im, bool durable, const bool *stop);
/*
 * For a caller that does the I/O: the next piece is the first entries of r->iov, as many as this
 * returns, until blk_request_piece_done() says how many bytes of it were transferred. That returns
 * true if some of the request is left.
 */
unsigned blk_request_piece(struct blk_request *r);
bool blk_request_piece_done(struct blk_request *r, u64 bytes);
/* The status for @ret, 0 or -errno. */
void blk_request_finish(struct blk_request *r, int ret);
/*
 * What goes into the used ring: how much of the writable part holds something, from its start on
 * (2.7.8.2), so that no driver takes for data what nobody wrote.
 */
u32 blk_request_written(const struct blk_request *r);

#endif
