/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries out one request of a virtio block driver (virtio 1.2, 5.2.6): decodes it, transfers its
 * data in pieces and sets its status.
 *
 * It knows no threads, and no I/O but plain system calls. Everything from the guest is copied once
 * and then checked.
 */
#ifndef UMBRA_DEVICES_BLK_REQUEST_H
#define UMBRA_DEVICES_BLK_REQUEST_H

#include "devices/blk_image.h"
#include "devices/virtqueue.h"

#define BLK_MAX_RANGES	16U	   /* of one discard or write-zeroes */
#define BLK_MAX_DISCARD (1U << 22) /* sectors of one range */
#define BLK_MAX_ZERO \
	(1U << 15) /* the same of zeroing; fewer, for the host may have to write them */
#define BLK_ID_BYTES 20U
/*
 * Bytes that are transferred at a time. A request may have gigabytes, and a transfer that the
 * host's kernel has begun cannot be cancelled. No stock driver makes a request that is larger than
 * a piece.
 */
#define BLK_PIECE (2U << 20)

enum blk_step {
	BLK_BAD,  /* malformed: the driver broke the rules */
	BLK_DONE, /* finished, the status is set */
	BLK_LEFT, /* told to stop before it was finished; there is no status */
	BLK_READ, /* to be carried out by the caller: iov, n and offset */
	BLK_WRITE,
	BLK_FLUSH,
};

struct blk_request {
	struct vq_chain chain;
	/* Set by blk_request_start(). */
	enum blk_step step;
	struct iovec *iov; /* the data that is not transferred yet, in chain.iov */
	unsigned n;
	u64 offset;	/* bytes */
	unsigned piece; /* entries of iov in the piece that is being transferred */
	size_t held;	/* bytes cut off the last of them */
	u64 filled;	/* bytes of the writable part that were written, from its start on */
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
 * Decodes r->chain, and carries out everything but transfers and flushes. The result is r->step,
 * too. @id: the serial number, BLK_ID_BYTES. @durable: every write is to reach the disk; so zeroing
 * ends in a FLUSH. When *@stop, which is atomic, becomes true, a request with several ranges ends
 * before the next.
 */
enum blk_step blk_request_start(struct blk_request *r, const struct blk_image *im, const char *id,
				bool durable, const bool *stop);
/*
 * Carries out a READ, WRITE or FLUSH by plain system calls, piece by piece. True: the status is
 * set; false: *@stop, which is atomic, became true before the last piece.
 */
bool blk_request_run(struct blk_request *r, struct blk_image *im, bool durable, const bool *stop);
/*
 * Returns how many of the first entries of r->iov are the next piece of the request, for a caller
 * that does the I/O itself. After the piece blk_request_piece_done() takes off the @bytes that were
 * transferred, and returns true if some of the request is left.
 */
unsigned blk_request_piece(struct blk_request *r);
bool blk_request_piece_done(struct blk_request *r, u64 bytes);
/* Sets the status by @ret, 0 or -errno. */
void blk_request_finish(struct blk_request *r, int ret);
/*
 * Returns how many bytes of the writable part were written, from its start on, for the used ring
 * (2.7.8.2): so no driver takes a buffer for data that was not written.
 */
u32 blk_request_written(const struct blk_request *r);

#endif
