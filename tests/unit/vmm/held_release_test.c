// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that the end of a guest closes what a start has read, kernel, initrd, policy and drivers,
 * while the control socket answers (held_fixture.h), and waits for nothing that clients pass later.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "tests/unit/vmm/held_fixture.h"
#include "tests/unit/vmm/send_fds.h"
#include "vmm/boot/probe.h"
#include "vmm/control/socket_dir.h"
#include "vmm/machine/closer.h"
#include "vmm/machine/io.h"
#include "vmm/monitor/monitor.h"
#include "vmm/session/sessions.h"

/* Files that starts read are closed while the control socket answers. */
static void the_close_of_kernel_and_initrd_is_named(void **state)
{
	struct fixture *f = *state;
	char want[200];

	held_choose(f->initrd);
	held_set_close(true);
	fixture_ask(f, "quit", NULL);
	snprintf(want, sizeof(want), "%s: this host's kernel holds what is done to it", f->initrd);
	fixture_await_note(f, want);
	fixture_await_info(f, "clients", f->initrd);
	assert_false(fixture_is_done(f));
	held_set_close(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

static void the_close_of_a_kernel_is_named(void **state)
{
	struct fixture *f = *state;
	char want[200];

	held_choose(f->kernel);
	held_set_close(true);
	fixture_ask(f, "quit", NULL);
	snprintf(want, sizeof(want), "%s: this host's kernel holds what is done to it", f->kernel);
	fixture_await_note(f, want);
	snprintf(want, sizeof(want), "this host's kernel, which has held what is done to %s for ",
		 f->kernel);
	fixture_expect_stop_says(f, want);
	assert_false(fixture_is_done(f));
	held_set_close(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

static void on_port(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	(void)arg;
	(void)v;
	(void)a;
}

static bool monitor_closes(void *arg)
{
	return monitor_is_closing(arg);
}

/* Does as a guest with sessions does at its end, as run_recorded() does. */
static void *run_with_sessions(void *arg)
{
	static const u8 code[] = { 0xe6, 0x98, 0xeb, 0xfc }; /* 1: out %al, $0x98; jmp 1b */
	struct fixture *f = arg;
	const struct machine_config c = { .memory = PROBE_MEMORY,
					  .cpus = 1,
					  .notes = { told_put, &f->told } };
	struct sessions *s = NULL;
	struct monitor *mon;
	struct machine *m;
	struct err e = { "" };

	if (machine_create(&m, &c, &e) || probe_place(m, code, sizeof(code), 0, &e) ||
	    monitor_create(&mon, m, &f->spec, &e) || sessions_open(&s, m, &f->spec, &e) ||
	    machine_pio_add(m, 0x98, 1, on_port, NULL)) {
		told_put(&f->told, e.text);
		__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
		return NULL;
	}
	lifecycle_add(machine_lifecycle(m), &monitor_part, mon);
	machine_set_confine(m, NULL);
	lifecycle_start(machine_lifecycle(m), &e);
	__atomic_store_n(&f->started, true, __ATOMIC_RELEASE);
	f->code = machine_run(m, &e);
	monitor_ended(mon, f->code);
	sessions_release_files(s, monitor_closer(mon));
	monitor_begin_end(mon);
	machine_wait(m, monitor_closes, mon);
	monitor_leave_files(mon);
	sessions_finish(s);
	lifecycle_end(machine_lifecycle(m), &e);
	machine_destroy(m);
	__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* The policy is the file of the log, a driver that of the record. */
static int setup_sessions(void **state)
{
	struct fixture *f = fixture_new();

	fixture_make_file(f->log, "", 0);
	fixture_make_file(f->record, "", 0);
	f->spec.policy = f->log;
	f->spec.append = "";
	f->spec.drivers[0] = (struct spec_driver){ .session = strdup("a"),
						   .instance = strdup("d"),
						   .path = strdup(f->record) };
	f->spec.n_drivers = 1;
	return fixture_run_as(f, run_with_sessions, state);
}

static void expect_session_file_is_named(struct fixture *f, const char *file)
{
	char want[200];

	held_choose(file);
	held_set_close(true);
	fixture_ask(f, "quit", NULL);
	snprintf(want, sizeof(want), "%s: this host's kernel holds what is done to it", file);
	fixture_await_note(f, want);
	fixture_await_info(f, "clients", file);
	assert_false(fixture_is_done(f));
	held_set_close(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
	f->spec.policy = NULL;
}

static void the_close_of_a_driver_is_named(void **state)
{
	struct fixture *f = *state;

	expect_session_file_is_named(f, f->record);
}

static void the_close_of_a_policy_is_named(void **state)
{
	struct fixture *f = *state;

	expect_session_file_is_named(f, f->log);
}

/* Sends a blank with @fd, as often as the socket takes it: a client's input without a command. */
static void stuff(int to, int fd, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		send_fds(to, " ", 1, &fd, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool closed_here; /* atomic: the guest's main thread has closed the held file */
static pthread_t main_thread;
static int late_fd = -1; /* atomic: to be passed once the end waits no more, and held */
static int late_to;

/* The first that the main thread closes when it has waited is a device's, before the socket. */
static void stuff_late(int closed)
{
	int fd = __atomic_load_n(&late_fd, __ATOMIC_ACQUIRE);

	if (!pthread_equal(pthread_self(), main_thread))
		return;
	if (fd >= 0 && held_take_asked()) {
		__atomic_store_n(&late_fd, -1, __ATOMIC_RELEASE);
		stuff(late_to, fd, 20);
		held_set_close(true);
	}
	if (held_is(closed))
		__atomic_store_n(&closed_here, true, __ATOMIC_RELEASE);
}

static int dial_guest(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *path = NULL;
	struct err e;

	assert_int_equal(socket_dir_path(&path, name, false, &e), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	free(path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/*
 * What clients pass when the loop has run for the last time is nobody's to wait for: nobody could
 * ask for what.
 */
static void late_descriptors_do_not_hold_up_the_end(void **state)
{
	struct fixture *f = *state;
	int stuffer = dial_guest(f->name), late;

	fixture_make_file(f->log, "", 0);
	held_choose(f->log);
	late = open(f->log, O_RDONLY | O_CLOEXEC);
	__atomic_store_n(&closed_here, false, __ATOMIC_RELEASE);
	held_take_asked();
	late_to = stuffer;
	main_thread = f->thread;
	held_set_on_close(stuff_late);
	__atomic_store_n(&late_fd, late, __ATOMIC_RELEASE);
	fixture_ask(f, "quit", NULL);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
	/* They did come. */
	held_set_on_close(NULL);
	assert_int_equal(__atomic_load_n(&late_fd, __ATOMIC_ACQUIRE), -1);
	assert_false(__atomic_load_n(&closed_here, __ATOMIC_ACQUIRE));
	held_set_close(false);
	close(stuffer);
	close(late);
}

static bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* A closer takes as many as it is to take, and leaves the others open. */
static void a_closer_has_a_limit(void **state)
{
	const struct machine_config c = { .memory = PROBE_MEMORY, .cpus = 1 };
	struct closer *closer;
	struct machine *m;
	struct err e;
	int fds[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		fds[i] = dup(STDIN_FILENO);
	assert_int_equal(machine_create(&m, &c, &e), 0);
	machine_set_confine(m, NULL);
	assert_int_equal(closer_create(&closer, m), 0);
	closer_close(closer, fds[0], "the first");
	closer_limit(closer, 1);
	closer_close(closer, fds[1], "one more");
	closer_close(closer, fds[2], "one too many");
	closer_destroy(closer);
	assert_false(fd_is_open(fds[0]));
	assert_false(fd_is_open(fds[1]));
	assert_true(fd_is_open(fds[2]));
	close(fds[2]);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn, setup) cmocka_unit_test_setup_teardown(fn, setup, fixture_teardown)
		TEST(late_descriptors_do_not_hold_up_the_end, fixture_setup),
		cmocka_unit_test(a_closer_has_a_limit),
		TEST(the_close_of_kernel_and_initrd_is_named, fixture_setup_firmware_kernel),
		TEST(the_close_of_kernel_and_initrd_is_named, fixture_setup_kernel),
		TEST(the_close_of_a_kernel_is_named, fixture_setup_firmware_kernel),
		TEST(the_close_of_a_kernel_is_named, fixture_setup_kernel),
		TEST(the_close_of_a_driver_is_named, setup_sessions),
		TEST(the_close_of_a_policy_is_named, setup_sessions),
	};

	fixture_find_command();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
