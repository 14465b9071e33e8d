// SPDX-License-Identifier: GPL-2.0-only
/* Takes and checks the byte locks that QEMU takes, by open file description (fcntl(2), F_OFD_SETLK). */
#include "devices/blk_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* QEMU's numbers: part of its interface, since versions of it meet on one image. */
#define DOES	   100
#define BEARS_NONE 200

enum permission {
	CONSISTENT_READ,
	WRITE,
	WRITE_UNCHANGED,
	RESIZE,
	PERMISSIONS,
};

#define BIT(p) (1U << (p))

static int byte_lock(int fd, short type, off_t at)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	if (!fcntl(fd, F_OFD_SETLK, &l))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : 0;
}

/* Does another description hold a lock of that byte? */
static bool byte_is_held(int fd, off_t at)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
}

static int take_bytes(int fd, unsigned does, unsigned bears_none)
{
	int ret = 0;

	for (int p = 0; p < PERMISSIONS && !ret; p++) {
		if (does & BIT(p))
			ret = byte_lock(fd, F_RDLCK, DOES + p);
		if (!ret && (bears_none & BIT(p)))
			ret = byte_lock(fd, F_RDLCK, BEARS_NONE + p);
	}
	return ret;
}

int blk_lock(int fd, int direct, bool readonly)
{
	unsigned does = BIT(CONSISTENT_READ) | (readonly ? 0 : BIT(WRITE) | BIT(RESIZE));
	unsigned bears_none = BIT(WRITE) | BIT(RESIZE);
	int ret = take_bytes(fd, does, bears_none);

	/* After the locks, so that of two that come at once one at least sees the other. */
	for (int p = 0; p < PERMISSIONS && !ret; p++)
		if ((does & BIT(p) && byte_is_held(fd, BEARS_NONE + p)) ||
		    (bears_none & BIT(p) && byte_is_held(fd, DOES + p)))
			ret = -EBUSY;
	/*
	 * A lock lives as long as its description is in use, by a transfer in flight too, which may
	 * outlive a process that was killed. So each of the two has the locks.
	 */
	if (!ret && direct >= 0)
		ret = take_bytes(direct, does, bears_none);
	return ret;
}
