// SPDX-License-Identifier: GPL-2.0-only
/* Tests dumps of a machine that runs, by its monitor: answers, events, and readers that stop. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "tests/unit/vmm/monitor_fixture.h"

static void *no_thread(void *arg)
{
	return arg;
}

static void give_fd(struct fixture *f, const char *name, int fd)
{
	struct err e = { "" };

	if (client_give_fd(f->g.c, name, fd, &e))
		fail_msg("%s", e.text);
}

static int dump(struct fixture *f, const char *protocol, bool detach, struct err *e)
{
	return client_call(
		f->g.c, "dump-guest-memory",
		json_pack("{s:b, s:s, s:b}", "paging", 0, "protocol", protocol, "detach", detach),
		NULL, e);
}

/* Waits for DUMP_COMPLETED, and returns its error, or "". */
static void expect_dump_event(struct fixture *f, const char *status, char error[200])
{
	json_t *o = NULL, *data;
	const char *text;

	assert_int_equal(client_event(f->g.c, 20000, &o), 0);
	assert_string_equal(json_string_value(json_object_get(o, "event")), "DUMP_COMPLETED");
	shape_check("DUMP_COMPLETED",
		    json_object_get(json_object_get(f->shapes, "events"), "DUMP_COMPLETED"), o);
	data = json_object_get(o, "data");
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(data, "result"), "status")),
		status);
	text = json_string_value(json_object_get(data, "error"));
	snprintf(error, 200, "%s", text ? text : "");
	json_decref(o);
}

static void expect_dump_status(struct fixture *f, const char *status)
{
	json_t *o = ask(f, "query-dump");

	assert_string_equal(json_string_value(json_object_get(o, "status")), status);
	json_decref(o);
}

static int dump_file(void)
{
	char path[] = "/tmp/umbra-unit-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void a_dump_pauses_the_guest_and_lets_it_go_on(void **state)
{
	char error[200], magic[4];
	int fd = dump_file();
	struct fixture f;
	struct err e = { "" };

	(void)state;
	fixture_start(&f, false);
	expect_dump_status(&f, "none");
	assert_true(runs_within(&f, 5000));
	give_fd(&f, "core", fd);
	if (dump(&f, "fd:core", false, &e))
		fail_msg("%s", e.text);
	expect_event(&f, "STOP");
	expect_event(&f, "RESUME");
	expect_dump_event(&f, "completed", error);
	assert_string_equal(error, "");
	assert_int_equal(pread(fd, magic, 4, 0), 4);
	assert_memory_equal(magic, "\177ELF", 4);
	expect_status(&f, "running");
	expect_dump_status(&f, "completed");
	assert_true(runs_within(&f, 5000));
	/* One that was paused stays so. */
	json_decref(ask(&f, "stop"));
	expect_event(&f, "STOP");
	give_fd(&f, "core", fd);
	assert_int_equal(dump(&f, "fd:core", true, &e), 0);
	expect_dump_event(&f, "completed", error);
	expect_status(&f, "paused");
	close(fd);
	fixture_end(&f);
}

/* Before the first instruction, the registers are those that the guest is to begin with. */
static void a_guest_that_has_not_begun_can_be_dumped(void **state)
{
	char error[200];
	int fd = dump_file();
	struct fixture f;
	struct err e = { "" };

	(void)state;
	fixture_start(&f, true);
	give_fd(&f, "core", fd);
	assert_int_equal(dump(&f, "fd:core", false, &e), 0);
	expect_dump_event(&f, "completed", error);
	expect_status(&f, "prelaunch");
	close(fd);
	fixture_end(&f);
}

/* The reader of a pipe stops: the loop answers, and the guest's end comes all the same. */
static void a_dump_that_is_stuck_holds_up_nothing(void **state)
{
	static const char *const refused[] = { "stop", "cont", "system_reset" };
	char error[200];
	struct fixture f;
	struct err e = { "" };
	int pair[2];
	s64 begin;

	(void)state;
	fixture_start(&f, false);
	assert_int_equal(pipe(pair), 0);
	give_fd(&f, "core", pair[1]);
	assert_int_equal(dump(&f, "fd:core", true, &e), 0);
	expect_event(&f, "STOP");
	expect_dump_status(&f, "active");
	expect_status(&f, "paused");
	give_fd(&f, "again", pair[1]);
	assert_int_equal(dump(&f, "fd:again", true, &e), -EREMOTEIO);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		assert_int_equal(client_call(f.g.c, refused[i], NULL, NULL, &e), -EREMOTEIO);
		assert_string_equal(e.text, "There is a dump in process, please wait.");
	}
	assert_int_equal(client_call(f.g.c, "umbra-dump-cancel", NULL, NULL, &e), 0);
	expect_event(&f, "RESUME");
	expect_dump_event(&f, "failed", error);
	assert_string_equal(error, "the dump was ended");
	assert_int_equal(client_call(f.g.c, "umbra-dump-cancel", NULL, NULL, &e), -EREMOTEIO);
	expect_dump_status(&f, "failed");
	assert_true(runs_within(&f, 5000));
	/* The same once more, with the guest's end. */
	assert_int_equal(dump(&f, "fd:again", true, &e), 0);
	expect_event(&f, "STOP");
	begin = now_ms();
	assert_int_equal(client_call(f.g.c, "quit", NULL, NULL, &e), 0);
	thread_await(f.g.thread, 20);
	assert_in_range(now_ms() - begin, 0, 1000);
	assert_int_equal(pthread_create(&f.g.thread, NULL, no_thread, NULL), 0);
	close(pair[0]);
	close(pair[1]);
	fixture_end(&f);
}

static void descriptors_that_take_no_dump(void **state)
{
	static const char *const bad[] = { "fd:none", "file:/tmp/x", "fd:", "core", "" };
	int full = open("/dev/full", O_WRONLY), dir = open("/tmp", O_RDONLY | O_DIRECTORY);
	int path = open("/tmp", O_PATH), pair[2];
	char error[200];
	struct fixture f;
	struct err e = { "" };

	(void)state;
	fixture_start(&f, false);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(dump(&f, bad[i], false, &e), -EREMOTEIO);
	assert_int_equal(client_call(f.g.c, "dump-guest-memory",
				     json_pack("{s:b, s:s}", "paging", 1, "protocol", "fd:core"),
				     NULL, &e),
			 -EREMOTEIO);
	give_fd(&f, "core", dir);
	assert_int_equal(dump(&f, "fd:core", false, &e), -EREMOTEIO);
	assert_string_equal(e.text, "the descriptor is not open for writing");
	give_fd(&f, "core", path);
	assert_int_equal(dump(&f, "fd:core", false, &e), -EREMOTEIO);
	expect_status(&f, "running");
	give_fd(&f, "core", full);
	assert_int_equal(dump(&f, "fd:core", false, &e), -EREMOTEIO);
	assert_string_equal(e.text, "No space left on device");
	expect_event(&f, "STOP");
	expect_event(&f, "RESUME");
	expect_dump_event(&f, "failed", error);
	assert_string_equal(error, "No space left on device");
	assert_int_equal(pipe(pair), 0);
	close(pair[0]);
	give_fd(&f, "core", pair[1]);
	assert_int_equal(dump(&f, "fd:core", false, &e), -EREMOTEIO);
	assert_string_equal(e.text, "Broken pipe");
	close(pair[1]);
	close(full);
	close(dir);
	close(path);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dump_pauses_the_guest_and_lets_it_go_on),
		cmocka_unit_test(a_guest_that_has_not_begun_can_be_dumped),
		cmocka_unit_test(a_dump_that_is_stuck_holds_up_nothing),
		cmocka_unit_test(descriptors_that_take_no_dump),
	};

	signal(SIGPIPE, SIG_IGN); /* as vmm does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
