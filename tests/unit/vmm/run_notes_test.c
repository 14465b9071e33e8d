// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the lines of a `vmm run` on stderr: whole, in order, and nobody waits for their reader, or
 * for the storage of a file. The linker leads write(2) here, which can be held.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "devices/host.h"
#include "vmm/cli/run_notes.h"

#define LINES	  2000
#define ANSWER_MS 1000

struct put {
	struct run_notes n;
	bool done; /* atomic */
};

static int old_stderr;
static bool holds; /* atomic: what is written to stderr is not given back */

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	while (fd == STDERR_FILENO && __atomic_load_n(&holds, __ATOMIC_ACQUIRE))
		usleep(1000);
	return __real_write(fd, buf, len);
}

/* Puts LINES lines and ends, with stderr on @fd. */
static void *put_all(void *arg)
{
	struct put *p = arg;
	char line[80];

	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "line %d of a guest whose reader went for a walk", i);
		run_notes_put(&p->n, line);
	}
	__atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void stderr_to(int fd)
{
	fflush(stderr);
	old_stderr = dup(STDERR_FILENO);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

static void stderr_back(void)
{
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
}

/* Checks that all calls return, and the end does, with more lines than stderr takes. */
static void expect_no_wait(int fd)
{
	struct put p = { .done = false };
	pthread_t thread;
	s64 begin = now_ms(), ended;

	run_notes_init(&p.n);
	stderr_to(fd);
	pthread_create(&thread, NULL, put_all, &p);
	while (!__atomic_load_n(&p.done, __ATOMIC_ACQUIRE) && now_ms() < begin + 10 * ANSWER_MS)
		usleep(1000);
	if (!__atomic_load_n(&p.done, __ATOMIC_ACQUIRE)) {
		stderr_back();
		fail_msg("a line waits for its reader");
	}
	pthread_join(thread, NULL);
	begin = now_ms();
	run_notes_end(&p.n);
	ended = now_ms();
	stderr_back();
	assert_true(ended - begin < 2 * ANSWER_MS);
}

static void nobody_waits_for_a_pipe(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	expect_no_wait(p[1]);
	close(p[0]);
	close(p[1]);
}

static void nobody_waits_for_a_socket(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	expect_no_wait(p[1]);
	close(p[0]);
	close(p[1]);
}

static void nobody_waits_for_a_terminal(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	char path[40];

	(void)state;
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	assert_int_equal(ptsname_r(master, path, sizeof(path)), 0);
	slave = open(path, O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	expect_no_wait(slave);
	close(master);
	close(slave);
}

static void a_reader_that_is_gone_is_no_matter(void **state)
{
	int p[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(p), 0);
	close(p[0]);
	expect_no_wait(p[1]);
	close(p[1]);
}

/* Reads what is in the pipe now, onto the end of @text. */
static void pipe_take(int fd, char *text, size_t size)
{
	size_t used = strlen(text);
	ssize_t n;

	while (used + 1 < size && (n = read(fd, text + used, size - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
}

/* Reads the number between @before, with which @line begins, and @behind. */
static bool number_in(const char *line, const char *before, const char *behind, unsigned long *out)
{
	const char *digits = line + strlen(before);
	unsigned long number;
	char *end;

	if (strncmp(line, before, strlen(before)) != 0)
		return false;
	number = strtoul(digits, &end, 10);
	if (end == digits || strncmp(end, behind, strlen(behind)) != 0)
		return false;
	*out = number;
	return true;
}

/* The lines go on after a while, the oldest first, and what is missing is said where it was. */
static void what_is_missing_is_said(void **state)
{
	static char text[400000];
	struct put p = { .done = false };
	unsigned long lines = 0, missing = 0;
	char *at, *next = text;
	int pipes[2];

	(void)state;
	*text = '\0';
	assert_int_equal(pipe(pipes), 0);
	assert_true(fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0);
	run_notes_init(&p.n);
	stderr_to(pipes[1]);
	put_all(&p);
	pipe_take(pipes[0], text, sizeof(text));
	run_notes_put(&p.n, "the reader is back");
	pipe_take(pipes[0], text, sizeof(text));
	run_notes_put(&p.n, "the last line");
	run_notes_end(&p.n);
	stderr_back();
	pipe_take(pipes[0], text, sizeof(text));
	for (at = text; *at; at = next + 1) {
		unsigned long number;

		next = strchr(at, '\n');
		assert_non_null(next);
		*next = '\0';
		assert_null(strchr(at, '\r'));
		if (number_in(at, "vmm: line ", " of a guest whose reader", &number))
			assert_int_equal(number, lines++);
		else if (!number_in(at, "vmm: ", " lines are missing here", &missing))
			break;
	}
	assert_true(lines > 100 && lines < LINES);
	assert_int_equal(lines + missing, LINES);
	assert_string_equal(at, "vmm: the reader is back");
	assert_string_equal(next + 1, "vmm: the last line\n");
	close(pipes[0]);
	close(pipes[1]);
}

/* One that is longer than all that is kept is cut, and takes no other with it. */
static void a_line_has_a_bound(void **state)
{
	static char text[40000], line[3 * RUN_NOTES_KEPT];
	struct run_notes n;
	int pipes[2];

	(void)state;
	*text = '\0';
	memset(line, 'x', sizeof(line) - 1);
	assert_int_equal(pipe(pipes), 0);
	assert_true(fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0);
	run_notes_init(&n);
	stderr_to(pipes[1]);
	run_notes_put(&n, line);
	run_notes_put(&n, "short");
	run_notes_show(&n, "as it is");
	run_notes_end(&n);
	stderr_back();
	pipe_take(pipes[0], text, sizeof(text));
	assert_int_equal(strncmp(text, "vmm: xxx", 8), 0);
	assert_non_null(strstr(text, "x\nvmm: short\nas it is"));
	assert_null(strstr(text, "missing"));
	close(pipes[0]);
	close(pipes[1]);
}

/* What a file's name says to a terminal is shown and not done, and makes no second line. */
static void a_line_is_harmless_for_a_terminal(void **state)
{
	char text[200] = "";
	struct run_notes n;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_true(fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0);
	run_notes_init(&n);
	stderr_to(pipes[1]);
	run_notes_put(&n, "\033[2J\nvmm: all is well\xff \303\244");
	run_notes_end(&n);
	stderr_back();
	pipe_take(pipes[0], text, sizeof(text));
	assert_string_equal(text, "vmm: \\x1b[2J\\x0avmm: all is well\\xff \303\244\n");
	close(pipes[0]);
	close(pipes[1]);
}

/* What a guest does again and again does not fill a disk; how it ended is said nevertheless. */
static void a_log_has_a_bound(void **state)
{
	static char text[100000];
	struct run_notes n;
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)state;
	run_notes_init(&n);
	run_notes_limit(&n, 20000);
	stderr_to(fd);
	for (unsigned i = 0; i < LINES; i++)
		run_notes_of_guest(&n, "the back end is gone; another one is waited for");
	run_notes_put(&n, "the guest ended");
	run_notes_end(&n);
	stderr_back();
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 19000);
	assert_true(strlen(text) < 20200);
	assert_non_null(strstr(text, "vmm: this log is full; only the guest's end follows\n"
				     "vmm: the guest ended\n"));
	close(fd);
}

/* It makes threads as pthread_create() does. */
static const struct host_ops no_ops = { .ram = NULL };
static struct host host = { .ops = &no_ops };

/* A thread writes for the guest's, and the last line is there when it has ended. */
static void a_file_has_all_lines(void **state)
{
	static char text[40000];
	struct run_notes n;
	int fd = memfd_create("errors", MFD_CLOEXEC);
	const char *at = text;

	(void)state;
	run_notes_init(&n);
	stderr_to(fd);
	run_notes_put(&n, "line 0 of a start");
	run_notes_serve(&n, &host);
	for (int i = 1; i < 500; i++) {
		char line[80];

		snprintf(line, sizeof(line), "line %d of a guest", i);
		run_notes_put(&n, line);
	}
	run_notes_leave(&n);
	run_notes_put(&n, "line 500 of an end");
	run_notes_end(&n);
	stderr_back();
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	for (unsigned long i = 0, number; i <= 500; i++) {
		assert_true(number_in(at, "vmm: line ", " of a", &number));
		assert_int_equal(number, i);
		at = strchr(at, '\n') + 1;
	}
	assert_string_equal(at, "");
	close(fd);
}

/* The line of the end is put while it can be told that the storage does not answer. */
static void a_file_can_be_asked_about(void **state)
{
	struct run_notes n;
	int fd = memfd_create("errors", MFD_CLOEXEC), ret;
	char text[80] = "";

	(void)state;
	run_notes_init(&n);
	stderr_to(fd);
	run_notes_serve(&n, &host);
	assert_false(run_notes_busy(&n));
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; (ret = run_notes_put_to_file(&n, "the end")) && i < 5000; i++)
		usleep(1000);
	assert_int_equal(ret, 0);
	for (unsigned i = 0; run_notes_held_ms(&n) < 20 && i < 5000; i++)
		usleep(1000);
	assert_true(run_notes_held_ms(&n) >= 20);
	assert_true(run_notes_busy(&n));
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	for (unsigned i = 0; run_notes_busy(&n) && i < 5000; i++)
		usleep(1000);
	assert_false(run_notes_busy(&n));
	run_notes_leave(&n);
	run_notes_end(&n);
	stderr_back();
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), strlen("vmm: the end\n"));
	assert_string_equal(text, "vmm: the end\n");
	close(fd);
}

/* No end waits for the reader of a pipe, which is told of the end later. */
static void a_pipe_is_not_waited_for(void **state)
{
	struct run_notes n;
	int p[2], ret;

	(void)state;
	assert_int_equal(pipe(p), 0);
	run_notes_init(&n);
	stderr_to(p[1]);
	run_notes_serve(&n, &host);
	for (unsigned i = 0; (ret = run_notes_put_to_file(&n, "the end")) == -EAGAIN && i < 5000;
	     i++)
		usleep(1000);
	assert_int_equal(ret, -ENOTSUP);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	run_notes_put(&n, "a line");
	assert_false(run_notes_busy(&n));
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	run_notes_leave(&n);
	run_notes_end(&n);
	stderr_back();
	close(p[0]);
	close(p[1]);
}

/* A text stands after the lines, and as a whole or not at all; nobody waits for its reader. */
static void a_text_is_whole_or_lost(void **state)
{
	static const char before[] = "vmm: the guest ended\nexits: 1\nexits: 2\n";
	static char text[RUN_NOTES_KEPT + 2], got[2 * sizeof(text)];
	const size_t len = sizeof(before) - 1;
	struct run_notes n;
	int pipes[2];

	(void)state;
	alarm(20); /* the fault is to wait */
	assert_int_equal(pipe(pipes), 0);
	assert_true(fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) == 4096);
	run_notes_init(&n);
	stderr_to(pipes[1]);
	run_notes_put(&n, "the guest ended");
	run_notes_put_text(&n, "exits: 1\nexits: 2\n");
	memset(text, 'y', RUN_NOTES_KEPT + 1);
	run_notes_put_text(&n, text);
	pipe_take(pipes[0], got, sizeof(got));
	/* The pipe is full with this one, most of it is kept, and there is no room for another. */
	memset(text, 'x', RUN_NOTES_KEPT);
	text[RUN_NOTES_KEPT] = '\0';
	run_notes_put_text(&n, text);
	memset(text, 'y', RUN_NOTES_KEPT / 2);
	run_notes_put_text(&n, text);
	for (unsigned i = 0; i <= RUN_NOTES_KEPT / 4096; i++) {
		pipe_take(pipes[0], got, sizeof(got));
		run_notes_put_text(&n, "");
	}
	run_notes_end(&n);
	stderr_back();
	pipe_take(pipes[0], got, sizeof(got));
	assert_memory_equal(got, before, len);
	assert_int_equal(strspn(got + len, "x"), RUN_NOTES_KEPT);
	assert_string_equal(got + len + RUN_NOTES_KEPT, "");
	alarm(0);
	close(pipes[0]);
	close(pipes[1]);
}

/* The last test: the thread is left where it is, as it is left when the process ends. */
static void nobody_waits_for_storage(void **state)
{
	struct put p = { .done = false };
	pthread_t thread;
	int fd = memfd_create("errors", MFD_CLOEXEC);
	s64 begin = now_ms();

	(void)state;
	alarm(20); /* the fault is to wait */
	run_notes_init(&p.n);
	stderr_to(fd);
	run_notes_serve(&p.n, &host);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	pthread_create(&thread, NULL, put_all, &p);
	pthread_join(thread, NULL);
	run_notes_leave(&p.n);
	run_notes_put(&p.n, "nobody reads this");
	run_notes_end(&p.n);
	assert_true(now_ms() - begin < 2 * ANSWER_MS);
	stderr_back();
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_waits_for_a_pipe),
		cmocka_unit_test(nobody_waits_for_a_socket),
		cmocka_unit_test(nobody_waits_for_a_terminal),
		cmocka_unit_test(a_reader_that_is_gone_is_no_matter),
		cmocka_unit_test(what_is_missing_is_said),
		cmocka_unit_test(a_line_has_a_bound),
		cmocka_unit_test(a_line_is_harmless_for_a_terminal),
		cmocka_unit_test(a_log_has_a_bound),
		cmocka_unit_test(a_file_has_all_lines),
		cmocka_unit_test(a_file_can_be_asked_about),
		cmocka_unit_test(a_pipe_is_not_waited_for),
		cmocka_unit_test(a_text_is_whole_or_lost),
		cmocka_unit_test(nobody_waits_for_storage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
