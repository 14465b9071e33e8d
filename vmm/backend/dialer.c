// SPDX-License-Identifier: GPL-2.0-only
/* Runs the helper that connects to a UNIX socket, and asks it for connections. */
#include "vmm/backend/dialer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/types.h"
#include "devices/vhost_user.h"
#include "vmm/confine/helper.h"

#define PATIENCE_MS 2000

struct dialer {
	int fd;
};

/* Sends @value, and the descriptor @fd unless it is -1. */
static int dialer_send(int to, s32 value, int fd)
{
	return helper_send(to, &value, sizeof(value), fd);
}

/* Receives a number and a descriptor; *fd is -1 if none came. -EPIPE: the other side is gone. */
static int dialer_receive(int from, s32 *value, int *fd)
{
	ssize_t len = helper_receive(from, value, sizeof(*value), fd);

	return len < 0 ? (int)len : len == sizeof(*value) ? 0 : -EPIPE;
}

/*
 * Waits until the helper has all layers: a failure would show only when its disk's back end dies.
 */
static int await_strict(const struct dialer *d, const char *path, struct err *e)
{
	struct pollfd p = { .fd = d->fd, .events = POLLIN };
	s32 value = -1;
	int fd = -1;

	if (poll(&p, 1, PATIENCE_MS) > 0 && !dialer_receive(d->fd, &value, &fd) && !value && fd < 0)
		return 0;
	if (fd >= 0)
		close(fd);
	return err_set(
		e, -EPERM,
		"--confine strict: the process that connects to --disk vhost-user=%s does not "
		"get all layers; see vmm doctor",
		path);
}

int dialer_create(struct dialer **out, const char *path, enum confine_mode confine, struct err *e)
{
	const char *const argv[] = { "vmm", "dial-helper", path, confine_mode_name(confine), NULL };
	struct dialer *d = calloc(1, sizeof(*d));
	int pair[2], ret;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	ret = helper_pair(pair, SOCK_SEQPACKET);
	if (ret) {
		free(d);
		return err_set(e, ret, "cannot make a socket: %s", strerror(-ret));
	}
	ret = helper_spawn("/proc/self/exe", argv, pair[1], confine);
	close(pair[1]);
	d->fd = pair[0];
	if (ret) {
		dialer_destroy(d);
		return err_set(e, ret, "--disk vhost-user=%s: cannot start a helper process: %s",
			       path, strerror(-ret));
	}
	if (confine == CONFINE_STRICT) {
		ret = await_strict(d, path, e);
		if (ret) {
			dialer_destroy(d);
			return ret;
		}
	}
	*out = d;
	return 0;
}

void dialer_destroy(struct dialer *d)
{
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

int dialer_dial(struct dialer *d)
{
	struct pollfd p = { .fd = d->fd, .events = POLLIN };
	int ret = d->fd < 0 ? -EPIPE : dialer_send(d->fd, 0, -1), fd = -1;
	s32 result = -EPIPE;

	if (!ret && poll(&p, 1, PATIENCE_MS) <= 0)
		ret = -EPIPE;
	if (!ret)
		ret = dialer_receive(d->fd, &result, &fd);
	if (ret) {
		/* Closed after a failure: a late answer would be taken for the next request's. */
		if (d->fd >= 0)
			close(d->fd);
		d->fd = -1;
	}
	if (!ret && fd >= 0)
		return fd;
	return ret ? ret : result < 0 ? (int)result : -EPIPE;
}

void dialer_serve(const char *path, enum confine_mode confine)
{
	s32 value = 0;
	int fd = -1;

	if (confine == CONFINE_STRICT && dialer_send(HELPER_FD, 0, -1))
		return;
	while (!dialer_receive(HELPER_FD, &value, &fd)) {
		if (fd >= 0)
			close(fd);
		fd = vhost_user_dial(path);
		if (dialer_send(HELPER_FD, fd < 0 ? fd : 0, fd))
			break;
		if (fd >= 0)
			close(fd);
	}
}
