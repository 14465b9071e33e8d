// SPDX-License-Identifier: GPL-2.0-only
/* Runs the helper that connects to a UNIX socket, and asks it for connections. */
#include "vmm/backend/dialer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/types.h"
#include "devices/vhost_user.h"
#include "vmm/confine/confine.h"
#include "vmm/confine/helper.h"

#define PATIENCE_MS 2000

struct dialer {
	int keeper;
	int next; /* atomic: the channel of a server that has just started, for the asker; or -1 */

	/* Only the thread that asks uses these. */
	int channel; /* to the server; -1: there is none */
	bool asked;  /* and its answer is still to come */
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

	if (len == sizeof(*value))
		return 0;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return len < 0 ? (int)len : -EPIPE;
}

/* --- the VMM's side ------------------------------------------------------------------------ */

/*
 * Waits until the helper has all layers: a failure would show only when its disk's back end dies.
 */
static int await_strict(struct dialer *d, const char *path, struct err *e)
{
	struct pollfd p = { .fd = d->keeper, .events = POLLIN };
	struct err why;

	if (poll(&p, 1, PATIENCE_MS) > 0 && dialer_news(d, &why) == KEEPER_UP)
		return 0;
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
	ret = helper_pair(pair);
	if (ret) {
		free(d);
		return err_set(e, ret, "cannot make a socket: %s", strerror(-ret));
	}
	ret = helper_spawn("/proc/self/exe", argv, pair[1], confine);
	close(pair[1]);
	d->keeper = pair[0];
	d->next = d->channel = -1;
	if (ret)
		err_set(e, ret, "--disk vhost-user=%s: cannot start a helper process: %s", path,
			strerror(-ret));
	else if (confine == CONFINE_STRICT)
		ret = await_strict(d, path, e);
	if (ret) {
		dialer_destroy(d);
		return ret;
	}
	*out = d;
	return 0;
}

void dialer_destroy(struct dialer *d)
{
	if (!d)
		return;
	close(d->keeper);
	if (d->next >= 0)
		close(d->next);
	if (d->channel >= 0)
		close(d->channel);
	free(d);
}

int dialer_keeper(const struct dialer *d)
{
	return d->keeper;
}

enum keeper_news dialer_news(struct dialer *d, struct err *why)
{
	int channel, unused;
	enum keeper_news news = keeper_read(d->keeper, &channel, why);

	if (news != KEEPER_UP)
		return news;
	unused = __atomic_exchange_n(&d->next, channel, __ATOMIC_ACQ_REL);
	if (unused >= 0)
		close(unused);
	return news;
}

static void dialer_hang_up(struct dialer *d)
{
	if (d->channel >= 0)
		close(d->channel);
	d->channel = -1;
	d->asked = false;
}

/* Takes over the channel of a server that has started since. */
static void dialer_take_next(struct dialer *d)
{
	int next = __atomic_exchange_n(&d->next, -1, __ATOMIC_ACQ_REL);

	if (next < 0)
		return;
	dialer_hang_up(d);
	d->channel = next;
}

/* Waits for an answer. 0, -ETIMEDOUT or -ECANCELED. */
static int dialer_await(const struct dialer *d, int cancel)
{
	struct pollfd p[] = {
		{ .fd = d->channel, .events = POLLIN },
		{ .fd = cancel, .events = POLLIN },
	};

	if (poll(p, ARRAY_SIZE(p), PATIENCE_MS) <= 0)
		return -ETIMEDOUT;
	return p[0].revents ? 0 : -ECANCELED;
}

int dialer_dial(struct dialer *d, int cancel)
{
	s32 result = -EPIPE;
	int ret = 0, fd = -1;

	dialer_take_next(d);
	if (d->channel < 0)
		return -EPIPE;
	if (!d->asked)
		ret = dialer_send(d->channel, 0, -1);
	d->asked = !ret;
	if (!ret)
		ret = dialer_await(d, cancel);
	if (ret == -ETIMEDOUT || ret == -ECANCELED)
		return ret;
	if (!ret)
		ret = dialer_receive(d->channel, &result, &fd);
	d->asked = false;
	if (ret) {
		dialer_hang_up(d);
		return -EPIPE;
	}
	if (fd >= 0)
		return fd;
	return result < 0 ? (int)result : -EPIPE;
}

/* --- the helper's side --------------------------------------------------------------------- */

struct dial_server {
	const char *path;
	enum confine_mode confine;
};

/* Connects whenever the VMM asks, in a process of its own, until the VMM is gone. */
static int dial_server_run(void *arg, int channel, int link)
{
	const struct dial_server *s = arg;
	struct err e = { "" };
	int fd = -1, ret;
	s32 value = 0;

	(void)link; /* nothing is asked: it tells the keeper that this process has ended */
	ret = fcntl(channel, F_SETFL, 0) ? err_set(&e, -errno, "fcntl: %s", strerror(errno))
					 : confine_dialer(s->confine, &e);
	if (ret) {
		char line[sizeof(e.text) + 200];

		snprintf(line, sizeof(line), "--disk vhost-user=%s: %s", s->path, e.text);
		helper_send(channel, line, strlen(line), -1);
		return ret;
	}
	ret = helper_send(channel, "", 1, -1);
	while (!ret && !dialer_receive(channel, &value, &fd)) {
		if (fd >= 0)
			close(fd);
		fd = vhost_user_dial(s->path);
		ret = dialer_send(channel, fd < 0 ? fd : 0, fd);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

int dialer_serve(const char *path, enum confine_mode confine)
{
	struct dial_server s = { path, confine };
	char what[200];
	const struct keeper_job job = {
		.what = what,
		.process = "the process that connects to its back end",
		.loss = "a back end that comes back is not found",
		.name = "vmm-dial",
		.run = dial_server_run,
		.arg = &s,
	};

	snprintf(what, sizeof(what), "--disk vhost-user=%s", path);
	return keeper_run(&job);
}
