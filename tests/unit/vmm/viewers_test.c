// SPDX-License-Identifier: GPL-2.0-only
/*
 * Viewers of a console that are silent, slow or dying: the guest writes on, each viewer is told
 * what it has missed, and the end does not wait for one that does not read.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "vmm/backend/viewers.h"

#define ANSWER_MS 1000
#define LINES	  16384U /* of 64 bytes: a MiB */

struct fixture {
	struct loop *loop;
	struct viewers *v;
	pthread_t thread;
	unsigned n;
	int peers[VIEWERS_MAX];
};

static size_t swallow(void *arg, const u8 *buf, size_t len)
{
	(void)arg;
	(void)buf;
	return len;
}

static void *viewers_serve(void *arg)
{
	struct fixture *f = arg;

	loop_run(f->loop);
	return NULL;
}

static void fixture_start(struct fixture *f, unsigned viewers)
{
	struct err e = { "" };

	*f = (struct fixture){ .n = viewers };
	assert_int_equal(loop_create(&f->loop), 0);
	assert_int_equal(viewers_create(&f->v, f->loop, false, NULL, swallow, NULL), 0);
	for (unsigned i = 0; i < viewers; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		if (viewers_add(f->v, pair[0], &e))
			fail_msg("%s", e.text);
		f->peers[i] = pair[1];
	}
	assert_int_equal(pthread_create(&f->thread, NULL, viewers_serve, f), 0);
}

/* Ends the viewers; returns how long that takes. */
static s64 fixture_end(struct fixture *f)
{
	s64 begin;

	loop_stop(f->loop);
	pthread_join(f->thread, NULL);
	begin = now_ms();
	viewers_destroy(f->v, begin + 300);
	begin = now_ms() - begin;
	for (unsigned i = 0; i < f->n; i++)
		if (f->peers[i] >= 0)
			close(f->peers[i]);
	loop_destroy(f->loop);
	return begin;
}

static void write_lines(struct fixture *f)
{
	char line[65];
	s64 begin = now_ms();

	for (unsigned i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "%-63u\n", i);
		viewers_write(f->v, (const u8 *)line, 64);
	}
	assert_in_range(now_ms() - begin, 0, 10 * ANSWER_MS);
}

/* Reads all that comes until it has @last; NUL-terminated, malloc'ed. */
static char *read_until(int fd, const char *last)
{
	char *text = malloc(4 << 20);
	size_t len = 0;
	ssize_t n;

	assert_non_null(text);
	do {
		n = recv(fd, text + len, (4 << 20) - 1 - len, 0);
		assert_true(n > 0);
		len += (size_t)n;
		text[len] = '\0';
	} while (!strstr(text, last));
	return text;
}

static void silent_viewers(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	fixture_start(&f, VIEWERS_MAX);
	alarm(60); /* the fault is to wait */
	write_lines(&f);
	/* One that reads again has the newest, and is told what it has missed. */
	text = read_until(f.peers[0], "\n16383 ");
	assert_int_equal(strtoul(text, NULL, 10), 0);
	assert_non_null(strstr(text, "bytes were lost here]"));
	free(text);
	/* The others do not hold up the end. */
	assert_in_range(fixture_end(&f), 0, ANSWER_MS);
	alarm(0);
}

static void dying_viewers(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, 4);
	alarm(60);
	for (unsigned i = 0; i < 3; i++) {
		close(f.peers[i]);
		f.peers[i] = -1;
	}
	/* Sends of the guest's thread and the loop's hang-ups meet. */
	fcntl(f.peers[3], F_SETFL, O_NONBLOCK);
	write_lines(&f);
	for (unsigned i = 0; i < 100 && viewers_count(f.v) != 1; i++)
		usleep(10000);
	assert_int_equal(viewers_count(f.v), 1);
	assert_in_range(fixture_end(&f), 0, ANSWER_MS);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_viewers),
		cmocka_unit_test(dying_viewers),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
