// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests files that clients of the control socket pass for drivers and policies: only a sealed copy
 * in memory is read, and the own client passes one. No guest: the sessions are empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "vmm/control/client.h"
#include "vmm/control/control.h"
#include "vmm/control/socket_dir.h"
#include "vmm/session/session_commands.h"
#include "vmm/session/session.h"

/* The second line is wrong, by which a test sees that it was read. */
static const char policy[] = "version = 1;\nnonsense = 1;\n";

struct fixture {
	struct sessions s;
	struct loop *loop;
	struct control *control;
	pthread_t thread;
	char name[32];
	int file;
};

static void *serve(void *arg)
{
	struct fixture *f = arg;

	loop_run(f->loop);
	return NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char file[] = "/tmp/umbra-unit-XXXXXX", *path = NULL;
	struct err e;

	snprintf(f->name, sizeof(f->name), "unit-files-%d", getpid());
	f->file = mkstemp(file);
	unlink(file);
	assert_int_equal(write(f->file, policy, sizeof(policy) - 1), sizeof(policy) - 1);
	assert_int_equal(loop_create(&f->loop), 0);
	assert_int_equal(socket_dir_path(&path, f->name, true, &e), 0);
	if (control_create(&f->control, f->loop, path, &e))
		fail_msg("%s", e.text);
	free(path);
	f->s.phase = SESSIONS_STARTED;
	assert_int_equal(sessions_control_add(&f->s, f->control), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_stop(f->loop);
	pthread_join(f->thread, NULL);
	control_destroy(f->control);
	loop_destroy(f->loop);
	close(f->file);
	free(f);
	return 0;
}

/* Passes @fd as it is. */
static void call_with(struct fixture *f, const char *command, int fd, struct err *e)
{
	struct client *c;
	int ret = client_open(&c, f->name, 5000, e);

	assert_int_equal(ret, 0);
	assert_int_equal(client_give_fd(c, "x", fd, e), 0);
	assert_int_equal(
		client_call(c, command,
			    json_pack("{s:s, s:s, s:s}", "session", "a", "path", "/x/y", "fd", "x"),
			    NULL, e),
		-EREMOTEIO);
	client_close(c);
}

static void only_sealed_copies_are_read(void **state)
{
	static const char *const commands[] = { "umbra-policy-load", "umbra-driver-load" };
	struct fixture *f = *state;
	struct err e;
	int memory = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(memory, policy, sizeof(policy) - 1), sizeof(policy) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		call_with(f, commands[i], f->file, &e);
		assert_non_null(strstr(e.text, "fd x: not a sealed copy of the file"));
		assert_non_null(strstr(e.text, "pass a memfd"));
		/* As long as one seal is missing. */
		call_with(f, commands[i], memory, &e);
		assert_non_null(strstr(e.text, "not a sealed copy"));
	}
	assert_int_equal(fcntl(memory, F_ADD_SEALS,
			       F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
			 0);
	/* Its offset, at the end here, does not matter. */
	call_with(f, "umbra-policy-load", memory, &e);
	assert_non_null(strstr(e.text, "/x/y:2: "));
	close(memory);
}

static void the_client_passes_a_copy(void **state)
{
	struct fixture *f = *state;
	const struct client_file file = { f->file, "/the/policy" };
	struct err e = { "" };

	assert_int_equal(
		client_call_once_file(f->name, "umbra-policy-load", json_object(), &file, NULL, &e),
		-EREMOTEIO);
	if (!strstr(e.text, "/the/policy:2: "))
		fail_msg("%s", e.text);
	/* What no VMM reads is not copied. */
	assert_int_equal(ftruncate(f->file, (off_t)CLIENT_FILE_MAX + 1), 0);
	assert_int_equal(
		client_call_once_file(f->name, "umbra-policy-load", json_object(), &file, NULL, &e),
		-EFBIG);
	assert_non_null(strstr(e.text, "/the/policy: too large"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		TEST(only_sealed_copies_are_read),
		TEST(the_client_passes_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
