// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes a ring of bytes to a descriptor without waiting for it (see outlet.h for the four kinds).
 */
#include "vmm/backend/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/reopen.h"
#include "vmm/machine/file_writer.h"

#define FLUSH_NS  10000000ULL
#define RETRY_NS  1000000000ULL
#define FLUSH_LEN 1024
#define SLICE_MS  50

enum outlet_kind {
	OUTLET_NONBLOCK, /* a description of our own, with O_NONBLOCK */
	OUTLET_GATED,	 /* shared with others: poll(), then at most @gate bytes */
	OUTLET_SOCKET,
	OUTLET_FILE, /* by a file_writer */
};

struct outlet {
	struct outlet_config c;
	enum outlet_kind kind;
	int fd;
	size_t gate;
	bool reopened; /* fd is not the caller's */
	bool fifo;     /* a reader that is gone may be followed by another */
	int timer;
	struct file_writer *file; /* of OUTLET_FILE, which has the descriptor then; or NULL */
	struct loop_call try;	  /* the file has room again */

	pthread_mutex_t lock;
	u8 *ring;
	u64 head, tail; /* free-running */
	u64 lost;	/* bytes, since the last mark */
	bool blocked;	/* the last write was refused: the loop or the timer tries again */
	bool stalled; /* and for so long that outlet_wait() does not wait for the reader any more */
	bool starved; /* outlet_write() refused something */
	bool watched; /* fd is in the loop, from the first refusal on */
	bool armed;   /* the timer */
	bool gone;    /* for good: bytes are dropped */
};

static u64 outlet_pending(const struct outlet *o)
{
	return o->head - o->tail;
}

/* Returns true if it is a file that takes nothing at present, though its storage answers. */
static bool outlet_is_full(const struct outlet *o)
{
	return o->file && file_writer_is_full(o->file);
}

/* --- writing, with the lock ----------------------------------------------------------------- */

static ssize_t outlet_put_once(const struct outlet *o, const void *buf, size_t len)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	int ret;

	if (o->kind == OUTLET_FILE) {
		errno = EAGAIN;
		return len ? (ssize_t)file_writer_put(o->file, buf, len, false) : 0;
	}
	if (o->kind == OUTLET_SOCKET)
		return send(o->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (o->kind == OUTLET_GATED) {
		ret = poll(&p, 1, 0);
		if (!ret)
			errno = EAGAIN;
		if (ret <= 0)
			return -1;
		len = len < o->gate ? len : o->gate;
	}
	return write(o->fd, buf, len);
}

static ssize_t outlet_put(const struct outlet *o, const void *buf, size_t len)
{
	ssize_t n;

	do {
		n = outlet_put_once(o, buf, len);
	} while (n < 0 && errno == EINTR);
	return n;
}

static void outlet_arm(struct outlet *o, u64 ns)
{
	if (o->armed)
		return;
	o->armed = true;
	loop_timer_set(o->c.loop, o->timer, ns, 0);
}

static void outlet_on_writable(void *arg, u32 events);

/*
 * Schedules another try: by the loop when the reader takes something, else by the timer. A file's
 * thread calls by itself, unless there was no memory for it. Most guests never get here, so the
 * descriptor is not in the loop from the start.
 */
static void outlet_try_later(struct outlet *o)
{
	o->blocked = true;
	if (!o->watched && o->kind != OUTLET_FILE)
		o->watched = !loop_add(o->c.loop, o->fd, EPOLLOUT, outlet_on_writable, o);
	else if (o->watched)
		loop_mod(o->c.loop, o->fd, EPOLLOUT);
	if (!o->watched)
		outlet_arm(o, RETRY_NS);
}

/* Handles a failed write by @error: tries again later, or gives up for good. */
static void outlet_on_refusal(struct outlet *o, int error)
{
	if (error == EAGAIN) {
		outlet_try_later(o);
		return;
	}
	if (!o->fifo)
		o->gone = true;
	o->tail = o->head;
	o->lost = 0;
}

static bool outlet_put_mark(struct outlet *o)
{
	char line[80];
	ssize_t n;

	if (!o->lost || !o->c.lines)
		return true;
	snprintf(line, sizeof(line), "\r\n[vmm: %llu bytes were lost here]\r\n",
		 (unsigned long long)o->lost);
	n = o->file ? (ssize_t)file_writer_put(o->file, line, strlen(line), true)
		    : outlet_put(o, line, strlen(line));
	if (n <= 0) {
		outlet_on_refusal(o, n ? errno : EAGAIN);
		return false;
	}
	o->lost = 0;
	return true;
}

/* Writes as much as can be written without waiting. */
static void outlet_drain(struct outlet *o)
{
	bool before = o->blocked;

	o->blocked = false;
	if (outlet_pending(o) && outlet_put_mark(o))
		while (outlet_pending(o) && !o->blocked) {
			size_t at = o->tail % OUTLET_RING, len = OUTLET_RING - at;
			ssize_t n;

			if (len > outlet_pending(o))
				len = (size_t)outlet_pending(o);
			n = outlet_put(o, o->ring + at, len);
			if (n <= 0) {
				outlet_on_refusal(o, n ? errno : EAGAIN);
				break;
			}
			o->tail += (u64)n;
			o->stalled = false;
		}
	if (before && !o->blocked && o->watched)
		loop_mod(o->c.loop, o->fd, 0);
}

static void outlet_copy(struct outlet *o, const u8 *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		o->ring[o->head++ % OUTLET_RING] = buf[i];
	if (outlet_pending(o) > OUTLET_RING) {
		o->lost += outlet_pending(o) - OUTLET_RING;
		o->tail = o->head - OUTLET_RING;
	}
}

/* Waits without the lock, for a moment, until the reader or the file takes something. */
static void outlet_nap(struct outlet *o)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };

	pthread_mutex_unlock(&o->lock);
	if (o->file)
		file_writer_wait(o->file, SLICE_MS);
	else
		poll(&p, 1, SLICE_MS);
	pthread_mutex_lock(&o->lock);
}

/*
 * Waits for the reader, without the lock, until there is room for @len bytes of a source that
 * cannot be refused, or until the reader has taken nothing for OUTLET_PATIENCE_MS.
 */
static void outlet_wait(struct outlet *o, size_t len)
{
	u64 seen = o->tail;
	unsigned waited = 0;

	while (!o->gone && !o->stalled && !outlet_is_full(o) &&
	       outlet_pending(o) + len > OUTLET_RING) {
		outlet_nap(o);
		outlet_drain(o);
		waited = o->tail != seen ? 0 : waited + SLICE_MS;
		seen = o->tail;
		o->stalled = waited >= OUTLET_PATIENCE_MS;
	}
}

size_t outlet_write(struct outlet *o, const u8 *buf, size_t len, bool may_refuse)
{
	size_t taken = len;
	bool flush;

	pthread_mutex_lock(&o->lock);
	if (o->gone)
		goto out;
	if (outlet_pending(o) + len > OUTLET_RING && !o->blocked)
		outlet_drain(o);
	if (may_refuse && outlet_pending(o) + len > OUTLET_RING && !outlet_is_full(o)) {
		taken = (size_t)(OUTLET_RING - outlet_pending(o));
		o->starved = true;
	} else if (outlet_pending(o) + len > OUTLET_RING) {
		outlet_wait(o, len);
	}
	outlet_copy(o, buf, taken);
	flush = !o->c.lines || outlet_pending(o) >= FLUSH_LEN || memchr(buf, '\n', taken);
	if (o->blocked)
		goto out;
	if (flush)
		outlet_drain(o);
	else if (outlet_pending(o))
		outlet_arm(o, FLUSH_NS);
out:
	pthread_mutex_unlock(&o->lock);
	return taken;
}

/* --- the loop's thread ----------------------------------------------------------------------- */

static void outlet_try_again(struct outlet *o)
{
	bool room;

	pthread_mutex_lock(&o->lock);
	outlet_drain(o);
	room = o->starved && (outlet_pending(o) < OUTLET_RING / 2 || outlet_is_full(o));
	if (room)
		o->starved = false;
	pthread_mutex_unlock(&o->lock);
	if (room && o->c.room)
		o->c.room(o->c.arg);
}

static void outlet_on_timer(void *arg, u32 expiries)
{
	struct outlet *o = arg;

	(void)expiries;
	pthread_mutex_lock(&o->lock);
	o->armed = false;
	pthread_mutex_unlock(&o->lock);
	outlet_try_again(o);
}

static void outlet_on_file_room(void *arg)
{
	outlet_try_again(arg);
}

/* On the file's thread. */
static void file_has_room(void *arg)
{
	struct outlet *o = arg;

	loop_call(o->c.loop, &o->try);
}

static void outlet_on_writable(void *arg, u32 events)
{
	struct outlet *o = arg;

	pthread_mutex_lock(&o->lock);
	/* No reader, and no bytes whose write would show it: the level would keep the loop busy. */
	if (events & (EPOLLERR | EPOLLHUP) && !outlet_pending(o)) {
		loop_del(o->c.loop, o->fd);
		o->watched = false;
	}
	pthread_mutex_unlock(&o->lock);
	outlet_try_again(o);
}

/* --- life ------------------------------------------------------------------------------------ */

/* Makes the thread's side of a file of which @st was just told. -errno. */
static int outlet_create_file(struct outlet *o, const struct stat *st)
{
	const struct file_writer_config c = {
		.host = o->c.host,
		.fd = o->fd,
		.ours = o->c.ours,
		.size = (u64)st->st_size,
		.max = S_ISREG(st->st_mode) ? OUTLET_FILE_MAX : 0,
		.room = file_has_room,
		.arg = o,
	};

	o->kind = OUTLET_FILE;
	o->try.fn = outlet_on_file_room;
	o->try.arg = o;
	return file_writer_create(&o->file, &c);
}

static int outlet_classify(struct outlet *o)
{
	struct stat st;
	int fd;

	o->fd = o->c.fd;
	if (fstat(o->fd, &st))
		return -errno;
	o->fifo = o->c.ours && S_ISFIFO(st.st_mode);
	if (S_ISSOCK(st.st_mode)) {
		o->kind = OUTLET_SOCKET;
	} else if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)) {
		return outlet_create_file(o, &st);
	} else if (o->c.ours) {
		o->kind = OUTLET_NONBLOCK;
	} else {
		fd = reopen_nonblock(o->fd, &st, O_WRONLY);
		o->reopened = fd >= 0;
		o->fd = fd >= 0 ? fd : o->fd;
		o->kind = fd >= 0 ? OUTLET_NONBLOCK : OUTLET_GATED;
		/*
		 * A pipe that is ready takes PIPE_BUF bytes; a terminal promises nothing beyond
		 * one.
		 */
		o->gate = S_ISFIFO(st.st_mode) ? PIPE_BUF : 1;
	}
	return 0;
}

int outlet_create(struct outlet **out, const struct outlet_config *c)
{
	struct outlet *o = calloc(1, sizeof(*o));
	int ret = -ENOMEM;

	if (!o)
		return -ENOMEM;
	o->c = *c;
	o->timer = -1;
	pthread_mutex_init(&o->lock, NULL);
	o->ring = malloc(OUTLET_RING);
	if (!o->ring)
		goto fail;
	ret = outlet_classify(o);
	if (ret)
		goto fail;
	ret = loop_timer(c->loop, 0, 0, outlet_on_timer, o);
	if (ret < 0)
		goto fail;
	o->timer = ret;
	*out = o;
	return 0;
fail:
	o->c.ours = false;
	outlet_destroy(o, 0);
	return ret;
}

/* Waits with the lock: nobody else writes any more. */
static void outlet_linger(struct outlet *o, s64 until)
{
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	s64 progress = now_ms();
	u64 seen = o->tail;

	outlet_drain(o);
	while (outlet_pending(o) && !o->gone && !o->stalled && now_ms() < until &&
	       now_ms() < progress + OUTLET_PATIENCE_MS) {
		poll(&p, 1, SLICE_MS);
		outlet_drain(o);
		if (o->tail != seen)
			progress = now_ms();
		seen = o->tail;
	}
}

/* Hands over to the file's thread what it takes; true: there is more, for which it has no room. */
static bool outlet_hand_over(struct outlet *o)
{
	bool more;

	pthread_mutex_lock(&o->lock);
	outlet_drain(o);
	more = outlet_pending(o);
	pthread_mutex_unlock(&o->lock);
	return more;
}

bool outlet_end(struct outlet *o)
{
	/* Also if the file is full: the thread tries it once more, and it may have room by now. */
	return o && o->file && file_writer_end(o->file, outlet_hand_over(o));
}

s64 outlet_held_ms(const struct outlet *o)
{
	return o && o->file ? file_writer_held_ms(o->file) : 0;
}

/* Waits for the file, as long as its storage takes. */
static void outlet_finish_file(struct outlet *o)
{
	while (outlet_end(o))
		file_writer_wait(o->file, SLICE_MS);
}

u64 outlet_destroy(struct outlet *o, s64 until_ms)
{
	u64 left = 0;

	if (!o)
		return 0;
	if (o->timer >= 0) {
		if (o->file)
			outlet_finish_file(o);
		pthread_mutex_lock(&o->lock);
		if (!o->file)
			outlet_linger(o, until_ms);
		left = o->gone ? 0 : outlet_pending(o) + o->lost;
		pthread_mutex_unlock(&o->lock);
		loop_timer_del(o->c.loop, o->timer);
	}
	if (o->watched)
		loop_del(o->c.loop, o->fd);
	left += file_writer_destroy(o->file);
	if (o->reopened || (o->c.ours && !o->file))
		close(o->fd);
	pthread_mutex_destroy(&o->lock);
	free(o->ring);
	free(o);
	return left;
}
