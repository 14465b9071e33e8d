/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes an endpoint of a guest's byte stream for tests: with its event loop on a thread of its own,
 * a guest that writes numbered lines, and checks that neither waits for a peer.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_ENDPOINT_FIXTURE_H
#define UMBRA_TESTS_UNIT_VMM_ENDPOINT_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "vmm/backend/endpoint.h"

#define ANSWER_MS 1000

struct fixture {
	struct machine *m;
	struct endpoint *ep;
	struct spec_endpoint what;
	struct closer *closer; /* or NULL */
	pthread_t loop;
	char dir[32], path[64];
	int old_stdin, old_stdout;
	bool room;  /* atomic */
	bool full;  /* atomic: the guest takes nothing */
	size_t got; /* atomic: bytes for the guest */
};

static inline size_t swallow(void *arg, const u8 *buf, size_t len)
{
	struct fixture *f = arg;

	(void)buf;
	if (__atomic_load_n(&f->full, __ATOMIC_ACQUIRE))
		return 0;
	__atomic_fetch_add(&f->got, len, __ATOMIC_RELEASE);
	return len;
}

static inline void on_room(void *arg)
{
	struct fixture *f = arg;

	__atomic_store_n(&f->room, true, __ATOMIC_RELEASE);
}

static inline void *serve_loop(void *arg)
{
	struct fixture *f = arg;

	loop_run(machine_loop(f->m));
	return NULL;
}

static inline int fixture_open(struct fixture *f, int kind, bool text, struct err *e)
{
	struct endpoint_config c = { .m = f->m,
				     .what = &f->what,
				     .name = "console",
				     .text = text,
				     .closer = f->closer,
				     .input = swallow,
				     .room = on_room,
				     .arg = f };
	int ret;

	f->what.path = f->path;
	f->what.kind = kind;
	ret = endpoint_create(&f->ep, &c, e);
	if (!ret)
		endpoint_start(f->ep);
	if (!ret)
		assert_int_equal(pthread_create(&f->loop, NULL, serve_loop, f), 0);
	return ret;
}

static inline void fixture_init(struct fixture *f)
{
	const struct machine_config c = { .memory = 1 << 20, .cpus = 1 };
	struct err e = { "" };

	memset(f, 0, sizeof(*f));
	if (machine_create(&f->m, &c, &e))
		fail_msg("%s", e.text);
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/end", f->dir);
	f->old_stdin = f->old_stdout = -1;
}

/* Makes the endpoint's stdin @in and its stdout @out; -1: one that is empty, or takes all. */
static inline void fixture_streams(struct fixture *f, int in, int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fflush(stdout);
	f->old_stdin = dup(0);
	f->old_stdout = dup(1);
	assert_int_equal(dup2(in < 0 ? null : in, 0), 0);
	assert_int_equal(dup2(out < 0 ? null : out, 1), 1);
	close(null);
}

/* Makes the endpoint's stdin empty, and its stdout @fd. */
static inline void fixture_stdio(struct fixture *f, int fd)
{
	fixture_streams(f, -1, fd);
}

/* Makes the endpoint's stdout p[1] of a new pipe or, with @sockets, of a pair of sockets. */
static inline void fixture_open_stdout(struct fixture *f, int p[2], bool sockets)
{
	struct err e;

	fixture_init(f);
	assert_int_equal(sockets ? socketpair(AF_UNIX, SOCK_STREAM, 0, p) : pipe(p), 0);
	fixture_stdio(f, p[1]);
	assert_int_equal(fixture_open(f, SPEC_STDIO, true, &e), 0);
}

/* Ends loop and endpoint; returns how long the end took, in ms. */
static inline s64 fixture_close(struct fixture *f)
{
	s64 begin = now_ms();

	loop_stop(machine_loop(f->m));
	pthread_join(f->loop, NULL);
	endpoint_destroy(f->ep, now_ms() + 700);
	if (f->old_stdout >= 0) {
		dup2(f->old_stdin, 0);
		dup2(f->old_stdout, 1);
		close(f->old_stdin);
		close(f->old_stdout);
	}
	return now_ms() - begin;
}

static inline void fixture_fini(struct fixture *f)
{
	unlink(f->path);
	rmdir(f->dir);
	machine_destroy(f->m);
}

static inline void set_flag(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

static inline bool wait_flag(const bool *flag, s64 ms)
{
	for (s64 end = now_ms() + ms; now_ms() < end; usleep(1000))
		if (__atomic_load_n(flag, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

static inline void assert_loop_answers(const struct fixture *f)
{
	bool done = false;
	struct loop_call call = { .fn = set_flag, .arg = &done };

	loop_call(machine_loop(f->m), &call);
	assert_true(wait_flag(&done, ANSWER_MS));
}

struct writer {
	struct fixture *f;
	pthread_t thread;
	size_t bytes;
	bool done; /* atomic */
};

/* Writes numbered lines of 64 bytes, as a source that cannot wait. */
static inline void *write_lines(void *arg)
{
	struct writer *w = arg;
	char line[65];

	for (size_t i = 0; i < w->bytes / 64; i++) {
		snprintf(line, sizeof(line), "%-63zu\n", i);
		endpoint_write(w->f->ep, (const u8 *)line, 64, false);
	}
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static inline void writer_start(struct writer *w, struct fixture *f, size_t bytes)
{
	*w = (struct writer){ .f = f, .bytes = bytes };
	assert_int_equal(pthread_create(&w->thread, NULL, write_lines, w), 0);
}

static inline void assert_writer_ends(struct writer *w, s64 ms)
{
	assert_true(wait_flag(&w->done, ms));
	pthread_join(w->thread, NULL);
}

/* Writes @bytes of numbered lines, and asserts that this ends within ten seconds. */
static inline void write_all_lines(struct fixture *f, size_t bytes)
{
	struct writer w;

	writer_start(&w, f, bytes);
	assert_writer_ends(&w, 10000);
}

/* Checks that the guest, the event loop and the end go on with a peer that takes nothing. */
static inline void check_silent(struct fixture *f)
{
	struct writer w;

	writer_start(&w, f, 1 << 20);
	for (int i = 0; i < 5; i++)
		assert_loop_answers(f);
	assert_writer_ends(&w, 10000);
	assert_loop_answers(f);
	assert_true(fixture_close(f) < ANSWER_MS);
}

/* Reads until nothing comes for 0.3 s; the caller frees the text. */
static inline char *read_rest(int fd, size_t *len)
{
	char *buf = malloc(4 << 20);

	assert_non_null(buf);
	*len = 0;
	for (int quiet = 0; quiet < 30;) {
		ssize_t n = read(fd, buf + *len, (4 << 20) - 1 - *len);

		if (n > 0)
			*len += (size_t)n;
		quiet = n > 0 ? 0 : quiet + 1;
		if (n <= 0)
			usleep(10000);
	}
	buf[*len] = '\0';
	return buf;
}

static inline char *file_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len;
	char *text = read_rest(fd, &len);

	close(fd);
	return text;
}

/* Checks that the newest of @text is there, and a line that tells that some was lost before it. */
static inline void assert_tells_loss(const char *text, const char *newest)
{
	assert_non_null(strstr(text, "bytes were lost here]"));
	assert_non_null(strstr(text, newest));
}

/* Makes a file at f->path with "precious" in it, open for reading and writing. */
static inline int precious_file(const struct fixture *f)
{
	int fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, "precious\n", 9), 9);
	return fd;
}

static inline void assert_file_has(const char *path, const char *want)
{
	char *text = file_text(path);

	assert_string_equal(text, want);
	free(text);
}

#endif
