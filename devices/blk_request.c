// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decodes a request of a virtio block driver, carries it out piece by piece, and sets its status.
 */
#include "devices/blk_request.h"

#include <errno.h>
#include <linux/virtio_blk.h>

#define HEADER sizeof(struct virtio_blk_outhdr)

static bool is_in_bounds(const struct blk_image *im, u64 sector, u64 count)
{
	u64 sectors = __atomic_load_n(&im->sectors, __ATOMIC_ACQUIRE);

	return sector <= sectors && count <= sectors - sector;
}

static enum blk_step blk_request_end(struct blk_request *r, u8 status)
{
	*r->status = status;
	r->failed = status != VIRTIO_BLK_S_OK;
	return BLK_DONE;
}

static enum blk_step blk_request_decode_transfer(struct blk_request *r, const struct blk_image *im,
						 u64 sector, bool write)
{
	struct vq_chain *c = &r->chain;
	u64 skip = write ? HEADER : 0;
	u64 len = write ? c->out_len - skip : c->in_len - 1;

	if (len % BLK_SECTOR || !is_in_bounds(im, sector, len / BLK_SECTOR) ||
	    (write && im->readonly))
		return blk_request_end(r, VIRTIO_BLK_S_IOERR);
	r->iov = write ? c->iov : c->iov + c->n_out;
	r->n = iov_cut(r->iov, write ? c->n_out : c->n_in, skip, len);
	r->start = r->offset = sector * BLK_SECTOR;
	r->bytes = len;
	if (!r->n)
		return blk_request_end(r, VIRTIO_BLK_S_OK);
	if (write && !blk_image_reaches(im, r->offset + len))
		return blk_request_end(r, VIRTIO_BLK_S_IOERR);
	return write ? BLK_WRITE : BLK_READ;
}

static enum blk_step blk_request_get_id(struct blk_request *r, const char *id)
{
	struct vq_chain *c = &r->chain;

	if (c->in_len - 1 < BLK_ID_BYTES)
		return blk_request_end(r, VIRTIO_BLK_S_IOERR);
	r->filled = iov_write(c->iov + c->n_out, c->n_in, 0, id, BLK_ID_BYTES);
	return blk_request_end(r, VIRTIO_BLK_S_OK);
}

/* Checks a range to discard or zero: returns VIRTIO_BLK_S_OK or the status of 5.2.6.2. */
static u8 check_discard_range(const struct blk_image *im,
			      const struct virtio_blk_discard_write_zeroes *d, bool zero)
{
	u32 known = zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;

	if (d->flags & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	if (d->num_sectors > (zero ? BLK_MAX_ZERO : BLK_MAX_DISCARD) ||
	    !is_in_bounds(im, d->sector, d->num_sectors))
		return VIRTIO_BLK_S_IOERR;
	/*
	 * To discard behind the end of a file that was truncated is no error: the content is gone.
	 */
	if (zero && !blk_image_reaches(im, (d->sector + d->num_sectors) * BLK_SECTOR))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static bool flag_is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static enum blk_step blk_request_zero_or_discard(struct blk_request *r, const struct blk_image *im,
						 bool zero, bool durable, const bool *stop)
{
	struct virtio_blk_discard_write_zeroes d[BLK_MAX_RANGES];
	struct vq_chain *c = &r->chain;
	u64 len = c->out_len - HEADER;
	unsigned n = (unsigned)(len / sizeof(d[0]));
	u8 status;

	if (im->readonly || !len || len % sizeof(d[0]) || len > sizeof(d))
		return blk_request_end(r, VIRTIO_BLK_S_IOERR);
	iov_read(c->iov, c->n_out, HEADER, d, (size_t)len);
	/* All ranges are checked before the first is carried out. */
	for (unsigned i = 0; i < n; i++) {
		status = check_discard_range(im, &d[i], zero);
		if (status != VIRTIO_BLK_S_OK)
			return blk_request_end(r, status);
	}
	for (unsigned i = 0; i < n; i++) {
		u64 at = d[i].sector * BLK_SECTOR, bytes = (u64)d[i].num_sectors * BLK_SECTOR;
		int ret;

		if (i && flag_is_set(stop))
			return BLK_LEFT;
		ret = zero ? blk_image_zero(im, at, bytes,
					    d[i].flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)
			   : blk_image_discard(im, at, bytes);
		if (ret)
			return blk_request_end(r, VIRTIO_BLK_S_IOERR);
		r->bytes += bytes;
	}
	return zero && durable ? BLK_FLUSH : blk_request_end(r, VIRTIO_BLK_S_OK);
}

static enum blk_step blk_request_decode(struct blk_request *r, const struct blk_image *im,
					const char *id, bool durable, const bool *stop)
{
	struct vq_chain *c = &r->chain;
	struct virtio_blk_outhdr hdr;
	struct iovec last;

	r->iov = NULL;
	r->n = 0;
	r->filled = r->start = r->bytes = 0;
	if (!c->in_len || c->out_len < HEADER)
		return BLK_BAD;
	/* The status is the last byte; it is found before the list is cut to the data. */
	last = c->iov[c->n_out + c->n_in - 1];
	r->status = (u8 *)last.iov_base + last.iov_len - 1;
	iov_read(c->iov, c->n_out, 0, &hdr, sizeof(hdr));
	r->type = hdr.type;
	switch (hdr.type) {
	case VIRTIO_BLK_T_IN:
		return blk_request_decode_transfer(r, im, hdr.sector, false);
	case VIRTIO_BLK_T_OUT:
		return blk_request_decode_transfer(r, im, hdr.sector, true);
	case VIRTIO_BLK_T_FLUSH:
		return im->readonly ? blk_request_end(r, VIRTIO_BLK_S_OK) : BLK_FLUSH;
	case VIRTIO_BLK_T_GET_ID:
		return blk_request_get_id(r, id);
	case VIRTIO_BLK_T_DISCARD:
		return blk_request_zero_or_discard(r, im, false, durable, stop);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return blk_request_zero_or_discard(r, im, true, durable, stop);
	default:
		return blk_request_end(r, VIRTIO_BLK_S_UNSUPP);
	}
}

enum blk_step blk_request_start(struct blk_request *r, const struct blk_image *im, const char *id,
				bool durable, const bool *stop)
{
	r->step = blk_request_decode(r, im, id, durable, stop);
	return r->step;
}

unsigned blk_request_piece(struct blk_request *r)
{
	u64 room = BLK_PIECE;

	r->held = 0;
	for (r->piece = 0; r->piece < r->n && room; r->piece++) {
		struct iovec *v = &r->iov[r->piece];

		if (v->iov_len > room) {
			r->held = v->iov_len - (size_t)room;
			v->iov_len = (size_t)room;
		}
		room -= v->iov_len;
	}
	return r->piece;
}

bool blk_request_piece_done(struct blk_request *r, u64 bytes)
{
	r->iov[r->piece - 1].iov_len += r->held;
	r->held = 0;
	r->offset += bytes;
	r->n = iov_cut(r->iov, r->n, bytes, UINT64_MAX);
	return r->n;
}

/* Transfers the data of a request that reads or writes. 0, -errno, or 1: told to stop. */
static int blk_request_transfer(struct blk_request *r, const struct blk_image *im, bool durable,
				const bool *stop)
{
	bool more;

	do {
		unsigned n = blk_request_piece(r);
		ssize_t done =
			blk_image_transfer(im, r->step == BLK_WRITE, durable, r->iov, n, r->offset);

		more = blk_request_piece_done(r, done > 0 ? (u64)done : 0);
		if (done < 0)
			return (int)done;
	} while (more && !flag_is_set(stop));
	return more;
}

bool blk_request_run(struct blk_request *r, struct blk_image *im, bool durable, const bool *stop)
{
	int ret = r->step == BLK_FLUSH ? blk_image_flush(im)
				       : blk_request_transfer(r, im, durable, stop);

	if (ret > 0)
		return false;
	blk_request_finish(r, ret);
	return true;
}

void blk_request_finish(struct blk_request *r, int ret)
{
	*r->status = ret ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	r->failed = ret;
	if (!ret && r->step == BLK_READ)
		r->filled = r->chain.in_len - 1;
}

u32 blk_request_written(const struct blk_request *r)
{
	/* The status is the last byte: it counts if all before it is filled. */
	u64 n = r->filled == r->chain.in_len - 1 ? r->chain.in_len : r->filled;

	return n > UINT32_MAX ? UINT32_MAX : (u32)n;
}
