/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands for a disk's image: a raw file or a block device, opened, locked and measured.
 *
 * Direct I/O needs offsets, lengths and addresses in multiples of the device's block. A guest need
 * not know that, and firmware reads single sectors into any address. So there are two descriptors:
 * whole pages at aligned addresses go past the page cache, the rest goes through it; a flush covers
 * both. That needs no bounce buffers and no block size of 4096, which firmware refuses. The kernel
 * keeps the two coherent, but not within one page at one time; hence whole pages, even if the
 * device's block is smaller.
 *
 * A flush that failed has lost data: the kernel drops the pages that it could not write, and
 * reports that once. So all later flushes fail too, while the image is open: a guest that tries
 * again must not be told that its data is safe.
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
	bool device; /* a block device */
	bool lost;   /* a flush has failed; atomic */
	u32 block;   /* alignment that direct I/O needs */
	u64 sectors; /* atomic */
	/* Signs that the file had been cut short when it was opened and checked; 0: none. */
	u32 cut_bytes;	 /* behind its last whole sector; no part of the disk */
	u64 cut_sectors; /* of the disk by its partition table (blk_format_reach()) */
};

/*
 * Opens PATH and locks it (blk_lock.h): one writer, or any number of readers (-EBUSY, after a
 * second of trying). A block device that is mounted counts as locked. -EINVAL: neither a regular
 * file nor a block device, less than one sector, or no direct I/O there. On failure nothing is left
 * open. Nothing of the image is read: blk_image_check().
 */
int blk_image_open(struct blk_image *im, const char *path, bool readonly, bool direct,
		   struct err *e);
/*
 * Checks the first sectors, which a stranger may have made, so that a VMM confines itself before.
 * -EINVAL: an image of another format than raw (blk_format.h). Notes if the image was cut short.
 */
int blk_image_check(struct blk_image *im, const char *path, struct err *e);
void blk_image_close(struct blk_image *im);

/*
 * Returns 0 if the image may get @bytes: -EINVAL: no multiple of BLK_SECTOR, or 0, which a block
 * device alone takes: any size. -EROFS. Makes no system call.
 */
int blk_image_check_size(const struct blk_image *im, u64 bytes);
/*
 * Gives a file @bytes. A block device keeps its size: 0 if it already has @bytes, or if @bytes is
 * 0, else -ENOTSUP. *now, if not NULL, is the size that it has then; @sectors is not changed. Other
 * -errno of the host; on failure nothing has changed. It takes as long as the storage does.
 */
int blk_image_truncate(const struct blk_image *im, u64 bytes, u64 *now);
/* Asks how many bytes the image has. -errno. It takes as long as the storage does. */
int blk_image_measure(const struct blk_image *im, u64 *bytes);

/*
 * Returns true if the file still reaches to byte @end. A write behind the end of a file that was
 * truncated would make it grow, and the part that was cut off would read as zeroes instead of
 * failing. One fstat(2), 0.2 us of a write's 5 or more; no cheaper way was found that does not miss
 * the first write. A truncation between this and the write is missed.
 */
bool blk_image_reaches(const struct blk_image *im, u64 end);

/*
 * Returns the descriptor for this transfer: past the page cache if it is aligned for that, else
 * through it.
 */
int blk_image_fd(const struct blk_image *im, const struct iovec *iov, unsigned n, u64 offset);

/* What transfers through the page cache wait for. */
enum blk_storage {
	BLK_STORAGE_DEVICE, /* a device, as a rule later: a write is a copy into the cache */
	BLK_STORAGE_MEMORY, /* nothing: a tmpfs, ramfs or memfd */
	BLK_STORAGE_SERVER, /* a process, each of them (FUSE, 9p) */
};

/* Tells where the image is, of those that are known by their file system. One fstatfs(2). */
enum blk_storage blk_image_storage(const struct blk_image *im);

/*
 * Reads or writes from byte @offset on; returns how many bytes were transferred, at least one.
 * @durable: they are on the disk when it returns. -EIO: the file was truncated; other -errno of the
 * host.
 */
ssize_t blk_image_transfer(const struct blk_image *im, bool write, bool durable,
			   const struct iovec *iov, unsigned n, u64 offset);
int blk_image_flush(struct blk_image *im);
/* Notes the result @ret, 0 or -errno, of a flush by io_uring; returns the result for the driver. */
int blk_image_flushed(struct blk_image *im, int ret);
/* Gives space back; the content may be lost. If the host cannot do that nothing happens: 0. */
int blk_image_discard(const struct blk_image *im, u64 offset, u64 len);
/* Makes the content zero. @unmap: space may be given back. */
int blk_image_zero(const struct blk_image *im, u64 offset, u64 len, bool unmap);

#endif
