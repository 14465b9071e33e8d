// SPDX-License-Identifier: GPL-2.0-only
/* Moves the bytes and descriptors of one client of the control socket. */
#include "vmm/control/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/socket_read.h"

/* Sends what the socket takes of the output. 0, or -errno: the client must go. */
static int peer_flush(struct peer *p)
{
	while (p->out_done < p->out_len) {
		ssize_t n = send(p->fd, p->out + p->out_done, p->out_len - p->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return loop_mod(p->loop, p->fd, EPOLLIN | EPOLLOUT);
		if (n <= 0)
			return -EPIPE;
		p->out_done += (size_t)n;
	}
	free(p->out);
	p->out = NULL;
	p->out_len = p->out_done = p->out_size = 0;
	return 0;
}

/*
 * Makes room for @len bytes more. It at least doubles, so that thousands of answers for a client
 * that reads slowly do not each copy all those before.
 */
static int peer_make_room(struct peer *p, size_t len)
{
	size_t size = p->out_len + len;
	char *bigger;

	if (size <= p->out_size)
		return 0;
	if (size < 2 * p->out_size)
		size = 2 * p->out_size < 2 * PEER_OUTPUT_MAX ? 2 * p->out_size
							     : 2 * PEER_OUTPUT_MAX;
	bigger = realloc(p->out, size);
	if (!bigger)
		return -ENOMEM;
	p->out = bigger;
	p->out_size = size;
	return 0;
}

int peer_send(struct peer *p, const char *text, size_t len)
{
	bool waits = p->out_len;
	int ret;

	/* Bytes that were sent do not count against a client that reads slowly, but does read. */
	if (p->out_done > p->out_len / 2) {
		p->out_len -= p->out_done;
		memmove(p->out, p->out + p->out_done, p->out_len);
		p->out_done = 0;
	}
	if (p->out_len - p->out_done + len > PEER_OUTPUT_MAX)
		return -EMSGSIZE;
	ret = peer_make_room(p, len);
	if (ret)
		return ret;
	memcpy(p->out + p->out_len, text, len);
	p->out_len += len;
	return waits ? 0 : peer_flush(p);
}

void peer_hang_up(struct peer *p)
{
	shutdown(p->fd, SHUT_RDWR);
}

void peer_drop_fd(struct peer *p, int fd)
{
	if (p->ops->drop)
		p->ops->drop(p, fd);
	else
		close(fd);
}

/* Keeps a descriptor that came with a piece of input, or drops it if there is no room for it. */
static void peer_keep_fd(void *arg, int fd)
{
	struct peer *p = arg;

	if (p->n_loose < PEER_LOOSE_FDS && !p->drops)
		p->loose[p->n_loose++] = fd;
	else
		peer_drop_fd(p, fd);
}

int peer_take_fd(struct peer *p)
{
	int fd;

	if (!p->n_loose)
		return -1;
	fd = p->loose[0];
	p->n_loose--;
	memmove(p->loose, p->loose + 1, p->n_loose * sizeof(*p->loose));
	return fd;
}

void peer_consume(struct peer *p, size_t n)
{
	p->in_len -= n;
	memmove(p->in, p->in + n, p->in_len);
	p->in[p->in_len] = 0;
}

void peer_go_on_later(struct peer *p)
{
	p->more = true;
	p->ops->wants_turn(p);
}

/* Hands the input to its owner. -errno: the client must go. */
static int peer_hand_over(struct peer *p)
{
	int ret;

	p->more = false;
	ret = p->ops->input(p);
	/* One object fills all the room, so its end cannot be read. */
	return !ret && !p->more && p->in_len == PEER_INPUT_MAX ? -EMSGSIZE : ret;
}

void peer_go_on(struct peer *p)
{
	if (peer_hand_over(p))
		peer_close(p);
}

/* Reads a piece of input, which is handed over in its turn. -errno: the client must go. */
static int peer_read(struct peer *p)
{
	ssize_t n =
		socket_read(p->fd, p->in + p->in_len, PEER_INPUT_MAX - p->in_len, peer_keep_fd, p);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -EPIPE;
	p->in_len += (size_t)n;
	p->in[p->in_len] = 0;
	peer_go_on_later(p);
	return 0;
}

static void on_peer(void *arg, u32 events)
{
	struct peer *p = arg;
	int ret = 0;

	if (events & EPOLLOUT) {
		ret = peer_flush(p);
		if (!ret && !p->out)
			ret = loop_mod(p->loop, p->fd, EPOLLIN);
	}
	/* Until its turn has emptied the input, nothing is read, and no end of the client seen. */
	if (!ret && !p->more && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		ret = peer_read(p);
	if (ret)
		peer_close(p);
}

int peer_open(struct peer *p, struct loop *l, int fd, const struct peer_ops *ops)
{
	int ret;

	p->loop = l;
	p->ops = ops;
	p->fd = fd;
	p->in = malloc(PEER_INPUT_MAX + 1);
	if (!p->in)
		return -ENOMEM;
	p->in[0] = 0;
	ret = loop_add(l, fd, EPOLLIN, on_peer, p);
	if (ret)
		free(p->in);
	return ret;
}

void peer_close(struct peer *p)
{
	while (p->n_loose)
		peer_drop_fd(p, p->loose[--p->n_loose]);
	p->drops = true;
	socket_empty(p->fd, peer_keep_fd, p);
	loop_del(p->loop, p->fd);
	close(p->fd);
	free(p->in);
	free(p->out);
	p->ops->gone(p);
}
