// SPDX-License-Identifier: GPL-2.0-only
/* Opens, checks and locks a disk's image, and reads, writes, flushes and resizes it. */
#include "devices/blk_image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "devices/blk_format.h"
#include "devices/blk_lock.h"
#include "devices/virtqueue.h"

#define FILE_BLOCK 4096U    /* no file system wants more */
#define GRAIN	   4096U    /* a page of the cache */
#define BUSY_PAUSE 5000000L /* ns */
#define BUSY_TRIES 200U
#define ZEROES	   (64U << 10) /* written at once where the host cannot zero by itself */

int blk_image_measure(const struct blk_image *im, u64 *bytes)
{
	struct stat st;

	if (fstat(im->fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*bytes = (u64)st.st_size;
		return 0;
	}
	if (S_ISBLK(st.st_mode))
		return ioctl(im->fd, BLKGETSIZE64, bytes) ? -errno : 0;
	return -EINVAL;
}

static u32 image_block_size(int fd)
{
	int size;

	if (ioctl(fd, BLKSSZGET, &size) || size < (int)BLK_SECTOR || (size & (size - 1)))
		return FILE_BLOCK;
	return (u32)size;
}

static int refuse_kind(const char *path, struct err *e)
{
	return err_set(e, -EINVAL, "--disk %s: is neither a file nor a block device", path);
}

static int image_open_descriptors(struct blk_image *im, const char *path, bool direct,
				  struct err *e)
{
	int flags = (im->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	int exclusive = 0;
	struct stat st;

	if (!stat(path, &st)) {
		/* O_EXCL on a block device: it must not be mounted. */
		im->device = S_ISBLK(st.st_mode);
		if (im->device)
			exclusive = im->readonly ? 0 : O_EXCL;
		/*
		 * Opening another kind may block or have an effect. O_NONBLOCK does not help:
		 * io_uring then gives EAGAIN if a file system has to wait.
		 */
		else if (!S_ISREG(st.st_mode))
			return refuse_kind(path, e);
	}
	im->fd = open(path, flags | exclusive);
	if (im->fd < 0 && errno == EBUSY)
		return err_set(e, -EBUSY,
			       "--disk %s: is mounted or in use by this system; unmount it, or "
			       "open it read-only (\",ro\")",
			       path);
	if (im->fd < 0)
		return err_set(e, -errno, "--disk %s: cannot open%s: %s", path,
			       im->readonly ? "" : " for writing (\",ro\" opens it read-only)",
			       strerror(errno));
	if (!direct)
		return 0;
	im->direct = open(path, flags | O_DIRECT);
	if (im->direct < 0)
		return err_set(e, -errno,
			       "--disk %s: cannot open past the page cache: %s; leave out "
			       "\",direct\"",
			       path, strerror(errno));
	return 0;
}

/*
 * Explains how to serve an image that is not raw: the guest would see its metadata, and destroy it.
 */
static int refuse_format(const char *path, bool readonly, const char *format, struct err *e)
{
	/* A long path would leave no room for the rest of the line. */
	const char *file = strlen(path) > 100 ? "FILE" : path;

	return err_set(
		e, -EINVAL,
		"--disk %s: is a %s image; have it served by: qemu-storage-daemon --blockdev "
		"driver=%s,node-name=d,file.driver=file,file.filename=%s --export "
		"type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path=d.sock%s; then "
		"say --disk vhost-user=d.sock",
		path, format, format, file, readonly ? "" : ",writable=on");
}

int blk_image_check(struct blk_image *im, const char *path, struct err *e)
{
	u8 head[BLK_FORMAT_HEAD];
	ssize_t len = pread(im->fd, head, sizeof(head), 0);
	const char *format;

	if (len < 0)
		return err_set(e, -errno, "--disk %s: cannot read: %s", path, strerror(errno));
	format = blk_format_name(head, (size_t)len);
	if (format)
		return refuse_format(path, im->readonly, format, e);
	im->cut_sectors = blk_format_reach(head, (size_t)len, im->sectors);
	return 0;
}

static int image_try_open(struct blk_image *im, const char *path, bool readonly, bool direct,
			  struct err *e)
{
	u64 bytes = 0;
	int ret;

	*im = (struct blk_image){ .fd = -1, .direct = -1, .readonly = readonly };
	ret = image_open_descriptors(im, path, direct, e);
	if (ret)
		goto fail;
	ret = blk_image_measure(im, &bytes);
	if (ret == -EINVAL) {
		refuse_kind(path, e);
		goto fail;
	}
	if (ret) {
		err_set(e, ret, "--disk %s: cannot be measured: %s", path, strerror(-ret));
		goto fail;
	}
	if (bytes < BLK_SECTOR) {
		ret = err_set(e, -EINVAL, "--disk %s: has no whole sector (512 bytes)", path);
		goto fail;
	}
	ret = blk_lock(im->fd, im->direct, im->readonly);
	if (ret) {
		err_set(e, ret, "--disk %s: is in use by another guest or program; stop that one%s",
			path, readonly ? "" : ", or open it read-only in both (\",ro\")");
		goto fail;
	}
	im->block = image_block_size(im->fd);
	im->sectors = bytes / BLK_SECTOR;
	im->cut_bytes = bytes % BLK_SECTOR;
	return 0;
fail:
	blk_image_close(im);
	return ret;
}

/*
 * Tries for a second to get the locks, since those of a process that was killed outlive it for a
 * moment: the kernel ends its io_uring later, and a guest that is started again at once must not
 * fail for that. Two processes that start at the same time may see each other's locks and both give
 * way, so their pauses differ.
 */
int blk_image_open(struct blk_image *im, const char *path, bool readonly, bool direct,
		   struct err *e)
{
	const struct timespec pause = { 0, BUSY_PAUSE + getpid() % 8 * 500000L };
	int ret = image_try_open(im, path, readonly, direct, e);

	for (unsigned i = 0; ret == -EBUSY && i < BUSY_TRIES; i++) {
		nanosleep(&pause, NULL);
		ret = image_try_open(im, path, readonly, direct, e);
	}
	return ret;
}

void blk_image_close(struct blk_image *im)
{
	if (im->fd >= 0)
		close(im->fd);
	if (im->direct >= 0)
		close(im->direct);
	im->fd = im->direct = -1;
}

int blk_image_check_size(const struct blk_image *im, u64 bytes)
{
	if (bytes % BLK_SECTOR || bytes > INT64_MAX)
		return -EINVAL;
	/* Of a block device only the size is looked at, so it may be read-only. */
	if (im->device)
		return 0;
	if (im->readonly)
		return -EROFS;
	return bytes ? 0 : -EINVAL;
}

int blk_image_truncate(const struct blk_image *im, u64 bytes, u64 *now)
{
	u64 has = bytes;
	int ret = 0;

	if (im->device)
		ret = blk_image_measure(im, &has);
	else if (ftruncate(im->fd, (off_t)bytes))
		ret = -errno;
	if (!ret && now)
		*now = has;
	if (!ret && ((bytes && has != bytes) || has < BLK_SECTOR))
		ret = -ENOTSUP;
	return ret;
}

bool blk_image_reaches(const struct blk_image *im, u64 end)
{
	struct stat st;

	/* If fstat(2) fails, or it is no regular file, the write itself reports an error. */
	return fstat(im->fd, &st) || !S_ISREG(st.st_mode) || (u64)st.st_size >= end;
}

int blk_image_fd(const struct blk_image *im, const struct iovec *iov, unsigned n, u64 offset)
{
	u64 bits = 0, end = offset;

	if (im->direct < 0)
		return im->fd;
	for (unsigned i = 0; i < n; i++) {
		bits |= (u64)(uintptr_t)iov[i].iov_base | iov[i].iov_len;
		end += iov[i].iov_len;
	}
	return bits & (im->block - 1) || (offset | end) & (GRAIN - 1) ? im->fd : im->direct;
}

enum blk_storage blk_image_storage(const struct blk_image *im)
{
	struct statfs fs;

	if (fstatfs(im->fd, &fs))
		return BLK_STORAGE_DEVICE;
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
		return BLK_STORAGE_MEMORY;
	if (fs.f_type == FUSE_SUPER_MAGIC || fs.f_type == V9FS_MAGIC)
		return BLK_STORAGE_SERVER;
	return BLK_STORAGE_DEVICE;
}

ssize_t blk_image_transfer(const struct blk_image *im, bool write, bool durable,
			   const struct iovec *iov, unsigned n, u64 offset)
{
	int fd = blk_image_fd(im, iov, n, offset);
	int flags = durable ? RWF_DSYNC : 0;
	ssize_t done;

	do {
		done = write ? pwritev2(fd, iov, (int)n, (off_t)offset, flags)
			     : preadv(fd, iov, (int)n, (off_t)offset);
	} while (done < 0 && errno == EINTR);
	return done > 0 ? done : done ? -errno : -EIO;
}

int blk_image_flushed(struct blk_image *im, int ret)
{
	if (ret)
		__atomic_store_n(&im->lost, true, __ATOMIC_RELEASE);
	else if (__atomic_load_n(&im->lost, __ATOMIC_ACQUIRE))
		ret = -EIO;
	return ret;
}

int blk_image_flush(struct blk_image *im)
{
	int ret;

	do {
		ret = fdatasync(im->fd) ? -errno : 0;
	} while (ret == -EINTR);
	return blk_image_flushed(im, ret);
}

static int image_fallocate(const struct blk_image *im, int mode, u64 offset, u64 len)
{
	int ret;

	do {
		ret = fallocate(im->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
	} while (ret && errno == EINTR);
	return ret ? -errno : 0;
}

/*
 * Returns true if @ret says that the host cannot do it. -EINVAL: its disk has larger sectors, and
 * the range cuts one.
 */
static bool is_unsupported(int ret)
{
	return ret == -EOPNOTSUPP || ret == -ENOSYS || ret == -ENODEV || ret == -EINVAL;
}

int blk_image_discard(const struct blk_image *im, u64 offset, u64 len)
{
	int ret = len ? image_fallocate(im, FALLOC_FL_PUNCH_HOLE, offset, len) : 0;

	return is_unsupported(ret) ? 0 : ret;
}

int blk_image_zero(const struct blk_image *im, u64 offset, u64 len, bool unmap)
{
	static const u8 zeroes[ZEROES];
	int ret = -EOPNOTSUPP;

	if (!len)
		return 0;
	if (unmap)
		ret = image_fallocate(im, FALLOC_FL_PUNCH_HOLE, offset, len);
	if (is_unsupported(ret))
		ret = image_fallocate(im, FALLOC_FL_ZERO_RANGE, offset, len);
	if (!is_unsupported(ret))
		return ret;
	while (len) {
		size_t part = len < ZEROES ? (size_t)len : ZEROES;
		ssize_t done = pwrite(im->fd, zeroes, part, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		offset += (u64)done;
		len -= (u64)done;
	}
	return 0;
}
