// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the end of a guest while the host's kernel holds the close(2) of a file of its, or of
 * what a client has passed (held_fixture.h): the control socket answers and names the file, and
 * so do a note and `vmm stop`.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "tests/unit/vmm/held_fixture.h"

/* Has the guest write nothing: its files are opened, and closed at its end. */
static struct fixture *fixture_silent(void)
{
	static const u8 code[] = { 0xeb, 0xfe }; /* jmp . */
	struct fixture *f = fixture_new();
	int fd = open(f->image, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, code, sizeof(code), FIXTURE_RESET_AT), sizeof(code));
	close(fd);
	return f;
}

static int setup_silent_console(void **state)
{
	struct fixture *f = fixture_silent();

	f->spec.console.kind = SPEC_FILE;
	f->spec.console.path = f->console;
	return fixture_run(f, state);
}

static int setup_silent_log(void **state)
{
	struct fixture *f = fixture_silent();

	f->spec.firmware_log = f->log;
	return fixture_run(f, state);
}

/* The file's close is held, in the end and not in a call of the main thread. */
static void expect_close_is_named(struct fixture *f, const char *what, const char *file)
{
	char want[200];

	held_choose(file);
	held_set_close(true);
	fixture_ask(f, "quit", NULL);
	snprintf(want, sizeof(want), "%s %s: this host's kernel holds what is done to it", what,
		 file);
	fixture_await_note(f, want);
	snprintf(want, sizeof(want), "this host's kernel, which has held what is done to %s for ",
		 file);
	fixture_expect_stop_says(f, want);
	assert_false(fixture_is_done(f));
	held_set_close(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

static void the_close_of_a_silent_console_is_named(void **state)
{
	struct fixture *f = *state;

	expect_close_is_named(f, "console", f->console);
}

static void the_close_of_a_silent_log_is_named(void **state)
{
	struct fixture *f = *state;

	expect_close_is_named(f, "--firmware-log", f->log);
}

static void the_close_of_an_empty_record_is_named(void **state)
{
	struct fixture *f = *state;

	expect_close_is_named(f, "--record", f->record);
}

static void the_close_of_a_disk_is_named(void **state)
{
	struct fixture *f = *state;

	expect_close_is_named(f, "--disk", f->disk);
}

/* To libvirt an answer to `cont` would be a guest that runs. */
static void expect_commands_are_refused(struct fixture *f)
{
	struct client *c;
	struct err e = { "" };

	assert_int_not_equal(client_open(&c, f->name, 5000, &e), 0);
	assert_non_null(strstr(e.text, "not a kernel"));
}

/* A start that fails when threads can be made closes its files like an end. */
static void the_close_of_a_failed_start_is_named(void **state)
{
	struct fixture *f = fixture_new();
	char want[200];

	(void)state;
	f->spec.firmware = NULL;
	f->spec.kernel = f->image; /* which is none */
	f->spec.console.kind = SPEC_FILE;
	f->spec.console.path = f->console;
	fixture_make_file(f->console, "", 0);
	held_choose(f->console);
	held_set_close(true);
	fixture_begin(f, fixture_run_guest);
	snprintf(want, sizeof(want), "console %s: this host's kernel holds what is done to it",
		 f->console);
	fixture_await_note(f, want);
	expect_commands_are_refused(f);
	assert_false(fixture_is_done(f));
	held_set_close(false);
	fixture_await_end(f, -1);
	*state = f;
	fixture_teardown(state);
}

static void give_fd(struct client *c, const char *name, int fd)
{
	struct err e = { "" };

	if (client_give_fd(c, name, fd, &e))
		fail_msg("%s", e.text);
}

/* What clients pass may be anything: the loop closes none of it. */
static void a_clients_descriptor_holds_up_its_end_only(void **state)
{
	struct fixture *f = *state;
	struct client *other;
	struct err e = { "" };
	int fd;

	fixture_make_file(f->log, "", 0);
	held_choose(f->log);
	fd = open(f->log, O_RDONLY | O_CLOEXEC);
	assert_int_equal(client_open(&other, f->name, 5000, &e), 0);
	give_fd(other, "left", fd);
	give_fd(f->c, "closed", fd);
	give_fd(f->c, "refused", fd);
	give_fd(f->c, "replaced", fd);
	give_fd(f->c, "read-only", fd);
	held_set_close(true);
	assert_int_equal(
		client_call(f->c, "closefd", json_pack("{s:s}", "fdname", "closed"), NULL, &e), 0);
	assert_int_not_equal(
		client_call(f->c, "umbra-console", json_pack("{s:s}", "fd", "refused"), NULL, &e),
		0);
	assert_int_not_equal(
		client_call(f->c, "dump-guest-memory",
			    json_pack("{s:b, s:s}", "paging", 0, "protocol", "fd:read-only"), NULL,
			    &e),
		0);
	give_fd(f->c, "replaced", STDIN_FILENO);
	client_close(other);
	fixture_ask(f, "query-status", NULL);
	fixture_await_info(f, "clients", "a client's descriptor");
	fixture_ask(f, "quit", NULL);
	fixture_await_note(f, "a client's descriptor: this host's kernel holds what is done to it");
	fixture_expect_stop_says(f, "which has held what is done to a client's descriptor for ");
	assert_false(fixture_is_done(f));
	held_set_close(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_close_of_a_silent_console_is_named,
						setup_silent_console, fixture_teardown),
		cmocka_unit_test_setup_teardown(the_close_of_a_silent_log_is_named,
						setup_silent_log, fixture_teardown),
		cmocka_unit_test_setup_teardown(the_close_of_a_disk_is_named, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(the_close_of_an_empty_record_is_named,
						fixture_setup_record, fixture_teardown),
		cmocka_unit_test(the_close_of_a_failed_start_is_named),
		cmocka_unit_test_setup_teardown(a_clients_descriptor_holds_up_its_end_only,
						fixture_setup, fixture_teardown),
	};

	fixture_find_command();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
