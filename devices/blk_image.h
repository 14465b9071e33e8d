/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk's image: a raw file or a block device, opened, locked and measured.
 *
 * Direct I/O wants offsets, lengths and addresses in multiples of the device's block. A guest need
 * not know that, and firmware reads single sectors into any address. So there are two descriptors:
 * whole pages at aligned addresses go past the page cache, the rest goes through it; a flush covers
 * both. That needs no bounce buffers and no block size of 4096, which firmware refuses. The kernel
 * keeps the two coherent, but not within one page at one time; hence whole pages, also where the
 * device's block is smaller.
 *
 * A flush that failed has lost data: the kernel drops what it could not write and reports that once.
 * So after one all others fail too, for as long as the image is open; a guest that tries again must
 * not be told that what it wrote before is safe.
 *
 * All functions but open and close may be called from several threads at once.
 */
#ifndef UMBRA_DEVICES_BLK_IMAGE_H
#define UMBRA_DEVICES_BLK_IMAGE_H

#include <sys/uio.h>

#include "base/err.h"
#include "base/types.h"

#define BLK_SECTOR 512U

struct blk_image {
	int fd;	    /* through the page cache */
	int direct; /* past it, or -1 */
	bool readonly;
	bool lost;   /* a flush has failed; atomic */
	u32 block;   /* alignment that direct I/O wants */
	u64 sectors; /* atomic */
	/* Signs of a file that was cut short, as it was opened; 0: none. */
	u32 cut_bytes;	 /* behind its last whole sector: served to nobody */
	u64 cut_sectors; /* that its partition table speaks of */
};

/*
 * Open PATH and lock it (blk_lock.h): one writer, or any number of readers (-EBUSY, after a second of
 * trying). A block device that is mounted counts as locked. -EINVAL: neither a regular file nor a block
 * device, less than one sector, an image of another format than raw (blk_format.h), or no direct I/O
 * there. On failure nothing is left open.
 */
int blk_image_open(struct blk_image *im, const char *path, bool readonly, bool direct,
		   struct err *e);
void blk_image_close(struct blk_image *im);

/*
 * Give the image another size, a multiple of BLK_SECTOR. A block device cannot be given one: -ENOTSUP,
 * unless it has it already; 0 stands for what it has. -EINVAL, -EROFS, other -errno of the host; then
 * nothing has changed.
 */
int blk_image_resize(struct blk_image *im, u64 bytes);
/* Look at the size again; true: ->sectors is another one now. */
bool blk_image_refresh(struct blk_image *im);

/*
 * Does the file still reach to byte @end? A disk does not grow where it is written to: a file that
 * somebody has cut would, and what was cut away would then read as zeroes instead of failing. One
 * fstat(2), 0.2 us of a write's 5 or more; no cheaper way was found that does not miss the first
 * write. A cut at this very moment still escapes.
 */
bool blk_image_reaches(const struct blk_image *im, u64 end);

/* The descriptor by which this transfer may go. */
int blk_image_fd(const struct blk_image *im, const struct iovec *iov, unsigned n, u64 offset);

/*
 * Read or write some of it, from byte @offset on: how many bytes, at least one. @durable: on the disk
 * when it returns. -EIO: the end of a file that was truncated under us; other -errno of the host.
 */
ssize_t blk_image_transfer(const struct blk_image *im, bool write, bool durable,
			   const struct iovec *iov, unsigned n, u64 offset);
int blk_image_flush(struct blk_image *im);
/* Takes note of @ret, 0 or -errno, of a flush that was done elsewhere; returns what the driver is told. */
int blk_image_flushed(struct blk_image *im, int ret);
/* The content becomes irrelevant; where nothing can be given back, it stays and that is no error. */
int blk_image_discard(const struct blk_image *im, u64 offset, u64 len);
/* The content becomes zero. @unmap: space may be given back. */
int blk_image_zero(const struct blk_image *im, u64 offset, u64 len, bool unmap);

#endif
