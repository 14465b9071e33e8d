// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the end of a guest, its resets and resizes while the host's kernel holds requests of its
 * disk (held_fixture.h): the control socket answers and names the file, and so do a note and
 * `vmm stop`. So it is with the front end's notes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "vmm/machine/machine.h"
#include "tests/unit/vmm/held_fixture.h"

static void assert_file_is_named(struct fixture *f)
{
	char want[200];
	const char *got;
	json_t *info, *disk;

	snprintf(want, sizeof(want), "--disk %s: this host's kernel holds what is done to it",
		 f->disk);
	fixture_await_note(f, want);
	fixture_ask(f, "umbra-info", &info);
	disk = json_array_get(json_object_get(info, "disks"), 0);
	assert_string_equal(json_string_value(json_object_get(disk, "file")), f->disk);
	assert_string_equal(json_string_value(json_object_get(disk, "error")),
			    "this host's kernel holds what is done to this file");
	assert_true(json_integer_value(json_object_get(disk, "held-ms")) >= MACHINE_HELD_MS);
	json_decref(info);
	snprintf(want, sizeof(want),
		 "its end waits for this host's kernel, which has held what is done to %s for ",
		 f->disk);
	got = fixture_stop_says(f);
	if (!strstr(got, want))
		fail_msg("vmm stop says: %s", got);
}

static void assert_ends(struct fixture *f, int code)
{
	assert_false(fixture_is_done(f));
	held_set_disk(0);
	fixture_await_end(f, code);
}

static void quit_names_the_file_that_holds_it_up(void **state)
{
	struct fixture *f = *state;

	held_set_disk(now_ms());
	fixture_ask(f, "quit", NULL);
	assert_file_is_named(f);
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
}

/* A reset that waits can be ended, and is none then. */
static void a_reset_names_it_and_quit_ends_it(void **state)
{
	struct fixture *f = *state;
	char want[200];

	held_set_disk(now_ms());
	fixture_ask(f, "system_reset", NULL);
	snprintf(want, sizeof(want), "--disk %s: this host's kernel holds what is done to it",
		 f->disk);
	fixture_await_note(f, want);
	fixture_ask(f, "quit", NULL);
	assert_file_is_named(f);
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
}

/* Each wait is told, not the first one only. */
static void each_reset_that_waits_is_told(void **state)
{
	struct fixture *f = *state;
	char want[200];

	snprintf(want, sizeof(want), "--disk %s: this host's kernel holds what is done to it",
		 f->disk);
	for (unsigned i = 0; i < 2; i++) {
		held_set_disk(now_ms());
		fixture_ask(f, "system_reset", NULL);
		fixture_await_note(f, want);
		pthread_mutex_lock(&f->told.lock);
		f->told.text[0] = '\0';
		pthread_mutex_unlock(&f->told.lock);
		held_set_disk(0);
		fixture_await_event(f, "RESET");
	}
	fixture_ask(f, "quit", NULL);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

/* A guest that has ended and whose vmm waits is none that is paused, whatever state it is in. */
static void stop_of_one_that_ends_waits_for_it(void **state)
{
	struct fixture *f = *state;
	const char *got;

	held_set_disk(now_ms());
	fixture_ask(f, "quit", NULL);
	fixture_await_event(f, "SHUTDOWN");
	got = fixture_stop_says(f);
	if (!strstr(got, "its end waits for this host's kernel"))
		fail_msg("vmm stop says: %s", got);
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
}

/* A resize would wait with the control socket for a reset that the host's kernel holds up. */
static void a_held_disk_is_not_resized(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };

	held_set_disk(now_ms() - 2 * LIMIT_MS);
	assert_int_not_equal(client_call(f->c, "block_resize",
					 json_pack("{s:s, s:i}", "device", "disk0", "size", 8192),
					 NULL, &e),
			     0);
	assert_non_null(strstr(e.text, "this host's kernel holds its requests"));
	held_set_disk(0);
	if (client_call(f->c, "block_resize",
			json_pack("{s:s, s:i}", "device", "disk0", "size", 8192), NULL, &e))
		fail_msg("%s", e.text);
	fixture_ask(f, "quit", NULL);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

/* What is given back within a moment is not worth a word. */
static void a_short_wait_is_not_told(void **state)
{
	struct fixture *f = *state;

	held_set_disk(now_ms());
	fixture_ask(f, "quit", NULL);
	for (unsigned i = 0; i < 200; i++)
		fixture_nap();
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
	assert_null(strstr(f->told.text, "--disk"));
}

static int ask_for_size(struct fixture *f, int size, struct err *e)
{
	s64 begin = now_ms();
	int ret = client_call(f->c, "block_resize",
			      json_pack("{s:s, s:i}", "device", "disk0", "size", size), NULL, e);

	assert_in_range(now_ms() - begin, 0, 2 * LIMIT_MS);
	return ret;
}

/* A file that does not answer when it gets another size is named, and the loop goes on. */
static void a_resize_names_its_file(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };
	struct stat st;
	char want[200];

	held_choose(f->disk);
	held_set(true);
	assert_int_not_equal(ask_for_size(f, 8192, &e), 0);
	snprintf(want, sizeof(want), "this host's kernel does not answer for %s", f->disk);
	assert_non_null(strstr(e.text, want));
	fixture_await_info(f, "disks", f->disk);
	assert_int_not_equal(ask_for_size(f, 4096, &e), 0);
	assert_non_null(strstr(e.text, "this host's kernel holds its requests"));
	fixture_ask(f, "quit", NULL);
	assert_file_is_named(f);
	held_set(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
	assert_int_equal(stat(f->disk, &st), 0);
	assert_int_equal(st.st_size, 8192);
}

/* Its end would wait for the resize as well. */
static void a_guest_that_ends_is_not_resized(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };
	struct stat st;

	held_set_disk(now_ms());
	fixture_ask(f, "quit", NULL);
	assert_int_not_equal(ask_for_size(f, 8192, &e), 0);
	assert_non_null(strstr(e.text, "the guest ends or resets just now"));
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
	assert_int_equal(stat(f->disk, &st), 0);
	assert_int_equal(st.st_size, 4096);
}

/* The client has had its answer, so a note tells that the disk has not got its size. */
static void a_resize_that_fails_late_is_noted(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };
	char want[200];

	held_choose(f->disk);
	held_set(true);
	assert_int_not_equal(ask_for_size(f, 8192, &e), 0);
	assert_non_null(strstr(e.text, "is not resized yet"));
	held_set_error(EIO);
	held_set(false);
	snprintf(want, sizeof(want), "--disk %s: was not resized after all: Input/output error",
		 f->disk);
	fixture_await_note(f, want);
	fixture_ask(f, "quit", NULL);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

static void the_file_of_notes_is_named(void **state)
{
	struct fixture *f = *state;

	held_set_notes(now_ms());
	fixture_await_info(f, "notes", "stderr");
	fixture_expect_stop_says(f, "has not shut down in 1 s");
	fixture_ask(f, "quit", NULL);
	fixture_expect_stop_says(
		f, "its end waits for this host's kernel, which has held what is done to "
		   "stderr for ");
	assert_false(fixture_is_done(f));
	held_set_notes(0);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(quit_names_the_file_that_holds_it_up, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_reset_names_it_and_quit_ends_it, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(each_reset_that_waits_is_told, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(stop_of_one_that_ends_waits_for_it, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_held_disk_is_not_resized, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_short_wait_is_not_told, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_resize_names_its_file, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_guest_that_ends_is_not_resized, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_resize_that_fails_late_is_noted, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(the_file_of_notes_is_named, fixture_setup,
						fixture_teardown),
	};

	fixture_find_command();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
