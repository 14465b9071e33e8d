// SPDX-License-Identifier: GPL-2.0-only
/* Serves the console to its viewers, each at its own pace, from one ring. */
#include "vmm/backend/viewers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/eventfd.h"
#include "base/socket_read.h"
#include "vmm/machine/closer.h"

#define FLUSH_NS  10000000ULL /* a serial port writes byte by byte */
#define FLUSH_LEN 512
#define LINGER_MS 200

struct viewer {
	struct viewers *v;
	int fd; /* -1: free */
	/* Protected by the lock. */
	u64 tail, missed;
	bool want_out;
	/* Main thread. */
	bool want_in, eof;
	u8 in[512];
	size_t in_at, in_len;
};

struct viewers {
	struct loop *loop;
	struct closer *closer; /* or NULL */
	size_t (*input)(void *arg, const u8 *buf, size_t len);
	void *arg;
	int timer, room_fd; /* -1 until the first viewer; room_fd: atomic */
	pthread_mutex_t lock;
	u8 *ring;     /* or NULL: there is no viewer and nothing is kept */
	u64 head;     /* free-running */
	u64 unserved; /* bytes that wait for the timer */
	bool armed;
	struct viewer viewers[VIEWERS_MAX];
};

/* --- output, with the lock ----------------------------------------------------------------- */

static void viewer_watch(struct viewer *w)
{
	loop_mod(w->v->loop, w->fd,
		 (w->want_in ? (u32)EPOLLIN : 0) | (w->want_out ? (u32)EPOLLOUT : 0));
}

static ssize_t viewer_send(const struct viewer *w, const void *buf, size_t len)
{
	ssize_t n;

	do {
		n = send(w->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n;
}

/*
 * Sends as much as the viewer takes; EPOLLOUT asks for the rest. recv() reports a viewer that is
 * gone.
 */
static void viewer_serve(struct viewer *w)
{
	struct viewers *v = w->v;
	bool before = w->want_out, full = false;
	char line[80];

	if (v->head - w->tail > VIEWERS_RING) {
		w->missed += v->head - w->tail - VIEWERS_RING;
		w->tail = v->head - VIEWERS_RING;
	}
	if (w->missed) {
		snprintf(line, sizeof(line), "\r\n[vmm: %llu bytes were lost here]\r\n",
			 (unsigned long long)w->missed);
		full = viewer_send(w, line, strlen(line)) < 0;
		w->missed = full ? w->missed : 0;
	}
	while (!full && w->tail != v->head) {
		size_t at = w->tail % VIEWERS_RING, len = VIEWERS_RING - at;
		ssize_t n;

		if (len > v->head - w->tail)
			len = (size_t)(v->head - w->tail);
		n = viewer_send(w, v->ring + at, len);
		if (n > 0)
			w->tail += (u64)n;
		full = n <= 0;
	}
	w->want_out = full;
	if (w->want_out != before)
		viewer_watch(w);
}

static void viewers_serve_all(struct viewers *v)
{
	v->unserved = 0;
	for (size_t i = 0; i < VIEWERS_MAX; i++)
		if (v->viewers[i].fd >= 0 && !v->viewers[i].want_out)
			viewer_serve(&v->viewers[i]);
}

void viewers_write(struct viewers *v, const u8 *buf, size_t len)
{
	bool line = false;

	pthread_mutex_lock(&v->lock);
	if (!v->ring)
		goto out;
	for (size_t i = 0; i < len; i++) {
		v->ring[v->head++ % VIEWERS_RING] = buf[i];
		line |= buf[i] == '\n';
	}
	if (v->timer < 0)
		goto out;
	v->unserved += len;
	if (line || v->unserved >= FLUSH_LEN) {
		viewers_serve_all(v);
	} else if (!v->armed) {
		v->armed = true;
		loop_timer_set(v->loop, v->timer, FLUSH_NS, 0);
	}
out:
	pthread_mutex_unlock(&v->lock);
}

static void on_viewers_timer(void *arg, u32 expiries)
{
	struct viewers *v = arg;

	(void)expiries;
	pthread_mutex_lock(&v->lock);
	v->armed = false;
	viewers_serve_all(v);
	pthread_mutex_unlock(&v->lock);
}

/* --- viewers, main thread ------------------------------------------------------------------ */

/* Has a descriptor closed that nobody wants, and that may be anything. */
static void viewer_drop_fd(void *arg, int fd)
{
	const struct viewer *w = arg;

	closer_close(w->v->closer, fd, "a viewer's descriptor");
}

static void viewer_leave(struct viewer *w)
{
	socket_empty(w->fd, viewer_drop_fd, w);
	pthread_mutex_lock(&w->v->lock);
	loop_del(w->v->loop, w->fd);
	close(w->fd);
	w->fd = -1;
	pthread_mutex_unlock(&w->v->lock);
}

static void viewer_want_input(struct viewer *w, bool on)
{
	pthread_mutex_lock(&w->v->lock);
	if (w->want_in != on) {
		w->want_in = on;
		viewer_watch(w);
	}
	pthread_mutex_unlock(&w->v->lock);
}

static void viewer_feed_guest(struct viewer *w)
{
	w->in_at += w->v->input(w->v->arg, w->in + w->in_at, w->in_len - w->in_at);
	viewer_want_input(w, w->in_at == w->in_len && !w->eof);
}

static void on_viewer(void *arg, u32 events)
{
	struct viewer *w = arg;
	ssize_t n;

	if (events & EPOLLOUT) {
		pthread_mutex_lock(&w->v->lock);
		viewer_serve(w);
		pthread_mutex_unlock(&w->v->lock);
	}
	if ((events & EPOLLIN) && w->want_in) {
		n = socket_read(w->fd, w->in, sizeof(w->in), viewer_drop_fd, w);
		if (n > 0) {
			w->in_at = 0;
			w->in_len = (size_t)n;
			viewer_feed_guest(w);
		} else if (!n) {
			/*
			 * The viewer sends no more but may still read; its hang-up is another
			 * event.
			 */
			w->eof = true;
			viewer_want_input(w, false);
		} else if (errno != EAGAIN && errno != EINTR) {
			viewer_leave(w);
			return;
		}
	}
	if (events & (EPOLLHUP | EPOLLERR))
		viewer_leave(w);
}

static void on_viewers_room(void *arg, u32 events)
{
	struct viewers *v = arg;
	eventfd_t n;

	(void)events;
	if (eventfd_read(v->room_fd, &n))
		return;
	for (size_t i = 0; i < VIEWERS_MAX; i++)
		if (v->viewers[i].fd >= 0 && v->viewers[i].in_at < v->viewers[i].in_len)
			viewer_feed_guest(&v->viewers[i]);
}

void viewers_room(struct viewers *v)
{
	int fd = __atomic_load_n(&v->room_fd, __ATOMIC_ACQUIRE);

	if (fd >= 0)
		eventfd_signal(fd);
}

/* Makes timer, eventfd and ring, which a guest without viewers does not need. */
static int viewers_open_parts(struct viewers *v)
{
	u8 *ring = NULL;
	int fd, ret;

	if (v->timer < 0) {
		ret = loop_timer(v->loop, 0, 0, on_viewers_timer, v);
		if (ret < 0)
			return ret;
		pthread_mutex_lock(&v->lock);
		v->timer = ret;
		pthread_mutex_unlock(&v->lock);
	}
	if (v->room_fd < 0) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd < 0)
			return -errno;
		ret = loop_add(v->loop, fd, EPOLLIN, on_viewers_room, v);
		if (ret) {
			close(fd);
			return ret;
		}
		__atomic_store_n(&v->room_fd, fd, __ATOMIC_RELEASE);
	}
	if (!v->ring) {
		ring = malloc(VIEWERS_RING);
		if (!ring)
			return -ENOMEM;
		pthread_mutex_lock(&v->lock);
		v->ring = ring;
		pthread_mutex_unlock(&v->lock);
	}
	return 0;
}

static bool is_stream_socket(int fd)
{
	int type = 0, domain = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return false;
	len = sizeof(domain);
	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX;
}

int viewers_add(struct viewers *v, int fd, struct err *e)
{
	struct viewer *w = NULL;
	int ret;

	for (size_t i = 0; i < VIEWERS_MAX && !w; i++)
		if (v->viewers[i].fd < 0)
			w = &v->viewers[i];
	if (!is_stream_socket(fd))
		return err_set(e, -ENOTSOCK, "a console needs a stream socket");
	if (!w)
		return err_set(e, -EBUSY,
			       "%d look at this console already; detach one of them (Ctrl-a d)",
			       VIEWERS_MAX);
	ret = viewers_open_parts(v);
	if (ret)
		return err_set(e, ret, "the console cannot be attached to: %s", strerror(-ret));
	pthread_mutex_lock(&v->lock);
	*w = (struct viewer){ .v = v, .fd = fd, .want_in = true };
	w->tail = v->head > VIEWERS_RING ? v->head - VIEWERS_RING : 0;
	ret = loop_add(v->loop, fd, EPOLLIN, on_viewer, w);
	if (ret)
		w->fd = -1;
	else
		viewer_serve(w);
	pthread_mutex_unlock(&v->lock);
	return ret ? err_set(e, ret, "the console cannot be attached to: %s", strerror(-ret)) : 0;
}

unsigned viewers_count(struct viewers *v)
{
	unsigned n = 0;

	for (size_t i = 0; i < VIEWERS_MAX; i++)
		n += v->viewers[i].fd >= 0;
	return n;
}

/* --- life ---------------------------------------------------------------------------------- */

int viewers_create(struct viewers **out, struct loop *l, bool keep, struct closer *c,
		   size_t (*input)(void *arg, const u8 *buf, size_t len), void *arg)
{
	struct viewers *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->loop = l;
	v->closer = c;
	v->input = input;
	v->arg = arg;
	v->timer = v->room_fd = -1;
	for (size_t i = 0; i < VIEWERS_MAX; i++)
		v->viewers[i].fd = -1;
	pthread_mutex_init(&v->lock, NULL);
	v->ring = keep ? malloc(VIEWERS_RING) : NULL;
	if (keep && !v->ring) {
		viewers_destroy(v, 0);
		return -ENOMEM;
	}
	*out = v;
	return 0;
}

void viewers_destroy(struct viewers *v, s64 until_ms)
{
	if (!v)
		return;
	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < VIEWERS_MAX; i++) {
		struct viewer *w = &v->viewers[i];
		struct pollfd p = { .fd = w->fd, .events = POLLOUT };

		if (w->fd < 0)
			continue;
		do {
			viewer_serve(w);
		} while (w->want_out && now_ms() < until_ms && poll(&p, 1, LINGER_MS) > 0 &&
			 !(p.revents & (POLLERR | POLLHUP)));
		loop_del(v->loop, w->fd);
		socket_empty(w->fd, viewer_drop_fd, w);
		close(w->fd);
	}
	pthread_mutex_unlock(&v->lock);
	if (v->timer >= 0)
		loop_timer_del(v->loop, v->timer);
	if (v->room_fd >= 0) {
		loop_del(v->loop, v->room_fd);
		close(v->room_fd);
	}
	pthread_mutex_destroy(&v->lock);
	free(v->ring);
	free(v);
}
