// SPDX-License-Identifier: GPL-2.0-only
/* Writes a ring of bytes to a file on a thread that does nothing else. */
#include "vmm/machine/file_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define RETRY_MS 1000

struct file_writer {
	struct file_writer_config c;
	struct host_thread thread;
	bool started; /* atomic: the thread was asked for, and has not failed */
	bool ended;   /* atomic, changed with the lock: the thread makes no call any more */
	u64 size;     /* of the file; the thread's */

	pthread_mutex_t lock;
	pthread_cond_t work;  /* for the thread: there are bytes, or the end */
	pthread_cond_t taken; /* for file_writer_wait() */
	u64 head, tail;	      /* free-running */
	s64 since;	      /* when the call under way began, in ms; 0: there is none */
	bool refused;	      /* file_writer_put() refused something */
	bool full, ending;
	bool more;   /* with @ending: bytes are still to be put */
	int regular; /* what file_writer_regular() says */
	u8 *ring;    /* NULL: no bytes yet */
};

static size_t writer_pending(const struct file_writer *w)
{
	return (size_t)(w->head - w->tail);
}

/* --- the thread ------------------------------------------------------------------------------ */

/* Makes the calls that may wait for the storage, without the lock. -1: the file is full. */
static ssize_t file_take(struct file_writer *w, const u8 *buf, size_t len)
{
	struct stat st;
	ssize_t n;

	if (w->c.max && w->size >= w->c.max) {
		/* The file may have been shortened meanwhile. */
		if (!fstat(w->c.fd, &st))
			w->size = (u64)st.st_size;
		if (w->size >= w->c.max)
			return -1;
	}
	do {
		n = write(w->c.fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		w->size += (u64)n;
	return n > 0 ? n : -1;
}

/*
 * Writes what lies in one piece, with the lock, which is given back meanwhile: nobody changes these
 * bytes of the ring before the tail has moved.
 */
static void writer_write_piece(struct file_writer *w)
{
	size_t at = w->tail % FILE_WRITER_RING, len = FILE_WRITER_RING - at;
	ssize_t n;

	if (len > writer_pending(w))
		len = writer_pending(w);
	w->since = now_ms();
	pthread_mutex_unlock(&w->lock);
	n = file_take(w, w->ring + at, len);
	pthread_mutex_lock(&w->lock);
	w->since = 0;
	w->full = n < 0;
	if (n > 0)
		w->tail += (u64)n;
	pthread_cond_broadcast(&w->taken);
	if (!w->refused || (!w->full && writer_pending(w) > FILE_WRITER_RING / 2))
		return;
	w->refused = false;
	if (!w->c.room)
		return;
	pthread_mutex_unlock(&w->lock);
	w->c.room(w->c.arg);
	pthread_mutex_lock(&w->lock);
}

static struct timespec deadline_in(s64 ms)
{
	u64 ns = now_ns() + (u64)ms * NS_PER_MS;

	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_SECOND),
				  .tv_nsec = (long)(ns % NS_PER_SECOND) };
}

static void writer_await_room_on_disk(struct file_writer *w)
{
	struct timespec until = deadline_in(RETRY_MS);

	while (!w->ending && pthread_cond_timedwait(&w->work, &w->lock, &until) != ETIMEDOUT)
		;
}

static void writer_close(struct file_writer *w)
{
	w->since = now_ms();
	pthread_mutex_unlock(&w->lock);
	if (w->c.ours)
		close(w->c.fd);
	pthread_mutex_lock(&w->lock);
	w->since = 0;
}

static void writer_look(struct file_writer *w)
{
	struct stat st;
	int ret;

	w->since = now_ms();
	pthread_mutex_unlock(&w->lock);
	ret = fstat(w->c.fd, &st);
	pthread_mutex_lock(&w->lock);
	w->since = 0;
	w->regular = !ret && S_ISREG(st.st_mode);
}

static void file_writer_run(void *arg)
{
	struct file_writer *w = arg;

	pthread_mutex_lock(&w->lock);
	if (w->c.look)
		writer_look(w);
	while (!w->ending || w->more || writer_pending(w)) {
		if (!writer_pending(w)) {
			pthread_cond_wait(&w->work, &w->lock);
			continue;
		}
		writer_write_piece(w);
		if (w->full && w->ending)
			break;
		if (w->full)
			writer_await_room_on_disk(w);
	}
	writer_close(w);
	__atomic_store_n(&w->ended, true, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&w->taken);
	pthread_mutex_unlock(&w->lock);
}

/* The next bytes, or the end, ask for the thread anew. */
static void writer_thread_failed(void *arg)
{
	struct file_writer *w = arg;

	__atomic_store_n(&w->started, false, __ATOMIC_RELEASE);
}

static void writer_start(struct file_writer *w)
{
	if (__atomic_load_n(&w->started, __ATOMIC_ACQUIRE) ||
	    __atomic_exchange_n(&w->started, true, __ATOMIC_ACQ_REL))
		return;
	if (host_thread_start(w->c.host, &w->thread))
		writer_thread_failed(w);
}

/* --- other threads --------------------------------------------------------------------------- */

size_t file_writer_put(struct file_writer *w, const void *buf, size_t len, bool whole)
{
	size_t room, taken, first;

	pthread_mutex_lock(&w->lock);
	if (!w->ring)
		w->ring = malloc(FILE_WRITER_RING);
	room = w->ring && !w->ended ? FILE_WRITER_RING - writer_pending(w) : 0;
	taken = len <= room ? len : whole ? 0 : room;
	first = FILE_WRITER_RING - w->head % FILE_WRITER_RING;
	first = first < taken ? first : taken;
	if (taken) {
		memcpy(w->ring + w->head % FILE_WRITER_RING, buf, first);
		memcpy(w->ring, (const u8 *)buf + first, taken - first);
		w->head += taken;
		pthread_cond_signal(&w->work);
	}
	w->refused |= taken < len;
	pthread_mutex_unlock(&w->lock);
	writer_start(w);
	return taken;
}

void file_writer_wait(struct file_writer *w, s64 ms)
{
	struct timespec until = deadline_in(ms);
	u64 seen;

	pthread_mutex_lock(&w->lock);
	seen = w->tail;
	while (w->tail == seen && (w->ending || (writer_pending(w) && !w->full)) && !w->ended &&
	       pthread_cond_timedwait(&w->taken, &w->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&w->lock);
}

bool file_writer_is_full(struct file_writer *w)
{
	bool full;

	pthread_mutex_lock(&w->lock);
	full = w->full;
	pthread_mutex_unlock(&w->lock);
	return full;
}

size_t file_writer_pending(struct file_writer *w)
{
	size_t pending;

	pthread_mutex_lock(&w->lock);
	pending = writer_pending(w);
	pthread_mutex_unlock(&w->lock);
	return pending;
}

int file_writer_regular(struct file_writer *w)
{
	int ret;

	writer_start(w);
	/* Without memory for a thread nobody knows. */
	if (!__atomic_load_n(&w->started, __ATOMIC_ACQUIRE))
		return 0;
	pthread_mutex_lock(&w->lock);
	ret = w->regular;
	pthread_mutex_unlock(&w->lock);
	return ret;
}

s64 file_writer_held_ms(struct file_writer *w)
{
	s64 since, held;

	pthread_mutex_lock(&w->lock);
	since = w->since;
	pthread_mutex_unlock(&w->lock);
	held = since ? now_ms() - since : 0;
	return since && held <= 0 ? 1 : held;
}

/* --- life ------------------------------------------------------------------------------------ */

int file_writer_create(struct file_writer **out, const struct file_writer_config *c)
{
	struct file_writer *w = calloc(1, sizeof(*w));
	pthread_condattr_t monotonic;

	if (!w)
		return -ENOMEM;
	w->c = *c;
	w->size = c->size;
	w->regular = -EAGAIN;
	w->thread = (struct host_thread){ .kind = HOST_THREAD_FILE,
					  .name = "file",
					  .run = file_writer_run,
					  .failed = writer_thread_failed,
					  .arg = w };
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &monotonic);
	pthread_cond_init(&w->taken, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = w;
	return 0;
}

/*
 * Ends on this thread: nothing was written and nothing is to be closed, so that there is nothing to
 * wait for; a start failed before it could confine a thread; or there is no thread to be had, since
 * memory has run out.
 */
static void writer_end_here(struct file_writer *w)
{
	host_thread_stop(w->c.host, &w->thread);
	w->more = false;
	file_writer_run(w);
}

bool file_writer_end(struct file_writer *w, bool more)
{
	bool waits;

	if (__atomic_load_n(&w->ended, __ATOMIC_ACQUIRE))
		return false;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	w->more = more;
	waits = w->head || w->c.ours;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	/* A thread that waits to be made, because another thread asked for it, is made here. */
	if (waits && w->thread.state != HOST_THREAD_RUNS) {
		host_thread_stop(w->c.host, &w->thread);
		__atomic_store_n(&w->started, false, __ATOMIC_RELEASE);
		writer_start(w);
	}
	if (w->thread.state != HOST_THREAD_RUNS)
		writer_end_here(w);
	return !__atomic_load_n(&w->ended, __ATOMIC_ACQUIRE);
}

u64 file_writer_destroy(struct file_writer *w)
{
	u64 left;

	if (!w)
		return 0;
	host_thread_stop(w->c.host, &w->thread);
	left = writer_pending(w);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->taken);
	pthread_mutex_destroy(&w->lock);
	free(w->ring);
	free(w);
	return left;
}
