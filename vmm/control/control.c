// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"
#include "vmm/control/control_int.h"

#define FDS_AT_ONCE 8 /* more than we want, so that the kernel does not cut what we take */

/* --- a client ------------------------------------------------------------------------------ */

static void peer_free(struct peer *p)
{
	struct control *c = p->c;

	qmp_forget(p);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->peers[i] == p)
			c->peers[i] = NULL;
	for (size_t i = 0; i < p->n_loose; i++)
		close(p->loose[i]);
	for (size_t i = 0; i < NAMED_FDS; i++)
		if (p->named[i].fd >= 0)
			close(p->named[i].fd);
	loop_del(c->loop, p->fd);
	close(p->fd);
	free(p->in);
	free(p->out);
	free(p);
}

/* 0, or -errno: the client must go. */
static int flush(struct peer *p)
{
	while (p->out_done < p->out_len) {
		ssize_t n = send(p->fd, p->out + p->out_done, p->out_len - p->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return loop_mod(p->c->loop, p->fd, EPOLLIN | EPOLLOUT);
		if (n <= 0)
			return -EPIPE;
		p->out_done += (size_t)n;
	}
	free(p->out);
	p->out = NULL;
	p->out_len = p->out_done = 0;
	return 0;
}

int peer_send(struct peer *p, const char *text, size_t len)
{
	bool waits = p->out_len;
	char *bigger;

	/* What has gone does not count against one that reads slowly, but does read. */
	if (p->out_done > p->out_len / 2) {
		p->out_len -= p->out_done;
		memmove(p->out, p->out + p->out_done, p->out_len);
		p->out_done = 0;
	}
	if (p->out_len - p->out_done + len > PEER_OUTPUT_MAX)
		return -EMSGSIZE;
	bigger = realloc(p->out, p->out_len + len);
	if (!bigger)
		return -ENOMEM;
	p->out = bigger;
	memcpy(p->out + p->out_len, text, len);
	p->out_len += len;
	return waits ? 0 : flush(p);
}

/* Keep the descriptors that came with a piece of input; those for which there is no room are closed. */
static void keep_fds(struct peer *p, struct msghdr *msg)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
		size_t n;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (p->n_loose < LOOSE_FDS)
				p->loose[p->n_loose++] = fd;
			else
				close(fd);
		}
	}
}

static ssize_t receive(struct peer *p)
{
	char room[CMSG_SPACE(FDS_AT_ONCE * sizeof(int))]
		__attribute__((aligned(__alignof__(struct cmsghdr))));
	struct iovec iov = { p->in + p->in_len, PEER_INPUT_MAX - p->in_len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	ssize_t n = recvmsg(p->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n >= 0)
		keep_fds(p, &msg);
	return n;
}

static void peer_event(void *arg, u32 events)
{
	struct peer *p = arg;
	int ret = 0;
	ssize_t n;

	if (events & EPOLLOUT) {
		ret = flush(p);
		if (!ret && !p->out)
			ret = loop_mod(p->c->loop, p->fd, EPOLLIN);
	}
	if (!ret && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = receive(p);
		if (n > 0) {
			p->last = ++p->c->events;
			p->in_len += (size_t)n;
			p->in[p->in_len] = 0;
			ret = qmp_input(p);
		} else if (!n || (errno != EAGAIN && errno != EINTR)) {
			ret = -EPIPE;
		}
	}
	if (ret)
		peer_free(p);
}

/* --- the socket ---------------------------------------------------------------------------- */

/* Is @a dispensable before @b? See the head of control.h. */
static bool before(const struct peer *a, const struct peer *b)
{
	if (a->negotiated != b->negotiated)
		return !a->negotiated;
	if (!a->requests != !b->requests)
		return !a->requests;
	return a->last < b->last;
}

/* CONTROL_CLIENTS: there is none. */
static size_t most_dispensable(const struct control *c)
{
	size_t worst = CONTROL_CLIENTS;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->peers[i] &&
		    (worst == CONTROL_CLIENTS || before(c->peers[i], c->peers[worst])))
			worst = i;
	return worst;
}

static size_t make_room(struct control *c)
{
	size_t i;

	for (i = 0; i < CONTROL_CLIENTS; i++)
		if (!c->peers[i])
			return i;
	i = most_dispensable(c);
	peer_free(c->peers[i]);
	return i;
}

/* We were not to have a descriptor more: who waits would have us woken up for ever. */
static void give_back_descriptors(struct control *c)
{
	size_t i = most_dispensable(c);

	if (i < CONTROL_CLIENTS)
		peer_free(c->peers[i]);
}

static void accept_event(void *arg, u32 events)
{
	struct control *c = arg;
	struct peer *p;
	int fd;

	(void)events;
	fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		give_back_descriptors(c);
	if (fd < 0)
		return;
	p = calloc(1, sizeof(*p));
	if (!p) {
		close(fd);
		return;
	}
	p->c = c;
	p->fd = fd;
	p->last = ++c->events;
	for (size_t i = 0; i < NAMED_FDS; i++)
		p->named[i].fd = -1;
	p->in = malloc(PEER_INPUT_MAX + 1);
	if (!p->in || loop_add(c->loop, fd, EPOLLIN, peer_event, p)) {
		free(p->in);
		free(p);
		close(fd);
		return;
	}
	p->in[0] = 0;
	c->peers[make_room(c)] = p;
	if (qmp_greet(p))
		peer_free(p);
}

/*
 * In the good case one system call. Another creator may sit between its bind() and its listen(), and
 * looks like a leftover then; control_remove_stale() tells by the time, so wait that long at most.
 */
static int take_path(int fd, const struct sockaddr_un *sa)
{
	static const struct timespec nap = { .tv_nsec = 100000000 };

	for (unsigned tries = 0;; tries++) {
		int ret;

		if (!bind(fd, (const struct sockaddr *)sa, sizeof(*sa)))
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
		ret = control_remove_stale(sa->sun_path);
		if (ret == -EBUSY && tries < 20)
			nanosleep(&nap, NULL);
		else if (ret && ret != -ENOENT)
			return ret == -EBUSY ? -EADDRINUSE : ret;
		else if (tries >= 20)
			return -EADDRINUSE;
	}
}

int control_create(struct control **out, struct loop *l, const char *path, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct control *c;
	int ret;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "control socket %s: longer than %zu bytes; use a shorter "
			       "--name",
			       path, sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(e, -ENOMEM, "out of memory for the control socket");
	c->loop = l;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* What the file is created with. */
	ret = c->fd < 0 || fchmod(c->fd, 0600) ? -errno : take_path(c->fd, &sa);
	if (ret)
		goto fail;
	c->path = strdup(path);
	if (!c->path)
		ret = -ENOMEM;
	else if (listen(c->fd, SOMAXCONN))
		ret = -errno;
	else
		ret = loop_add(l, c->fd, EPOLLIN, accept_event, c);
	if (ret) {
		unlink(path);
		goto fail;
	}
	*out = c;
	return 0;
fail:
	err_set(e, ret, "control socket %s: %s", path,
		ret == -EADDRINUSE ? "a guest of this name runs already; use another --name"
				   : strerror(-ret));
	if (c->fd >= 0)
		close(c->fd);
	free(c->path);
	free(c);
	return ret;
}

const char *control_file(const struct control *c)
{
	return c->path;
}

void control_destroy(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->peers[i])
			peer_free(c->peers[i]);
	/* While it still listens: nobody else takes the path until it is free. */
	unlink(c->path);
	loop_del(c->loop, c->fd);
	close(c->fd);
	while (c->tables) {
		struct command_table *t = c->tables;

		c->tables = t->next;
		free(t);
	}
	free(c->path);
	free(c);
}
