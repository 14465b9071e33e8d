// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes and checks the byte locks that QEMU takes, by open file description (fcntl(2),
 * F_OFD_SETLK).
 */
#include "devices/blk_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* QEMU's numbers: part of its interface, since versions of it meet on one image. */
#define USED	 100
#define UNSHARED 200

enum permission {
	CONSISTENT_READ,
	WRITE,
	WRITE_UNCHANGED,
	RESIZE,
	PERMISSIONS,
};

#define BIT(p) (1U << (p))

static int lock_byte(int fd, short type, off_t at)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	if (!fcntl(fd, F_OFD_SETLK, &l))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : 0;
}

/* Returns true if another description holds a lock of that byte. */
static bool byte_is_held(int fd, off_t at)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

static int lock_bytes(int fd, unsigned used, unsigned unshared)
{
	int ret = 0;

	for (int p = 0; p < PERMISSIONS && !ret; p++) {
		if (used & BIT(p))
			ret = lock_byte(fd, F_RDLCK, USED + p);
		if (!ret && (unshared & BIT(p)))
			ret = lock_byte(fd, F_RDLCK, UNSHARED + p);
	}
	return ret;
}

int blk_lock(int fd, int direct, bool readonly)
{
	unsigned used = BIT(CONSISTENT_READ) | (readonly ? 0 : BIT(WRITE) | BIT(RESIZE));
	unsigned unshared = BIT(WRITE) | BIT(RESIZE);
	int ret = lock_bytes(fd, used, unshared);

	/*
	 * The check comes after locking, so that of two processes that open the image at once at
	 * least one sees the other's locks.
	 */
	for (int p = 0; p < PERMISSIONS && !ret; p++)
		if ((used & BIT(p) && byte_is_held(fd, UNSHARED + p)) ||
		    (unshared & BIT(p) && byte_is_held(fd, USED + p)))
			ret = -EBUSY;
	/*
	 * A lock lives as long as its description is in use, if only by a transfer in flight, which
	 * may outlive a process that was killed. So both descriptions get the locks.
	 */
	if (!ret && direct >= 0)
		ret = lock_bytes(direct, used, unshared);
	return ret;
}
