// SPDX-License-Identifier: GPL-2.0-only
/* Writes notes to stderr without waiting for it, and keeps what it does not take. */
#include "vmm/cli/run_notes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/plain_text.h"
#include "base/reopen.h"
#include "base/terminal.h"
#include "vmm/machine/file_writer.h"

#define LINGER_MS    250
#define SLICE_MS     50
#define LINE_MAX_LEN 8000 /* of any, so that each finds room */

void run_notes_init(struct run_notes *n)
{
	pthread_mutex_init(&n->lock, NULL);
	n->terminal = -1;
	n->raw = false;
	n->writer = NULL;
	n->gone = false;
	n->len = 0;
	n->lost = 0;
	n->left = SIZE_MAX;
}

void run_notes_limit(struct run_notes *n, size_t bytes)
{
	n->left = bytes;
}

void run_notes_look(struct run_notes *n)
{
	struct stat st;

	/* The first question costs no system call, which is for most guests the answer. */
	n->raw = terminal_is_prepared() && isatty(STDERR_FILENO);
	if (n->raw && !fstat(STDERR_FILENO, &st))
		n->terminal = reopen_nonblock(STDERR_FILENO, &st, O_WRONLY);
}

/* --- with the lock ------------------------------------------------------------------------- */

/* Returns how many of the bytes stderr takes now. All of them, if stderr has failed. */
static size_t stderr_take(const struct run_notes *n, const char *buf, size_t len)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	size_t gate, at = 0;
	ssize_t ret;

	if (n->gone)
		return len;
	if (n->writer)
		return file_writer_put(n->writer, buf, len, false);
	gate = isatty(STDERR_FILENO) ? 1 : PIPE_BUF;
	while (at < len) {
		if (n->terminal >= 0) {
			ret = write(n->terminal, buf + at, len - at);
		} else {
			if (poll(&p, 1, 0) <= 0)
				break;
			ret = write(STDERR_FILENO, buf + at, len - at < gate ? len - at : gate);
		}
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0 && errno == EAGAIN)
			break;
		if (ret <= 0)
			return len;
		at += (size_t)ret;
	}
	return at;
}

/* Writes what was kept; returns true if nothing is left. */
static bool run_notes_flush_kept(struct run_notes *n)
{
	size_t done = n->len ? stderr_take(n, n->kept, n->len) : 0;

	n->len -= done;
	memmove(n->kept, n->kept + done, n->len);
	return !n->len;
}

/* Keeps a line, to be flushed; false: there is no room for it. */
static bool line_keep(struct run_notes *n, const char *line)
{
	bool raw = terminal_is_raw() && n->raw;
	size_t room = sizeof(n->kept) - n->len;
	char plain[LINE_MAX_LEN + 1];
	int len = snprintf(n->kept + n->len, room, "vmm: %s%s",
			   plain_text(plain, sizeof(plain), line), raw ? "\r\n" : "\n");

	if (len < 0 || (size_t)len >= room)
		return false;
	n->len += (size_t)len;
	return true;
}

static void lost_keep(struct run_notes *n)
{
	char line[80];

	if (!n->lost)
		return;
	snprintf(line, sizeof(line), "%u lines are missing here, because stderr was full", n->lost);
	if (line_keep(n, line))
		n->lost = 0;
}

/* --- any thread ---------------------------------------------------------------------------- */

void run_notes_put(struct run_notes *n, const char *line)
{
	pthread_mutex_lock(&n->lock);
	run_notes_flush_kept(n);
	lost_keep(n);
	if (n->lost || !line_keep(n, line))
		n->lost++;
	run_notes_flush_kept(n);
	pthread_mutex_unlock(&n->lock);
}

/*
 * Returns true if the line is within the limit. *last is set for the first line that is not, which
 * is replaced by one that says so.
 */
static bool note_is_within(struct run_notes *n, const char *line, bool *last)
{
	size_t len = strlen(line) + sizeof("vmm: ");
	bool within;

	pthread_mutex_lock(&n->lock);
	within = n->left >= len;
	*last = !within && n->left;
	n->left = !within ? 0 : n->left == SIZE_MAX ? SIZE_MAX : n->left - len;
	pthread_mutex_unlock(&n->lock);
	return within;
}

void run_notes_of_guest(struct run_notes *n, const char *line)
{
	bool last;

	if (note_is_within(n, line, &last))
		run_notes_put(n, line);
	else if (last)
		run_notes_put(n, "this log is full; only the guest's end follows");
}

void run_notes_put_text(struct run_notes *n, const char *text)
{
	size_t len = strlen(text);

	pthread_mutex_lock(&n->lock);
	run_notes_flush_kept(n);
	lost_keep(n);
	if (len <= sizeof(n->kept) - n->len) {
		memcpy(n->kept + n->len, text, len);
		n->len += len;
	}
	run_notes_flush_kept(n);
	pthread_mutex_unlock(&n->lock);
}

void run_notes_show(struct run_notes *n, const char *text)
{
	pthread_mutex_lock(&n->lock);
	if (run_notes_flush_kept(n))
		stderr_take(n, text, strlen(text));
	pthread_mutex_unlock(&n->lock);
}

/* --- with a thread that writes ------------------------------------------------------------- */

void run_notes_serve(struct run_notes *n, struct host *host)
{
	const struct file_writer_config c = { .host = host, .fd = STDERR_FILENO, .look = true };
	struct file_writer *w = NULL;

	if (n->terminal >= 0 || file_writer_create(&w, &c))
		return;
	pthread_mutex_lock(&n->lock);
	n->writer = w;
	pthread_mutex_unlock(&n->lock);
}

static bool run_notes_flush_locked(struct run_notes *n)
{
	bool flushed;

	pthread_mutex_lock(&n->lock);
	flushed = run_notes_flush_kept(n);
	pthread_mutex_unlock(&n->lock);
	return flushed;
}

/* Waits until stderr has all lines. */
static void run_notes_flush(struct run_notes *n)
{
	s64 until = now_ms() + LINGER_MS;

	while (n->writer && now_ms() < until && !file_writer_is_full(n->writer) &&
	       (!run_notes_flush_locked(n) || file_writer_pending(n->writer)))
		file_writer_wait(n->writer, SLICE_MS);
}

int run_notes_put_to_file(struct run_notes *n, const char *line)
{
	int ret = n->writer ? file_writer_regular(n->writer) : 0;

	if (ret > 0)
		run_notes_put(n, line);
	return ret > 0 ? 0 : ret ? ret : -ENOTSUP;
}

bool run_notes_busy(struct run_notes *n)
{
	bool flushed = !n->writer || run_notes_flush_locked(n);

	if (flushed && (!n->writer || !file_writer_pending(n->writer)))
		return false;
	return file_writer_regular(n->writer) && !file_writer_is_full(n->writer);
}

s64 run_notes_held_ms(struct run_notes *n)
{
	return n->writer ? file_writer_held_ms(n->writer) : 0;
}

void run_notes_leave(struct run_notes *n)
{
	s64 until = now_ms() + LINGER_MS;

	if (!n->writer)
		return;
	run_notes_flush(n);
	while (file_writer_end(n->writer, false) && now_ms() < until)
		file_writer_wait(n->writer, SLICE_MS);
	n->gone = file_writer_end(n->writer, false);
	if (!n->gone)
		file_writer_destroy(n->writer);
	n->writer = NULL;
}

void run_notes_end(struct run_notes *n)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	s64 until = now_ms() + LINGER_MS;

	while (!run_notes_flush_kept(n) && now_ms() < until)
		poll(&p, 1, SLICE_MS);
	if (n->terminal >= 0)
		close(n->terminal);
	pthread_mutex_destroy(&n->lock);
}
