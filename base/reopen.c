// SPDX-License-Identifier: GPL-2.0-only
/* Opens a pipe or a terminal once more, with O_NONBLOCK for this process alone. */
#include "base/reopen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#define PTMX makedev(5, 2) /* a pseudo-terminal's master; each opening makes another pair */

int reopen_nonblock(int fd, const struct stat *st, int access)
{
	char path[40];
	int ret;

	if (!S_ISFIFO(st->st_mode) && (!S_ISCHR(st->st_mode) || st->st_rdev == PTMX))
		return -ENOTSUP;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return ret < 0 ? -errno : ret;
}
