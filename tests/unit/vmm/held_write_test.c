// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a guest and its end while the host's kernel holds what is written to the file of its
 * console, of its firmware's log or of its record (held_fixture.h): the control socket answers
 * and names the file, and so do a note and `vmm stop`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "policy/record.h"
#include "tests/unit/vmm/held_fixture.h"
#include "vmm/guest/guest_record.h"

/* Makes @path, whose writes are held from now on. */
static void hold_file(const char *path)
{
	fixture_make_file(path, "", 0);
	held_choose(path);
	held_set(true);
}

static int setup_console(void **state)
{
	struct fixture *f = fixture_new();

	f->spec.console.kind = SPEC_FILE;
	f->spec.console.path = f->console;
	hold_file(f->console);
	return fixture_run(f, state);
}

static int setup_log(void **state)
{
	struct fixture *f = fixture_new();

	f->spec.firmware_log = f->log;
	hold_file(f->log);
	return fixture_run(f, state);
}

/* The guest has written a byte, and the host's kernel does not give it back. */
static void expect_end_names(struct fixture *f, const char *note, const char *file, char content)
{
	char want[200], got[2] = "";
	int fd;

	fixture_ask(f, "quit", NULL);
	fixture_await_note(f, note);
	snprintf(want, sizeof(want), "this host's kernel, which has held what is done to %s for ",
		 file);
	fixture_expect_stop_says(f, want);
	assert_false(fixture_is_done(f));
	held_set(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, sizeof(got)), 1);
	assert_int_equal(got[0], content);
	close(fd);
}

static void a_console_goes_on_and_names_its_file(void **state)
{
	struct fixture *f = *state;
	char note[200];

	fixture_await_info(f, "console", f->console);
	/* It still runs, so that its end waits for nothing. */
	fixture_expect_stop_says(f, "has not shut down in 1 s");
	snprintf(note, sizeof(note), "console %s: this host's kernel holds what is done to it",
		 f->console);
	expect_end_names(f, note, f->console, 'x');
}

static void a_firmwares_log_is_named(void **state)
{
	struct fixture *f = *state;
	char note[200];

	fixture_await_info(f, "firmware-log", f->log);
	snprintf(note, sizeof(note),
		 "--firmware-log %s: this host's kernel holds what is done to it", f->log);
	expect_end_names(f, note, f->log, '\n');
}

/* Has the vCPU add a line to the record. */
static void add_line(struct fixture *f)
{
	__atomic_store_n(&f->records, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 5000 && __atomic_load_n(&f->records, __ATOMIC_ACQUIRE); i++)
		fixture_nap();
	assert_false(__atomic_load_n(&f->records, __ATOMIC_ACQUIRE));
}

static void expect_end_names_record(struct fixture *f)
{
	char note[200], want[200], text[200] = "";
	int fd;

	fixture_ask(f, "quit", NULL);
	snprintf(note, sizeof(note), "--record %s: this host's kernel holds what is done to it",
		 f->record);
	fixture_await_note(f, note);
	fixture_await_info(f, "record", f->record);
	snprintf(want, sizeof(want), "this host's kernel, which has held what is done to %s for ",
		 f->record);
	fixture_expect_stop_says(f, want);
	assert_false(fixture_is_done(f));
	held_set(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
	fd = open(f->record, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	assert_non_null(strstr(text, "a text"));
}

static void a_records_flush_is_named(void **state)
{
	struct fixture *f = *state;

	add_line(f);
	while (record_is_unwritten(guest_record_of(f->r)) || record_held_ms(guest_record_of(f->r)))
		fixture_nap();
	held_set(true);
	expect_end_names_record(f);
}

/* A line that cannot be written is named while the guest runs, and at its end. */
static void a_records_line_is_named(void **state)
{
	struct fixture *f = *state;

	held_set(true);
	add_line(f);
	fixture_await_info(f, "record", f->record);
	expect_end_names_record(f);
}

/* Nothing to flush, nothing to wait for. */
static void an_empty_record_holds_up_nothing(void **state)
{
	struct fixture *f = *state;

	held_set(true);
	fixture_ask(f, "quit", NULL);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

/* Waits until umbra-info has a section of the record with @error, or none if that is NULL. */
static json_t *await_record(struct fixture *f, const char *error)
{
	for (unsigned i = 0; i < 50; i++) {
		json_t *info, *one;
		const char *got;

		fixture_ask(f, "umbra-info", &info);
		one = json_incref(json_array_get(json_object_get(info, "record"), 0));
		json_decref(info);
		got = json_string_value(json_object_get(one, "error"));
		if (error ? got && !strcmp(got, error) : !got)
			return one;
		json_decref(one);
		for (unsigned ms = 0; ms < 100; ms++)
			fixture_nap();
	}
	fail_msg("the record is not in that state");
	return NULL;
}

/* A full disk is told while the guest runs, which goes on, and so does the record when it can. */
static void a_records_full_disk_is_told_at_once(void **state)
{
	struct fixture *f = *state;
	char note[200];
	json_t *one;

	held_set_error(ENOSPC);
	add_line(f);
	snprintf(note, sizeof(note), "--record %s: takes no lines: No space left on device",
		 f->record);
	fixture_await_note(f, note);
	one = await_record(f, "No space left on device");
	assert_string_equal(json_string_value(json_object_get(one, "file")), f->record);
	assert_int_equal(json_integer_value(json_object_get(one, "lost")), 0);
	json_decref(one);
	add_line(f);
	held_set_error(0);
	snprintf(note, sizeof(note), "--record %s: takes lines again; 0 are lost", f->record);
	fixture_await_note(f, note);
	json_decref(await_record(f, NULL));
	fixture_ask(f, "quit", NULL);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

static int setup_full_log(void **state)
{
	struct fixture *f = fixture_new();

	f->spec.firmware_log = f->log;
	fixture_make_file(f->log, "", 0);
	held_choose(f->log);
	held_set_error(ENOSPC);
	return fixture_run(f, state);
}

/* The guest has written a byte, for which the disk has no room. */
static void what_a_log_lacks_is_told(void **state)
{
	struct fixture *f = *state;
	char want[200];

	for (unsigned i = 0; i < 5000 && !held_has_failed(); i++)
		fixture_nap();
	fixture_ask(f, "quit", NULL);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
	snprintf(want, sizeof(want),
		 "--firmware-log %s: 1 bytes of the firmware's messages are missing in it\n",
		 f->log);
	fixture_await_note(f, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_console_goes_on_and_names_its_file, setup_console,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_firmwares_log_is_named, setup_log,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_records_flush_is_named, fixture_setup_record,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_records_line_is_named, fixture_setup_record,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(an_empty_record_holds_up_nothing,
						fixture_setup_record, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_records_full_disk_is_told_at_once,
						fixture_setup_record, fixture_teardown),
		cmocka_unit_test_setup_teardown(what_a_log_lacks_is_told, setup_full_log,
						fixture_teardown),
	};

	fixture_find_command();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
