// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes the lines of the record to its file.
 *
 * Lines are taken from the queue into a batch, which leaves by write(2) to a file opened for
 * appending. What a write does not take stays in the batch and is written later, so a full disk
 * leaves a whole line, or the rest of it follows.
 *
 * The file has a lock of its own, since a write takes as long as its storage does: whoever takes
 * `write_lock` may wait, and holds neither `lock` nor the queue's then, which the event loop takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "policy/record_int.h"

/* Between two words to the owner about a file that refuses again and again. */
#define TELL_AGAIN_MS 60000
/* A terminal that somebody has stopped for a moment is not worth a word. */
#define TELL_BUSY_MS  1000
#define RETRY_BUSY_MS 50

/*
 * Opens a new file, or a device that is there for output. Does not open an existing file, which may
 * be the record of an earlier run, and makes none through a symbolic link that somebody else put
 * there.
 */
static int record_open_file(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;

	if (fd >= 0)
		return fd;
	if (errno != EEXIST)
		return err_set(e, -errno, "%s: cannot create: %s", path, strerror(errno));
	if (!stat(path, &st) && S_ISCHR(st.st_mode)) {
		/*
		 * O_NONBLOCK: a terminal that is stopped (Ctrl-S) is a record that cannot be
		 * written, and no vCPU waits until somebody lets it go on.
		 */
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd >= 0)
			return fd;
		return err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	}
	return err_set(e, -EEXIST,
		       "%s: exists already; a record is never overwritten, choose another name",
		       path);
}

int record_create(struct record **out, const char *path, struct err *e)
{
	struct record *r;
	int ret = record_new(&r);

	if (ret)
		return err_set(e, ret, "out of memory");
	if (path) {
		r->path = strdup(path);
		r->batch = malloc(RECORD_LINE_MAX);
		r->fd = r->path && r->batch ? record_open_file(path, e)
					    : err_set(e, -ENOMEM, "out of memory");
		if (r->fd < 0) {
			ret = r->fd;
			record_free(r);
			return ret;
		}
		r->fds[0] = r->fd;
		r->n_files = 1;
	}
	*out = r;
	return 0;
}

/* Opens a file for what comes later: a new one, or an empty one that an earlier run has left. */
static int record_open_spare(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
		      0600);
	struct stat st;

	if (fd < 0)
		return err_set(e, -errno, "%s: cannot create: %s", path, strerror(errno));
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && !st.st_size && st.st_nlink == 1 &&
	    st.st_uid == geteuid())
		return fd;
	close(fd);
	return err_set(e, -EEXIST,
		       "%s: exists already; a record is never overwritten, choose another name",
		       path);
}

int record_rotate(struct record *r, u64 size, unsigned keep, struct err *e)
{
	struct stat st;

	if (fstat(r->fd, &st) || !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: no regular file, which alone can have a size",
			       r->path);
	for (unsigned i = 1; i <= keep; i++) {
		char *path;
		int fd;

		if (asprintf(&path, "%s.%u", r->path, i) < 0)
			return err_set(e, -ENOMEM, "out of memory");
		fd = record_open_spare(path, e);
		free(path);
		if (fd < 0)
			return fd;
		r->fds[r->n_files++] = fd;
	}
	r->size_max = size;
	return 0;
}

void record_set_owner(struct record *r, const struct record_owner *o)
{
	r->owner = *o;
}

void record_expect_thread(struct record *r, bool yes)
{
	pthread_mutex_lock(&r->queue.lock);
	r->queue.threaded = yes;
	pthread_mutex_unlock(&r->queue.lock);
}

bool record_has_lines(const struct record *r)
{
	return r->path;
}

bool record_is_open(const struct record *r)
{
	return r->fd >= 0;
}

bool record_is_unwritten(const struct record *r)
{
	return r->fd < 0 || !__atomic_load_n(&r->written, __ATOMIC_ACQUIRE);
}

s64 record_held_ms(const struct record *r)
{
	s64 since = __atomic_load_n(&r->busy_since, __ATOMIC_ACQUIRE);

	return since ? now_ms() - since + 1 : 0;
}

void record_status(struct record *r, struct record_status *out)
{
	pthread_mutex_lock(&r->queue.lock);
	out->lost = r->queue.lost;
	out->error = r->queue.error;
	pthread_mutex_unlock(&r->queue.lock);
}

/* --- whoever writes -------------------------------------------------------------------------- */

/* Goes on in the next file, if this one has no room for the batch. */
static int record_turn(struct record *r)
{
	unsigned next = (r->at + 1) % r->n_files;
	int ret;

	if (!r->size_max || r->size + r->batch_len <= r->size_max)
		return 0;
	__atomic_store_n(&r->busy_since, now_ms(), __ATOMIC_RELEASE);
	ret = ftruncate(r->fds[next], 0) ? -errno : 0;
	__atomic_store_n(&r->busy_since, 0, __ATOMIC_RELEASE);
	if (ret)
		return ret;
	r->at = next;
	r->fd = r->fds[next];
	r->size = 0;
	return 0;
}

/* Writes all lines that there are. 0 or -errno. The caller holds write_lock. */
static int record_drain(struct record *r)
{
	ssize_t n;
	int ret;

	for (;;) {
		if (r->batch_at == r->batch_len) {
			r->batch_at = 0;
			r->batch_len = record_queue_take(&r->queue, r->batch, RECORD_LINE_MAX);
		}
		if (r->batch_at == r->batch_len)
			return 0;
		ret = r->batch_at ? 0 : record_turn(r);
		if (ret)
			return ret;
		__atomic_store_n(&r->written, true, __ATOMIC_RELEASE);
		__atomic_store_n(&r->busy_since, now_ms(), __ATOMIC_RELEASE);
		n = write(r->fd, r->batch + r->batch_at, r->batch_len - r->batch_at);
		ret = n < 0 ? -errno : n ? 0 : -ENOSPC;
		__atomic_store_n(&r->busy_since, 0, __ATOMIC_RELEASE);
		r->size += n > 0 ? (u64)n : 0;
		if (n > 0)
			r->batch_at += (size_t)n;
		else if (ret != -EINTR)
			return ret;
	}
}

/* Notes how the last attempt ended, and tells the owner of a change, with write_lock. */
static void record_note_result(struct record *r, int ret, s64 refused_since)
{
	bool tell = false;
	u64 lost;

	pthread_mutex_lock(&r->queue.lock);
	r->queue.error = -ret;
	lost = r->queue.lost;
	pthread_cond_broadcast(&r->queue.room);
	pthread_mutex_unlock(&r->queue.lock);
	if (!ret) {
		tell = r->noted;
		r->noted = false;
	} else if (!r->noted && (!r->noted_ms || now_ms() - r->noted_ms > TELL_AGAIN_MS) &&
		   (ret != -EAGAIN || (refused_since && now_ms() - refused_since > TELL_BUSY_MS))) {
		tell = r->noted = true;
		r->noted_ms = now_ms();
	}
	if (tell && r->owner.refused)
		r->owner.refused(r->owner.arg, -ret, lost);
}

/* Flushes and closes the files. The caller holds write_lock. */
static void record_close_files(struct record *r)
{
	__atomic_store_n(&r->busy_since, now_ms(), __ATOMIC_RELEASE);
	for (unsigned i = 0; i < r->n_files; i++) {
		/* A character device cannot be flushed, and need not be. */
		if (r->written && fsync(r->fds[i]) && errno != EINVAL && errno != EROFS)
			r->error = errno;
		if (close(r->fds[i]) && errno != EINTR && !r->error)
			r->error = errno;
	}
	r->n_files = 0;
	r->fd = -1;
	__atomic_store_n(&r->busy_since, 0, __ATOMIC_RELEASE);
}

static int record_drain_and_tell(struct record *r, s64 refused_since)
{
	int ret;

	pthread_mutex_lock(&r->write_lock);
	ret = record_drain(r);
	if (ret || r->queue.error)
		record_note_result(r, ret, refused_since);
	pthread_mutex_unlock(&r->write_lock);
	return ret;
}

/*
 * Sleeps until there is something to do; the queue's lock is held. @ret: how the last attempt
 * ended; @wrote: lines have come since the one before.
 */
static void record_sleep(struct record_queue *q, int ret, bool wrote)
{
	bool any = record_queue_has_any(q);

	if (ret) {
		q->sleep = RECORD_REFUSED;
		record_queue_wait(q, &q->work, ret == -EAGAIN ? RETRY_BUSY_MS : RECORD_RETRY_MS);
	} else if ((wrote || any) && !q->hurry) {
		q->sleep = RECORD_GATHERS;
		record_queue_wait(q, &q->work, RECORD_GATHER_MS);
	} else if (!any) {
		q->sleep = RECORD_SLEEPS;
		while (q->sleep == RECORD_SLEEPS)
			pthread_cond_wait(&q->work, &q->lock);
	}
	q->sleep = RECORD_AWAKE;
}

/* Has the thread look at once; the queue's lock is held. */
static void record_wake(struct record_queue *q)
{
	q->sleep = RECORD_AWAKE;
	pthread_cond_signal(&q->work);
}

void record_run(void *arg)
{
	struct record *r = arg;
	struct record_queue *q = &r->queue;
	s64 since = 0; /* when the file began to refuse */
	u64 seen = 0;
	bool wrote;
	int ret;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		bool last = q->ending;

		wrote = q->seq != seen;
		seen = q->seq;
		pthread_mutex_unlock(&q->lock);
		ret = record_drain_and_tell(r, since);
		since = ret ? since ? since : now_ms() : 0;
		pthread_mutex_lock(&q->lock);
		if (last)
			break;
		if (!q->ending)
			record_sleep(q, ret, wrote);
	}
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_lock(&r->write_lock);
	record_close_files(r);
	pthread_mutex_unlock(&r->write_lock);
	pthread_mutex_lock(&q->lock);
	q->ended = true;
	pthread_cond_broadcast(&q->room);
	pthread_mutex_unlock(&q->lock);
}

/* --- whoever has lines ----------------------------------------------------------------------- */

/* Is the line of a vCPU's thread worth the wait for room? */
static bool record_may_stay(void *arg)
{
	const struct record *r = arg;

	return record_held_ms(r) < RECORD_WAIT_MS &&
	       (!r->owner.stay || r->owner.stay(r->owner.arg));
}

/* Tells the owner that lines are lost, now and then. */
static void record_tell_loss(struct record *r)
{
	s64 now = now_ms(), before = __atomic_load_n(&r->loss_noted_ms, __ATOMIC_ACQUIRE);
	struct record_status s;

	if ((before && now - before < TELL_AGAIN_MS) || !r->owner.lost ||
	    !__atomic_compare_exchange_n(&r->loss_noted_ms, &before, now, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return;
	record_status(r, &s);
	r->owner.lost(r->owner.arg, s.lost);
}

int record_write(struct record *r, struct record_line *line)
{
	bool threaded;
	int ret;

	/* Without a file nobody takes lines out of the queue. */
	if (!line->len || !r->path) {
		line_free(line);
		return 0;
	}
	ret = record_queue_put(&r->queue, line, record_may_stay, r, &threaded);
	line_free(line);
	if (ret)
		record_tell_loss(r);
	if (!threaded)
		record_drain_and_tell(r, now_ms());
	return ret < 0 ? ret : 0;
}

int record_event(struct record *r, u64 time_ns, const char *kind, const char *text)
{
	struct record_entry e = {
		.time_ns = time_ns,
		.function = kind,
		.asked = text,
		.event = true,
	};
	struct record_line line = { .keep = true };
	int ret = record_add_entry(r, &e, NULL, &line);

	return ret ? ret : record_write(r, &line);
}

void record_sync(struct record *r)
{
	struct record_queue *q = &r->queue;

	pthread_mutex_lock(&q->lock);
	q->hurry++;
	if (q->threaded)
		record_wake(q);
	while (q->threaded && !q->ended && !q->error && (q->writing || record_queue_has_any(q)))
		pthread_cond_wait(&q->room, &q->lock);
	q->hurry--;
	pthread_mutex_unlock(&q->lock);
}

/* --- the end --------------------------------------------------------------------------------- */

void record_finish(struct record *r)
{
	struct record_queue *q = &r->queue;
	bool threaded;

	pthread_mutex_lock(&q->lock);
	q->ending = true;
	threaded = q->threaded;
	record_wake(q);
	while (threaded && !q->ended)
		pthread_cond_wait(&q->room, &q->lock);
	pthread_mutex_unlock(&q->lock);
	if (threaded || r->fd < 0)
		return;
	record_drain_and_tell(r, now_ms());
	pthread_mutex_lock(&r->write_lock);
	record_close_files(r);
	pthread_mutex_unlock(&r->write_lock);
}

int record_close(struct record *r, struct err *e)
{
	int ret = 0, error;

	if (!r)
		return 0;
	record_finish(r);
	error = r->queue.error ? r->queue.error : r->error;
	if (!error && record_queue_has_any(&r->queue))
		error = ENOMEM;
	if (error)
		ret = err_set(e, -error, "%s: the record is not complete: %s", r->path,
			      strerror(error));
	record_free(r);
	return ret;
}
