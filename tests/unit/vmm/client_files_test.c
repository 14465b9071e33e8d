// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests files that clients of the control socket pass for drivers and policies: the own client
 * passes a sealed copy in memory; any other regular file is read by a thread, while the control
 * socket answers, and nothing else is. The linker leads pread(2) (pread64()) here, which holds what
 * is read. The sessions are empty, and the guest is a few instructions, on this /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/vmm/monitored.h"
#include "vmm/session/passed_file.h"
#include "vmm/session/session.h"
#include "vmm/session/session_commands.h"

/* The second line is wrong, by which a test sees that it was read. */
static const char policy[] = "version = 1;\nnonsense = 1;\n";

struct fixture {
	struct monitored g;
	struct sessions s;
	int file;
};

static ino_t held_file; /* atomic; 0: none */
static unsigned n_held; /* atomic: threads that have begun to read it */

ssize_t __real_pread64(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at);

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at)
{
	ino_t held = __atomic_load_n(&held_file, __ATOMIC_ACQUIRE);
	const struct timespec ms = { 0, 1000000 };
	struct stat st;

	if (held && !fstat(fd, &st) && st.st_ino == held) {
		__atomic_add_fetch(&n_held, 1, __ATOMIC_ACQ_REL);
		while (__atomic_load_n(&held_file, __ATOMIC_ACQUIRE))
			nanosleep(&ms, NULL);
	}
	return __real_pread64(fd, buf, len, at);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char file[] = "/tmp/umbra-unit-XXXXXX";
	struct err e;

	f->file = mkstemp(file);
	unlink(file);
	assert_int_equal(write(f->file, policy, sizeof(policy) - 1), sizeof(policy) - 1);
	assert_int_equal(
		policy_parse(&f->s.policy, "first", "version = 1; sessions = { a = { }; };", &e),
		0);
	monitored_create(&f->g, "unit-files", 1);
	machine_set_confine(f->g.m, NULL);
	f->s.m = f->g.m;
	f->s.phase = SESSIONS_STARTED;
	assert_int_equal(sessions_control_add(&f->s, monitor_control(f->g.mon)), 0);
	monitored_start(&f->g);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	monitored_stop(&f->g);
	passed_file_await(&f->s);
	assert_null(f->s.files);
	client_close(f->g.c);
	assert_int_equal(lifecycle_end(machine_lifecycle(f->g.m), NULL), 0);
	machine_destroy(f->g.m);
	policy_free(f->s.policy);
	while (f->s.list) {
		struct session *ss = f->s.list;

		f->s.list = ss->next;
		session_free(ss);
	}
	close(f->file);
	free(f);
	return 0;
}

/* Passes @fd as it is. */
static void call_with(struct fixture *f, const char *command, int fd, struct err *e)
{
	struct client *c;
	int ret = client_open(&c, f->g.name, 5000, e);

	assert_int_equal(ret, 0);
	assert_int_equal(client_give_fd(c, "x", fd, e), 0);
	assert_int_equal(
		client_call(c, command,
			    json_pack("{s:s, s:s, s:s}", "session", "a", "path", "/x/y", "fd", "x"),
			    NULL, e),
		-EREMOTEIO);
	client_close(c);
}

static const char *const commands[] = { "umbra-policy-load", "umbra-driver-load" };
/* What the two say of a file with the text of @policy, when they have read it. */
static const char *const was_read[] = { "/x/y:2: ", "/x/y: not a" };

static void any_regular_file_is_read(void **state)
{
	struct fixture *f = *state;
	int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct err e;

	assert_int_equal(write(memory, policy, sizeof(policy) - 1), sizeof(policy) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		/* Their offsets, at the end here, do not matter. */
		call_with(f, commands[i], f->file, &e);
		if (!strstr(e.text, was_read[i]))
			fail_msg("%s", e.text);
		call_with(f, commands[i], memory, &e);
		if (!strstr(e.text, was_read[i]))
			fail_msg("%s", e.text);
	}
	assert_int_equal(fcntl(memory, F_ADD_SEALS,
			       F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		call_with(f, commands[i], memory, &e);
		assert_non_null(strstr(e.text, was_read[i]));
	}
	close(memory);
}

/* What could have a reader wait for ever, or has no end, is refused at once. */
static void nothing_else_is_read(void **state)
{
	struct fixture *f = *state;
	char fifo[] = "/tmp/umbra-unit-XXXXXX";
	int ends[2], fds[8], n = 0;
	struct err e;

	assert_non_null(mkdtemp(fifo));
	assert_int_equal(rmdir(fifo), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fds[n++] = ends[0];
	fds[n++] = open(fifo, O_RDWR | O_CLOEXEC);
	fds[n++] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	fds[n++] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[n++] = eventfd(0, EFD_CLOEXEC);
	fds[n++] = open("/proc/self/status", O_RDONLY | O_CLOEXEC); /* "regular", of 0 bytes */
	fds[n++] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	fds[n++] = memfd_create("too large", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fds[n - 1], (off_t)UMBRA_MAIL_PAYLOAD_MAX + 1), 0);
	for (int i = 0; i < n; i++) {
		static const char *const why[] = {
			"/x/y: not a regular file",    "/x/y: not a regular file",
			"/x/y: not a regular file",    "/x/y: not a regular file",
			"/x/y: not a regular file",    "/x/y: the file is empty",
			"/x/y: cannot read: Bad file", "/x/y: too large (",
		};

		assert_true(fds[i] >= 0);
		for (size_t j = 0; j < ARRAY_SIZE(commands); j++) {
			call_with(f, commands[j], fds[i], &e);
			if (!strstr(e.text, why[i]))
				fail_msg("%d: %s", i, e.text);
		}
		close(fds[i]);
	}
	close(ends[1]);
	unlink(fifo);
}

struct caller {
	struct fixture *f;
	pthread_t thread;
	struct err e;
};

static void *call(void *arg)
{
	struct caller *c = arg;

	call_with(c->f, commands[0], c->f->file, &c->e);
	return NULL;
}

/*
 * While storage does not answer, clients are served, and files in memory taken; of other files only
 * so many.
 */
static void a_file_that_is_held_holds_nobody_else(void **state)
{
	static struct caller callers[PASSED_FILES_MAX];
	struct fixture *f = *state;
	int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const char *name;
	struct stat st;
	struct err e;

	assert_int_equal(write(memory, policy, sizeof(policy) - 1), sizeof(policy) - 1);
	assert_int_equal(fcntl(memory, F_ADD_SEALS,
			       F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
			 0);
	assert_int_equal(fstat(f->file, &st), 0);
	__atomic_store_n(&held_file, st.st_ino, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < PASSED_FILES_MAX; i++) {
		callers[i].f = f;
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
	}
	for (s64 end = now_ms() + 10000;
	     __atomic_load_n(&n_held, __ATOMIC_ACQUIRE) < PASSED_FILES_MAX && now_ms() < end;)
		sched_yield();
	assert_int_equal(n_held, PASSED_FILES_MAX);
	assert_int_equal(client_call(f->g.c, "query-status", NULL, NULL, &e), 0);
	assert_true(passed_file_held_ms(&f->s, &name) > 0);
	assert_string_equal(name, "/x/y");
	call_with(f, commands[0], f->file, &e);
	assert_non_null(strstr(e.text, "other files of clients are still being read"));
	call_with(f, commands[0], memory, &e);
	assert_non_null(strstr(e.text, was_read[0]));
	__atomic_store_n(&held_file, 0, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < PASSED_FILES_MAX; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_non_null(strstr(callers[i].e.text, was_read[0]));
	}
	call_with(f, commands[0], f->file, &e);
	assert_non_null(strstr(e.text, was_read[0]));
	close(memory);
}

/* A client that goes while its file is read has no answer; the guest's end waits for the file. */
static void an_end_waits_for_the_file(void **state)
{
	struct fixture *f = *state;
	struct client *c;
	struct stat st;
	struct err e;

	assert_int_equal(fstat(f->file, &st), 0);
	__atomic_store_n(&n_held, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&held_file, st.st_ino, __ATOMIC_RELEASE);
	assert_int_equal(client_open(&c, f->g.name, 300, &e), 0);
	assert_int_equal(client_give_fd(c, "x", f->file, &e), 0);
	assert_int_equal(client_call(c, commands[0],
				     json_pack("{s:s, s:s}", "path", "/x/y", "fd", "x"), NULL, &e),
			 -ETIMEDOUT);
	client_close(c);
	assert_int_equal(__atomic_load_n(&n_held, __ATOMIC_ACQUIRE), 1);
	__atomic_store_n(&held_file, 0, __ATOMIC_RELEASE);
	/* The rest is teardown()'s. */
}

static void the_client_passes_a_copy(void **state)
{
	struct fixture *f = *state;
	const struct client_file file = { f->file, "/the/policy" };
	struct err e = { "" };

	assert_int_equal(client_call_once_file(f->g.name, "umbra-policy-load", json_object(), &file,
					       NULL, &e),
			 -EREMOTEIO);
	if (!strstr(e.text, "/the/policy:2: "))
		fail_msg("%s", e.text);
	/* What no VMM reads is not copied. */
	assert_int_equal(ftruncate(f->file, (off_t)CLIENT_FILE_MAX + 1), 0);
	assert_int_equal(client_call_once_file(f->g.name, "umbra-policy-load", json_object(), &file,
					       NULL, &e),
			 -EFBIG);
	assert_non_null(strstr(e.text, "/the/policy: too large"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		TEST(any_regular_file_is_read),
		TEST(nothing_else_is_read),
		TEST(a_file_that_is_held_holds_nobody_else),
		TEST(an_end_waits_for_the_file),
		TEST(the_client_passes_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
