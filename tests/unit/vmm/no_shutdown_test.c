// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a guest whose VMM outlives its end (--no-shutdown), as libvirt talks to one: the events of
 * that end, what is refused until a reset, the start that follows, and requests that meet the end.
 * The guests are a firmware of a few instructions, on this /dev/kvm.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "tests/unit/base/thread_await.h"
#include "tests/unit/vmm/command_fixture.h"
#include "tests/unit/vmm/told_notes.h"
#include "vmm/control/client.h"
#include "vmm/guest/guest.h"
#include "vmm/backend/platform.h"
#include "vmm/machine/machine.h"
#include "vmm/monitor/monitor.h"

#define IMAGE_LEN   0x10000U
#define RESET_AT    0xfff0U
#define PATIENCE_MS 20000
#define LIMIT_MS    1000 /* within which it ends */
#define ROUNDS	    25

/* mov $LAYOUT_PORT_SLEEP, %dx; mov $S5, %al; out %al, %dx; jmp . */
static const u8 code_off[] = { 0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, 0xeb, 0xfe };
/* The same with LAYOUT_PORT_PVPANIC and 1. */
static const u8 code_panic[] = { 0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xeb, 0xfe };
/* cli; hlt */
static const u8 code_halt[] = { 0xfa, 0xf4 };
/* mov $0xfe, %al; out %al, $0x64; jmp . */
static const u8 code_reset[] = { 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe };
static const u8 code_spin[] = { 0xeb, 0xfe };

static const int no_signals[] = { -1 };

struct fixture {
	struct guest_spec spec;
	char dir[32], image[48], name[32];
	pthread_t thread;
	struct told_notes told;
	struct guest *g;
	struct client *c;
	json_int_t tid; /* of vCPU 0's thread, from the first expect_thread() on */
	int code;
};

/* --- what the linker leads here --------------------------------------------------------------- */

static struct machine *guest_m; /* of the guest that runs */
static bool panics;		/* atomic: the wait for the next reset finds a panic */
static bool holds, arrived;	/* atomic: the end waits before it rests; it does so */

int __real_platform_await_disks(struct platform *p);
int __wrap_platform_await_disks(struct platform *p);
void __real_monitor_rests(struct monitor *mon, int code);
void __wrap_monitor_rests(struct monitor *mon, int code);

/* The panic's watch finds one like this, when it has read the kernel's symbols. */
int __wrap_platform_await_disks(struct platform *p)
{
	int code = __real_platform_await_disks(p);

	if (code != EXIT_CODE_REBOOT || !__atomic_exchange_n(&panics, false, __ATOMIC_ACQ_REL))
		return code;
	machine_exit(guest_m, EXIT_CODE_PANIC, "the guest's kernel panicked");
	return EXIT_CODE_PANIC;
}

static bool is_held(void *arg)
{
	(void)arg;
	return __atomic_load_n(&holds, __ATOMIC_ACQUIRE);
}

/* Something is waited for between the guest's end and its rest, with clients served. */
void __wrap_monitor_rests(struct monitor *mon, int code)
{
	__atomic_store_n(&arrived, true, __ATOMIC_RELEASE);
	machine_wait(guest_m, is_held, NULL);
	__real_monitor_rests(mon, code);
}

/* --- the guest ------------------------------------------------------------------------------- */

/* Runs the guest on a thread of its own, which the VMM takes for its main one. */
static void *run_guest(void *arg)
{
	struct fixture *f = arg;
	struct err e = { "" };

	f->code = guest_run(f->g, &e);
	if (*e.text)
		told_put(&f->told, e.text);
	guest_destroy(f->g);
	return NULL;
}

enum begin {
	BEGIN_PAUSED,
	BEGIN_RUNNING,
	BEGIN_DUMPED, /* paused, and its panic's dump goes to f->dir */
};

/* Makes a guest that executes @code, with f->c to its VMM. */
static void fixture_begin(struct fixture *f, const u8 *code, size_t len, bool no_reboot,
			  enum begin begin)
{
	const struct guest_config c = {
		.spec = &f->spec,
		.end_signals = no_signals,
		.front = { .arg = f, .notes = { told_put, &f->told } },
	};
	static u8 image[IMAGE_LEN];
	struct err e = { "" };
	int fd;

	memset(f, 0, sizeof(*f));
	told_begin(&f->told);
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->image, sizeof(f->image), "%s/bios", f->dir);
	snprintf(f->name, sizeof(f->name), "unit-stay-%d", getpid());
	memset(image, 0xff, sizeof(image));
	memcpy(image + RESET_AT, code, len);
	fd = open(f->image, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
	close(fd);
	guest_spec_init(&f->spec);
	f->spec.firmware = f->image;
	f->spec.memory = SPEC_MIN_MEMORY;
	f->spec.name = f->name;
	f->spec.no_shutdown = true;
	f->spec.no_reboot = no_reboot;
	f->spec.paused = begin != BEGIN_RUNNING;
	if (begin == BEGIN_DUMPED)
		f->spec.panic_dumps = f->dir;
	f->spec.console.kind = SPEC_PTY;
	f->spec.console_given = true;
	if (guest_create(&f->g, &c, &e))
		fail_msg("%s", e.text);
	guest_m = guest_machine(f->g);
	assert_int_equal(pthread_create(&f->thread, NULL, run_guest, f), 0);
	if (client_open(&f->c, f->name, PATIENCE_MS, &e))
		fail_msg("%s", e.text);
}

/* Makes one that waits for `cont`. */
static void fixture_start(struct fixture *f, const u8 *code, size_t len, bool no_reboot)
{
	fixture_begin(f, code, len, no_reboot, BEGIN_PAUSED);
}

static void remove_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	assert_int_equal(rmdir(dir), 0);
}

/*
 * Waits for the end of the guest's VMM, whose exit code f->code is: somebody has asked for it by
 * now.
 */
static void fixture_join(struct fixture *f)
{
	s64 begin = now_ms();

	thread_await(f->thread, PATIENCE_MS / 1000);
	assert_in_range(now_ms() - begin, 0, LIMIT_MS);
	client_close(f->c);
	guest_spec_free(&f->spec);
	remove_files(f->dir);
	told_end(&f->told);
}

static void fixture_end(struct fixture *f, int code)
{
	fixture_join(f);
	if (f->code != code)
		fail_msg("exit code %d; %s", f->code, f->told.text);
}

static void ask(struct fixture *f, const char *command)
{
	struct err e = { "" };

	if (client_call(f->c, command, NULL, NULL, &e))
		fail_msg("%s: %s; %s", command, e.text, f->told.text);
}

static void expect_refusal(struct fixture *f, const char *command, const char *text)
{
	struct err e = { "" };

	assert_int_equal(client_call(f->c, command, NULL, NULL, &e), -EREMOTEIO);
	assert_string_equal(e.text, text);
}

static void expect_status(struct fixture *f, const char *status)
{
	struct err e = { "" };
	json_t *o = NULL;

	assert_int_equal(client_call(f->c, "query-status", NULL, &o, &e), 0);
	assert_string_equal(json_string_value(json_object_get(o, "status")), status);
	assert_int_equal(json_is_true(json_object_get(o, "running")), !strcmp(status, "running"));
	json_decref(o);
}

/* Waits for the next event, which is to be @name, with @value as its member @key, unless NULL. */
static void expect_event(struct fixture *f, const char *name, const char *key, const char *value)
{
	const json_t *data;
	json_t *o = NULL;

	if (client_event(f->c, PATIENCE_MS, &o))
		fail_msg("no event %s", name);
	assert_string_equal(json_string_value(json_object_get(o, "event")), name);
	data = json_object_get(o, "data");
	if (key)
		assert_string_equal(json_string_value(json_object_get(data, key)), value);
	json_decref(o);
}

static void expect_power_off(struct fixture *f)
{
	expect_event(f, "SHUTDOWN", "reason", "guest-shutdown");
	expect_event(f, "STOP", NULL, NULL);
}

/*
 * Expects vCPU 0 to have the thread that it had when this was asked first: whoever pins it does so
 * once.
 */
static void expect_thread(struct fixture *f)
{
	char comm[64], name[16] = "";
	struct err e = { "" };
	json_t *o = NULL;
	json_int_t tid;
	FILE *file;

	assert_int_equal(client_call(f->c, "query-cpus-fast", NULL, &o, &e), 0);
	tid = json_integer_value(json_object_get(json_array_get(o, 0), "thread-id"));
	json_decref(o);
	assert_int_not_equal(tid, 0);
	if (!f->tid)
		f->tid = tid;
	assert_int_equal(tid, f->tid);
	snprintf(comm, sizeof(comm), "/proc/self/task/%lld/comm", (long long)tid);
	file = fopen(comm, "re");
	assert_non_null(file);
	assert_non_null(fgets(name, sizeof(name), file));
	fclose(file);
	assert_string_equal(name, "vcpu0\n");
}

static void a_guest_that_is_off_starts_anew_after_a_reset(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, code_off, sizeof(code_off), false);
	expect_thread(&f); /* as libvirt asks it, before all else */
	expect_status(&f, "prelaunch");
	for (int i = 0; i < 3; i++) {
		ask(&f, "cont");
		expect_event(&f, "RESUME", NULL, NULL);
		expect_power_off(&f);
		expect_status(&f, "shutdown");
		expect_thread(&f);
		expect_refusal(&f, "cont", "Resetting the Virtual Machine is required");
		ask(&f, "stop"); /* answered, and no event */
		ask(&f, "system_reset");
		expect_event(&f, "RESET", "reason", "host-qmp-system-reset");
		expect_status(&f, "prelaunch");
		expect_thread(&f);
	}
	ask(&f, "cont");
	expect_event(&f, "RESUME", NULL, NULL);
	expect_power_off(&f);
	ask(&f, "quit");
	expect_event(&f, "SHUTDOWN", "reason", "host-qmp-quit");
	fixture_end(&f, EXIT_CODE_POWEROFF);
}

/* As libvirt reboots a guest: it waits for neither answer before it asks for the next. */
static void a_cont_may_follow_the_reset_at_once(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, code_off, sizeof(code_off), false);
	ask(&f, "cont");
	for (int i = 0; i < ROUNDS; i++) {
		expect_event(&f, "RESUME", NULL, NULL);
		expect_power_off(&f);
		ask(&f, "system_reset");
		ask(&f, "cont");
		expect_event(&f, "RESET", NULL, NULL);
	}
	expect_event(&f, "RESUME", NULL, NULL);
	expect_power_off(&f);
	ask(&f, "quit");
	fixture_end(&f, EXIT_CODE_POWEROFF);
}

/* Reads events up to @name. */
static void skip_to(struct fixture *f, const char *name)
{
	bool found = false;
	json_t *o = NULL;

	while (!found) {
		if (client_event(f->c, PATIENCE_MS, &o))
			fail_msg("no event %s; %s", name, f->told.text);
		found = !strcmp(json_string_value(json_object_get(o, "event")), name);
		json_decref(o);
	}
}

/*
 * A reset that comes while the guest switches itself off is done before or after, and never
 * forgotten; a quit that does ends the VMM, and a pause is answered.
 */
static void requests_that_meet_the_end_are_answered_and_done(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, code_off, sizeof(code_off), false);
	for (int i = 0; i < ROUNDS; i++) {
		ask(&f, "cont");
		usleep((useconds_t)(i * 20));
		ask(&f, "system_reset");
		skip_to(&f, "RESET");
		/* If it was done before the end, this end is another. */
		ask(&f, "stop");
		ask(&f, "system_reset");
		skip_to(&f, "RESET");
	}
	ask(&f, "cont");
	ask(&f, "quit");
	fixture_join(&f);
	assert_true(f.code == EXIT_CODE_POWEROFF || f.code == EXIT_CODE_SIGNAL + 15);
}

/* Both come before the VMM has seen the first. */
static void a_signal_that_meets_the_end_ends_the_vmm(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, code_spin, sizeof(code_spin), false);
	machine_exit(guest_machine(f.g), EXIT_CODE_POWEROFF, NULL);
	machine_exit(guest_machine(f.g), EXIT_CODE_SIGNAL + 15, "ended by signal 15");
	expect_event(&f, "SHUTDOWN", "reason", "guest-shutdown");
	expect_event(&f, "SHUTDOWN", "reason", "host-signal");
	fixture_end(&f, EXIT_CODE_POWEROFF);
}

static void a_panic_and_a_halt_rest_too(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, code_panic, sizeof(code_panic), false);
	ask(&f, "cont");
	expect_event(&f, "RESUME", NULL, NULL);
	expect_event(&f, "GUEST_PANICKED", "action", "pause");
	expect_event(&f, "STOP", NULL, NULL);
	expect_status(&f, "guest-panicked");
	if (!strstr(f.told.text, "the guest's kernel panicked"))
		fail_msg("no note: %s", f.told.text);
	expect_refusal(&f, "cont", "Resetting the Virtual Machine is required");
	ask(&f, "quit");
	fixture_end(&f, EXIT_CODE_PANIC);

	fixture_start(&f, code_halt, sizeof(code_halt), false);
	ask(&f, "cont");
	expect_event(&f, "RESUME", NULL, NULL);
	expect_power_off(&f);
	expect_status(&f, "shutdown");
	ask(&f, "system_reset");
	expect_event(&f, "RESET", NULL, NULL);
	ask(&f, "quit");
	fixture_end(&f, EXIT_CODE_SIGNAL + 15); /* of a guest that had not ended again */
}

/* As QEMU with -no-reboot and -no-shutdown. */
/* What the guest's end is may be found out while its reset waits for this host's storage. */
static void a_reset_that_is_a_panic_rests(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, code_reset, sizeof(code_reset), false);
	__atomic_store_n(&panics, true, __ATOMIC_RELEASE);
	ask(&f, "cont");
	expect_event(&f, "RESUME", NULL, NULL);
	expect_event(&f, "GUEST_PANICKED", "action", "pause");
	expect_event(&f, "STOP", NULL, NULL);
	expect_status(&f, "guest-panicked");
	/* It starts anew as any other that rests. */
	ask(&f, "system_reset");
	expect_event(&f, "RESET", "reason", "host-qmp-system-reset");
	__atomic_store_n(&panics, true, __ATOMIC_RELEASE);
	ask(&f, "cont");
	expect_event(&f, "RESUME", NULL, NULL);
	expect_event(&f, "GUEST_PANICKED", "action", "pause");
	expect_event(&f, "STOP", NULL, NULL);
	ask(&f, "quit");
	fixture_end(&f, EXIT_CODE_PANIC);
}

/* A reset that comes too late for the guest's end is done at rest, after the dump of its panic. */
static void a_late_reset_follows_the_dump_of_a_panic(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin(&f, code_panic, sizeof(code_panic), false, BEGIN_DUMPED);
	__atomic_store_n(&arrived, false, __ATOMIC_RELEASE);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	ask(&f, "cont");
	expect_event(&f, "RESUME", NULL, NULL);
	for (unsigned i = 0; i < PATIENCE_MS && !__atomic_load_n(&arrived, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	ask(&f, "system_reset");
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	expect_event(&f, "GUEST_PANICKED", "action", "pause");
	expect_event(&f, "STOP", NULL, NULL);
	skip_to(&f, "RESET");
	assert_non_null(strstr(f.told.text, "the guest's memory is in "));
	expect_status(&f, "prelaunch");
	ask(&f, "quit");
	fixture_end(&f, EXIT_CODE_SIGNAL + 15);
}

static void with_no_reboot_a_reset_rests(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, code_reset, sizeof(code_reset), true);
	ask(&f, "cont");
	expect_event(&f, "RESUME", NULL, NULL);
	expect_event(&f, "SHUTDOWN", "reason", "guest-reset");
	expect_event(&f, "STOP", NULL, NULL);
	expect_status(&f, "shutdown");
	expect_refusal(&f, "system_reset",
		       "This guest was started with --no-reboot; it does not start anew");
	ask(&f, "quit");
	fixture_end(&f, EXIT_CODE_REBOOT);
}

static void vmm_reset_starts_a_guest_that_rests(void **state)
{
	char vmm[COMMAND_PATH];
	struct fixture f;

	(void)state;
	command_find(vmm);
	fixture_start(&f, code_off, sizeof(code_off), false);
	ask(&f, "cont");
	expect_event(&f, "RESUME", NULL, NULL);
	expect_power_off(&f);
	assert_int_equal(command_run((const char *const[]){ vmm, "reset", f.name, NULL }, NULL, 0),
			 0);
	expect_event(&f, "RESET", NULL, NULL);
	expect_event(&f, "RESUME", NULL, NULL);
	expect_power_off(&f);
	ask(&f, "quit");
	fixture_end(&f, EXIT_CODE_POWEROFF);
}

/* Nothing that it does makes its thread leave it. */
static void a_vcpu_that_never_exits_has_a_thread(void **state)
{
	struct fixture f;

	(void)state;
	fixture_begin(&f, code_spin, sizeof(code_spin), false, BEGIN_RUNNING);
	expect_thread(&f);
	for (int i = 0; i < 3; i++) {
		ask(&f, "system_reset");
		expect_event(&f, "RESET", "reason", "host-qmp-system-reset");
		expect_thread(&f);
	}
	ask(&f, "quit");
	fixture_end(&f, EXIT_CODE_SIGNAL + 15);
}

/* A guest that still runs is not affected. */
static void a_quit_of_a_running_guest_ends_it(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, code_spin, sizeof(code_spin), false);
	ask(&f, "cont");
	ask(&f, "quit");
	expect_event(&f, "RESUME", NULL, NULL);
	expect_event(&f, "SHUTDOWN", "reason", "host-qmp-quit");
	fixture_end(&f, EXIT_CODE_SIGNAL + 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_is_off_starts_anew_after_a_reset),
		cmocka_unit_test(a_cont_may_follow_the_reset_at_once),
		cmocka_unit_test(requests_that_meet_the_end_are_answered_and_done),
		cmocka_unit_test(a_signal_that_meets_the_end_ends_the_vmm),
		cmocka_unit_test(a_panic_and_a_halt_rest_too),
		cmocka_unit_test(a_reset_that_is_a_panic_rests),
		cmocka_unit_test(a_late_reset_follows_the_dump_of_a_panic),
		cmocka_unit_test(with_no_reboot_a_reset_rests),
		cmocka_unit_test(vmm_reset_starts_a_guest_that_rests),
		cmocka_unit_test(a_vcpu_that_never_exits_has_a_thread),
		cmocka_unit_test(a_quit_of_a_running_guest_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
