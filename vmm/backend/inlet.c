// SPDX-License-Identifier: GPL-2.0-only
/* Reads from a descriptor that others share, without waiting for it. */
#include "vmm/backend/inlet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reopen.h"

/* Opening the end of a pipe that is for writing would make this process a reader of its own. */
static bool is_for_reading(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY;
}

void inlet_open(struct inlet *in, int fd, const struct stat *st, bool terminal)
{
	int own;

	*in = (struct inlet){ .fd = fd, .terminal = terminal };
	if (!st)
		return;
	in->socket = S_ISSOCK(st->st_mode);
	if ((!terminal && !S_ISFIFO(st->st_mode)) || !is_for_reading(fd))
		return;
	own = reopen_nonblock(fd, st, O_RDONLY);
	if (own < 0)
		return;
	in->fd = own;
	in->ours = true;
}

void inlet_close(struct inlet *in)
{
	if (in->ours)
		close(in->fd);
	in->ours = false;
}

ssize_t inlet_read(const struct inlet *in, void *buf, size_t len, u32 events)
{
	ssize_t n = in->socket ? recv(in->fd, buf, len, MSG_DONTWAIT) : read(in->fd, buf, len);
	int ret = n < 0 ? -errno : 0;

	if (n > 0)
		return n;
	if (ret == -EINTR)
		return -EAGAIN;
	/* Only a hang-up ends a terminal; 0 is its end of a line in a mode that others have set. */
	if (in->terminal && !(events & (EPOLLHUP | EPOLLERR)))
		return !ret ? -EAGAIN : ret == -EIO ? -EBUSY : ret;
	return ret;
}
