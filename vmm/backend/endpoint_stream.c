// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements the endpoint on a pseudo-terminal or a UNIX socket, behind a ring of bytes.
 *
 * All reading happens on the main thread; a write by the guest goes out at once if the ring is
 * empty, else behind the bytes that wait there. The pseudo-terminal's other end is kept open,
 * because the kernel reports a master whose slave is closed as hung up, for ever; so it is unknown
 * whether the terminal has a reader.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/eventfd.h"
#include "base/listener.h"
#include "base/socket_file.h"
#include "base/socket_read.h"
#include "vmm/backend/endpoint_int.h"
#include "vmm/machine/closer.h"

#define LINGER_MS 200 /* for a client to take what is left at the end */

struct stream {
	struct endpoint ep; /* first */
	struct loop *loop;
	int listener, slave; /* or -1 */
	int room_fd;	     /* the guest has room again */
	bool owns_file;	     /* the socket's file is ours to remove */
	struct socket_id id; /* of that file */
	char path[120];	     /* the slave's, or that of a given socket */

	pthread_mutex_t lock;
	int fd; /* the client, or the terminal's master; -1 */
	bool want_in, want_out;
	bool eof;     /* the client sends no more; it may still read */
	bool parked;  /* the client is gone, but its last input is not taken yet: not in the loop */
	bool starved; /* endpoint_write() refused something */
	u8 *ring;
	u64 head, tail; /* free-running */

	/* Input: main thread. */
	u8 in[512];
	size_t in_at, in_len;
};

static struct stream *stream_of(struct endpoint *ep)
{
	return (struct stream *)(void *)ep;
}

/* --- output, with the lock ----------------------------------------------------------------- */

static void stream_watch(struct stream *s)
{
	if (s->fd >= 0)
		loop_mod(s->loop, s->fd,
			 (s->want_in ? (u32)EPOLLIN : 0) | (s->want_out ? (u32)EPOLLOUT : 0));
}

static void stream_drain(struct stream *s)
{
	bool before = s->want_out;

	while (s->fd >= 0 && s->head != s->tail) {
		size_t at = s->tail % ENDPOINT_RING, len = ENDPOINT_RING - at;
		ssize_t n;

		if (len > s->head - s->tail)
			len = (size_t)(s->head - s->tail);
		n = write(s->fd, s->ring + at, len);
		if (n > 0)
			s->tail += (u64)n;
		else if (n < 0 && errno != EINTR)
			break; /* full; or gone, which the next read notices */
	}
	s->want_out = s->head != s->tail;
	if (s->want_out != before)
		stream_watch(s);
}

static size_t stream_write(struct endpoint *ep, const u8 *buf, size_t len, bool may_refuse)
{
	struct stream *s = stream_of(ep);
	size_t taken = len;
	u64 free_bytes;

	pthread_mutex_lock(&s->lock);
	if (s->fd >= 0 && s->head - s->tail + len > ENDPOINT_RING)
		stream_drain(s);
	free_bytes = ENDPOINT_RING - (s->head - s->tail);
	if (may_refuse && s->listener >= 0 && s->fd >= 0 && taken > free_bytes) {
		taken = (size_t)free_bytes;
		s->starved = true;
	}
	for (size_t i = 0; i < taken; i++)
		s->ring[s->head++ % ENDPOINT_RING] = buf[i];
	if (s->head - s->tail > ENDPOINT_RING)
		s->tail = s->head - ENDPOINT_RING;
	if (!s->want_out)
		stream_drain(s);
	pthread_mutex_unlock(&s->lock);
	return taken;
}

/* --- the client, main thread --------------------------------------------------------------- */

/* Has a descriptor closed that nobody wants, and that may be anything. */
static void stream_drop_fd(void *arg, int fd)
{
	const struct stream *s = arg;

	closer_close(s->ep.c.closer, fd, "a client's descriptor");
}

static void stream_hang_up(struct stream *s)
{
	bool starved;

	if (s->listener >= 0)
		socket_empty(s->fd, stream_drop_fd, s);
	pthread_mutex_lock(&s->lock);
	loop_del(s->loop, s->fd);
	close(s->fd);
	s->fd = -1;
	s->want_out = s->eof = s->parked = false;
	starved = s->starved;
	s->starved = false;
	pthread_mutex_unlock(&s->lock);
	s->in_at = s->in_len = 0;
	if (starved && s->ep.c.room)
		s->ep.c.room(s->ep.c.arg);
}

static void on_stream_client(void *arg, u32 events);

static void stream_want_input(struct stream *s, bool on)
{
	pthread_mutex_lock(&s->lock);
	if (s->parked && on && !loop_add(s->loop, s->fd, EPOLLIN, on_stream_client, s))
		s->parked = false;
	if (s->want_in != on) {
		s->want_in = on;
		stream_watch(s);
	}
	pthread_mutex_unlock(&s->lock);
}

static void stream_feed_guest(struct stream *s)
{
	s->in_at += s->ep.c.input(s->ep.c.arg, s->in + s->in_at, s->in_len - s->in_at);
	stream_want_input(s, s->in_at == s->in_len && !s->eof);
}

static void stream_read_client(struct stream *s)
{
	ssize_t n = s->listener >= 0 ? socket_read(s->fd, s->in, sizeof(s->in), stream_drop_fd, s)
				     : read(s->fd, s->in, sizeof(s->in));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		stream_hang_up(s);
		return;
	}
	if (!n) {
		s->eof = true;
		stream_want_input(s, false); /* until it hangs up */
		return;
	}
	s->in_at = 0;
	s->in_len = (size_t)n;
	stream_feed_guest(s);
}

static void on_stream_client(void *arg, u32 events)
{
	struct stream *s = arg;
	bool room = false;

	if (events & EPOLLOUT) {
		pthread_mutex_lock(&s->lock);
		stream_drain(s);
		if (s->starved && s->head - s->tail < ENDPOINT_RING / 2) {
			s->starved = false;
			room = true;
		}
		pthread_mutex_unlock(&s->lock);
	}
	if (room && s->ep.c.room)
		s->ep.c.room(s->ep.c.arg);
	if ((events & EPOLLIN) && s->want_in) {
		stream_read_client(s);
	} else if ((events & (EPOLLHUP | EPOLLERR)) && s->in_at < s->in_len) {
		loop_del(s->loop, s->fd);
		s->parked = true;
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		stream_hang_up(s);
	}
}

static void on_stream_room(void *arg, u32 events)
{
	struct stream *s = arg;
	u64 n;

	(void)events;
	if (read(s->room_fd, &n, sizeof(n)) > 0 && s->in_at < s->in_len)
		stream_feed_guest(s);
}

static void stream_room(struct endpoint *ep)
{
	eventfd_signal(stream_of(ep)->room_fd);
}

static int stream_adopt(struct stream *s, int fd)
{
	int ret;

	pthread_mutex_lock(&s->lock);
	s->fd = fd;
	s->want_in = true;
	s->want_out = false;
	ret = loop_add(s->loop, fd, EPOLLIN, on_stream_client, s);
	if (ret) {
		s->fd = -1;
		close(fd);
	} else {
		stream_drain(s);
	}
	pthread_mutex_unlock(&s->lock);
	return ret;
}

static void on_stream_connection(void *arg, u32 events)
{
	struct stream *s = arg;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (s->fd >= 0)
		stream_hang_up(s);
	stream_adopt(s, fd);
}

/* --- life ---------------------------------------------------------------------------------- */

static int stream_open_pty(struct stream *s, struct err *e)
{
	struct termios t;
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    ptsname_r(master, s->path, sizeof(s->path)))
		goto fail;
	s->slave = open(s->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->slave < 0 || tcgetattr(s->slave, &t))
		goto fail;
	cfmakeraw(&t);
	if (tcsetattr(s->slave, TCSANOW, &t))
		goto fail;
	note_put(machine_notes(s->ep.c.m), "%s is on %s", s->ep.c.name, s->path);
	return stream_adopt(s, master);
fail:
	err_set(e, -errno, "%s: cannot make a pseudo-terminal: %s", s->ep.c.name, strerror(errno));
	if (master >= 0)
		close(master);
	return -EIO;
}

/*
 * Binds the listener. A socket that a guest left behind when it was killed is replaced; any other
 * file at the path stays. For a second after it was made, a leftover cannot be told from a socket
 * that is about to be listened on, so it is asked about again. -errno.
 */
static int bind_listener(const struct stream *s, const struct sockaddr_un *a)
{
	const struct sockaddr *sa = (const struct sockaddr *)(const void *)a;
	const struct timespec pause = { .tv_nsec = 50000000 };

	for (unsigned tries = 0; tries < 30; tries++) {
		int ret = bind(s->listener, sa, sizeof(*a)) ? -errno : 0;

		if (ret != -EADDRINUSE)
			return ret;
		ret = socket_file_remove_stale(a->sun_path);
		if (ret == -EBUSY)
			nanosleep(&pause, NULL);
		else if (ret && ret != -ENOENT)
			return ret;
	}
	return -EADDRINUSE;
}

static int stream_listen(struct stream *s, struct err *e)
{
	int ret = loop_add(s->loop, s->listener, EPOLLIN, on_stream_connection, s);

	return ret ? err_set(e, ret, "%s: cannot wait for clients", s->ep.c.name) : 0;
}

static int stream_open_socket(struct stream *s, struct err *e)
{
	const char *path = s->ep.c.what->path;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int ret;

	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG, "%s: %s: a socket's path has less than %zu bytes",
			       s->ep.c.name, path, sizeof(a.sun_path));
	memcpy(a.sun_path, path, strlen(path));
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/*
	 * The socket's mode becomes the file's at bind(): other users do not get at the guest's
	 * console.
	 */
	ret = s->listener < 0 || fchmod(s->listener, 0600) ? -errno : bind_listener(s, &a);
	if (!ret) {
		ret = socket_file_id(path, &s->id);
		s->owns_file = !ret;
	}
	if (!ret && listen(s->listener, 4))
		ret = -errno;
	if (ret)
		return err_set(e, ret, "%s: cannot listen on %s: %s%s", s->ep.c.name, path,
			       ret == -ETIMEDOUT ? "a process keeps its directory locked; see "
						   "lslocks(8)"
						 : strerror(-ret),
			       ret == -EADDRINUSE ? "; another program listens there, or it is a "
						    "file of another kind, which stays as it is"
						  : "");
	return stream_listen(s, e);
}

/* Takes over a socket that the starter has made. */
static int stream_open_given(struct stream *s, struct err *e)
{
	int fd = s->ep.c.what->fd, ret = listener_take(fd, s->ep.c.name, e);

	if (ret)
		return ret;
	s->listener = fd;
	listener_path(fd, s->path, sizeof(s->path));
	return stream_listen(s, e);
}

static int stream_open(struct stream *s, struct err *e)
{
	switch (s->ep.c.what->kind) {
	case SPEC_PTY:
		return stream_open_pty(s, e);
	case SPEC_SOCKET_FD:
		return stream_open_given(s, e);
	default:
		return stream_open_socket(s, e);
	}
}

static bool stream_disown(struct endpoint *ep, struct confine_file *file)
{
	struct stream *s = stream_of(ep);

	if (!s->owns_file)
		return false;
	s->owns_file = false;
	*file = (struct confine_file){ .path = ep->c.what->path, .id = &s->id };
	return true;
}

/* Lets go the clients that nobody has let in, with what they have sent. */
static void drop_waiting_clients(struct stream *s)
{
	int fd;

	/* One of the starter's may be another process's, too, and its clients with it. */
	if (s->ep.c.what->kind != SPEC_SOCKET)
		return;
	shutdown(s->listener, SHUT_RDWR);
	while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		socket_empty(fd, stream_drop_fd, s);
		close(fd);
	}
}

static void stream_destroy(struct endpoint *ep, s64 until_ms)
{
	struct stream *s = stream_of(ep);
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	bool socket = s->listener >= 0;

	if (socket) {
		loop_del(s->loop, s->listener);
		drop_waiting_clients(s);
		close(s->listener);
		if (s->owns_file)
			socket_file_remove(s->ep.c.what->path, &s->id);
	}
	pthread_mutex_lock(&s->lock);
	/* A pseudo-terminal cannot be read after its master is closed. */
	while (s->fd >= 0 && s->slave < 0 && s->head != s->tail && now_ms() < until_ms &&
	       poll(&p, 1, LINGER_MS) > 0 && !(p.revents & (POLLERR | POLLHUP)))
		stream_drain(s);
	pthread_mutex_unlock(&s->lock);
	if (s->fd >= 0) {
		loop_del(s->loop, s->fd);
		if (socket)
			socket_empty(s->fd, stream_drop_fd, s);
		close(s->fd);
	}
	if (s->slave >= 0)
		close(s->slave);
	if (s->room_fd >= 0) {
		loop_del(s->loop, s->room_fd);
		close(s->room_fd);
	}
	pthread_mutex_destroy(&s->lock);
	free(s->ring);
	free(s);
}

static void stream_describe(const struct endpoint *ep, char *buf, size_t len)
{
	const struct stream *s = (const struct stream *)(const void *)ep;

	if (ep->c.what->kind == SPEC_PTY)
		snprintf(buf, len, "pty:%s", s->path);
	else
		snprintf(buf, len, "unix:%s,server=on",
			 ep->c.what->kind == SPEC_SOCKET ? ep->c.what->path : s->path);
}

int endpoint_stream_create(struct endpoint **out, const struct endpoint_config *c, struct err *e)
{
	static const struct endpoint_ops ops = {
		.destroy = stream_destroy,
		.write = stream_write,
		.room = stream_room,
		.describe = stream_describe,
		.disown = stream_disown,
	};
	struct stream *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&s->lock, NULL);
	s->ep.ops = &ops;
	s->ep.c = *c;
	s->loop = machine_loop(c->m);
	s->fd = s->listener = s->slave = -1;
	s->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->ring = malloc(ENDPOINT_RING);
	ret = s->ring && s->room_fd >= 0 ? loop_add(s->loop, s->room_fd, EPOLLIN, on_stream_room, s)
					 : -ENOMEM;
	if (ret)
		err_set(e, ret, "%s: cannot be set up: %s", c->name, strerror(-ret));
	else
		ret = stream_open(s, e);
	if (ret) {
		stream_destroy(&s->ep, 0);
		return ret;
	}
	*out = &s->ep;
	return 0;
}
