// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the end of a guest while the host's kernel holds requests of its disk, or bytes for the
 * file of its console, of its firmware's log or of its record: the control socket answers and names
 * the file, and so do a note and `vmm stop`. So it is with the front end's notes, and with files
 * that a reset reads. The linker leads the disk's word that it is held here, which blk_held_test.c
 * tests, and write(2), close(2), pread(2) (pread64()), fsync(2) and ftruncate(2) (ftruncate64()),
 * which hold what is done to those files. The guests are a few instructions, on this /dev/kvm.
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "devices/virtio_blk.h"
#include "policy/record.h"
#include "tests/unit/vmm/held_file.h"
#include "tests/unit/vmm/told_notes.h"
#include "vmm/boot/probe.h"
#include "vmm/boot/setup_header.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/guest/guest.h"
#include "vmm/guest/guest_record.h"
#include "vmm/machine/io.h"
#include "vmm/monitor/monitor.h"

#define IMAGE_LEN 0x10000U
#define RESET_AT  0xfff0U
#define LIMIT_MS  1000

static const int no_signals[] = { -1 };
static s64 held_since; /* atomic; 0: nothing is held */

s64 __real_virtio_blk_held_ms(const struct virtio_blk *b);
s64 __wrap_virtio_blk_held_ms(const struct virtio_blk *b);

s64 __wrap_virtio_blk_held_ms(const struct virtio_blk *b)
{
	s64 since = __atomic_load_n(&held_since, __ATOMIC_ACQUIRE);

	return since ? now_ms() - since + 1 : __real_virtio_blk_held_ms(b);
}

ssize_t __real_pread64(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at)
{
	wait_while_held(fd);
	return __real_pread64(fd, buf, len, at);
}

int __wrap_fsync(int fd)
{
	wait_while_held(fd);
	return __real_fsync(fd);
}

int __wrap_ftruncate64(int fd, off_t len)
{
	wait_while_held(fd);
	errno = __atomic_load_n(&fails, __ATOMIC_ACQUIRE);
	return errno ? -1 : __real_ftruncate64(fd, len);
}

struct fixture {
	struct guest_spec spec;
	char dir[32], image[48], disk[48], name[32];
	char kernel[48], initrd[48];	       /* likewise */
	char console[48], log[48], record[48]; /* the files of those tests that have one */
	struct guest_record *r;
	bool records; /* atomic: the guest's next exit adds a line to the record */
	pthread_t thread;
	struct told_notes told;
	bool started, done; /* atomic */
	int code;
	struct client *c;
};

static void on_started(void *arg, const char *name)
{
	struct fixture *f = arg;

	(void)name;
	__atomic_store_n(&f->started, true, __ATOMIC_RELEASE);
}

static s64 notes_since; /* atomic: when the front end's lines were held; 0: they are not */

static s64 front_held_ms(void *arg, const char **file)
{
	s64 since = __atomic_load_n(&notes_since, __ATOMIC_ACQUIRE);

	(void)arg;
	*file = "stderr";
	return since ? now_ms() - since + 1 : 0;
}

static bool front_busy(void *arg)
{
	const char *file;

	return front_held_ms(arg, &file) != 0;
}

static void *run_guest(void *arg)
{
	struct fixture *f = arg;
	const struct guest_config c = {
		.spec = &f->spec,
		.end_signals = no_signals,
		.front = { .arg = f,
			   .notes = { told_put, &f->told },
			   .started = on_started,
			   .notes_busy = front_busy,
			   .notes_held_ms = front_held_ms },
	};
	struct guest *g = NULL;
	struct err e = { "" };
	char line[600];

	f->code = guest_create(&g, &c, &e) ? -1 : guest_run(g, &e);
	if (f->code < 0)
		told_put(&f->told, e.text);
	else
		guest_exit_line(g, f->code, line, sizeof(line));
	guest_destroy(g);
	__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void nap(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

static void make_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* At the reset vector: "x" on the serial port, a line of the firmware's log, jmp . */
static const u8 firmware_code[] = { 0xba, 0xf8, 0x03, 0xb0, 0x78, 0xee, 0xba,
				    0x02, 0x04, 0xb0, 0x0a, 0xee, 0xeb, 0xfe };

static struct fixture *fixture_new(void)
{
	static u8 image[IMAGE_LEN], disk[4096];
	struct fixture *f = calloc(1, sizeof(*f));

	told_begin(&f->told);
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->image, sizeof(f->image), "%s/bios", f->dir);
	snprintf(f->disk, sizeof(f->disk), "%s/the disk", f->dir);
	snprintf(f->console, sizeof(f->console), "%s/the console", f->dir);
	snprintf(f->log, sizeof(f->log), "%s/the log", f->dir);
	snprintf(f->kernel, sizeof(f->kernel), "%s/the kernel", f->dir);
	snprintf(f->initrd, sizeof(f->initrd), "%s/the initrd", f->dir);
	snprintf(f->record, sizeof(f->record), "%s/the record", f->dir);
	snprintf(f->name, sizeof(f->name), "unit-held-%d", getpid());
	memset(image, 0xff, sizeof(image));
	memcpy(image + RESET_AT, firmware_code, sizeof(firmware_code));
	make_file(f->image, image, sizeof(image));
	make_file(f->disk, disk, sizeof(disk));
	guest_spec_init(&f->spec);
	f->spec.firmware = f->image;
	f->spec.memory = SPEC_MIN_MEMORY;
	f->spec.name = f->name;
	f->spec.console.kind = SPEC_PTY;
	f->spec.console_given = true;
	f->spec.disks[0].path = strdup(f->disk);
	f->spec.n_disks = 1;
	return f;
}

static int fixture_run_as(struct fixture *f, void *(*run)(void *arg), void **state)
{
	struct err e;

	assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
	for (unsigned i = 0; i < 10000 && !__atomic_load_n(&f->started, __ATOMIC_ACQUIRE) &&
			     !__atomic_load_n(&f->done, __ATOMIC_ACQUIRE);
	     i++)
		nap();
	if (client_open(&f->c, f->name, 5000, &e))
		fail_msg("%s; %s", e.text, f->told.text);
	*state = f;
	return 0;
}

static int fixture_run(struct fixture *f, void **state)
{
	return fixture_run_as(f, run_guest, state);
}

static int setup(void **state)
{
	return fixture_run(fixture_new(), state);
}

/* Makes @path, whose writes are held from now on. */
static void hold_file(const char *path)
{
	make_file(path, "", 0);
	choose_file(path);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
}

/* Called on the vCPU's thread, as a driver's call is. */
static void on_port(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct fixture *f = arg;

	(void)v;
	(void)a;
	if (__atomic_exchange_n(&f->records, false, __ATOMIC_ACQ_REL))
		record_event(guest_record_of(f->r), 1, "kind", "a text");
}

/*
 * Does as guest_create(), guest_run() and guest_end() do for a guest with sessions, which needs a
 * kernel; this one exits to the same port all the time.
 */
static void *run_recorded(void *arg)
{
	static const u8 code[] = { 0xe6, 0x98, 0xeb, 0xfc }; /* 1: out %al, $0x98; jmp 1b */
	struct fixture *f = arg;
	const struct machine_config c = { .memory = PROBE_MEMORY,
					  .cpus = 1,
					  .notes = { told_put, &f->told } };
	struct monitor *mon;
	struct machine *m;
	struct err e = { "" };

	if (machine_create(&m, &c, &e) || probe_place(m, code, sizeof(code), 0, &e) ||
	    monitor_create(&mon, m, &f->spec, &e) ||
	    guest_record_create(&f->r, m, mon, f->record, &e) ||
	    machine_pio_add(m, 0x98, 1, on_port, f)) {
		told_put(&f->told, e.text);
		__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
		return NULL;
	}
	choose_file(f->record);
	lifecycle_add(machine_lifecycle(m), &monitor_part, mon);
	machine_set_confine(m, NULL);
	lifecycle_start(machine_lifecycle(m), &e);
	__atomic_store_n(&f->started, true, __ATOMIC_RELEASE);
	f->code = machine_run(m, &e);
	monitor_ended(mon, f->code);
	guest_record_await(f->r);
	if (guest_record_end(f->r, &e))
		f->code = -1;
	lifecycle_end(machine_lifecycle(m), &e);
	machine_destroy(m);
	__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static int setup_record(void **state)
{
	return fixture_run_as(fixture_new(), run_recorded, state);
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

static int teardown(void **state)
{
	struct fixture *f = *state;

	__atomic_store_n(&held_since, 0, __ATOMIC_RELEASE);
	hold_nothing();
	f->spec.console.path = NULL;
	f->spec.firmware_log = NULL;
	f->spec.kernel = f->spec.initrd = NULL;
	unlink(f->console);
	unlink(f->log);
	unlink(f->record);
	unlink(f->kernel);
	unlink(f->initrd);
	client_close(f->c);
	guest_spec_free(&f->spec);
	unlink(f->image);
	unlink(f->disk);
	rmdir(f->dir);
	told_end(&f->told);
	free(f);
	return 0;
}

static void ask(struct fixture *f, const char *command, json_t **answer)
{
	s64 begin = now_ms();
	struct err e;

	if (client_call(f->c, command, NULL, answer, &e))
		fail_msg("%s: %s", command, e.text);
	assert_in_range(now_ms() - begin, 0, LIMIT_MS);
}

static void await_note(struct fixture *f, const char *what)
{
	bool told = false;

	for (unsigned i = 0; i < 9000 && !told; i++) {
		nap();
		pthread_mutex_lock(&f->told.lock);
		told = strstr(f->told.text, what);
		pthread_mutex_unlock(&f->told.lock);
	}
	if (!told)
		fail_msg("no note has \"%s\":\n%s", what, f->told.text);
}

/* Returns what `vmm stop` prints of the guest, whose end it must not wait for. */
static const char *stop_says(struct fixture *f)
{
	static char text[1000];
	char stop[] = "stop", timeout[] = "--timeout=1";
	char *argv[] = { stop, timeout, f->name, NULL };
	int fd = memfd_create("stderr", MFD_CLOEXEC), status;
	pid_t child = fork();
	ssize_t len;

	if (!child) {
		dup2(fd, STDERR_FILENO);
		_exit(cmd_stop(3, argv));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_CODE_ERROR);
	len = pread(fd, text, sizeof(text) - 1, 0);
	text[len > 0 ? len : 0] = '\0';
	close(fd);
	return text;
}

static void assert_file_is_named(struct fixture *f)
{
	char want[200];
	const char *got;
	json_t *info, *disk;

	snprintf(want, sizeof(want), "--disk %s: this host's kernel holds what is done to it",
		 f->disk);
	await_note(f, want);
	ask(f, "umbra-info", &info);
	disk = json_array_get(json_object_get(info, "disks"), 0);
	assert_string_equal(json_string_value(json_object_get(disk, "file")), f->disk);
	assert_string_equal(json_string_value(json_object_get(disk, "error")),
			    "this host's kernel holds what is done to this file");
	assert_true(json_integer_value(json_object_get(disk, "held-ms")) >= MACHINE_HELD_MS);
	json_decref(info);
	snprintf(want, sizeof(want),
		 "its end waits for this host's kernel, which has held what is done to %s for ",
		 f->disk);
	got = stop_says(f);
	if (!strstr(got, want))
		fail_msg("vmm stop says: %s", got);
}

/* Waits until umbra-info tells that @file of the section is held. */
static void await_info(struct fixture *f, const char *section, const char *file)
{
	json_t *info = NULL, *one = NULL;

	for (unsigned i = 0; i < 40; i++) {
		ask(f, "umbra-info", &info);
		one = json_array_get(json_object_get(info, section), 0);
		if (json_object_get(one, "held-ms"))
			break;
		json_decref(info);
		info = NULL;
		for (unsigned ms = 0; ms < 100; ms++)
			nap();
	}
	assert_non_null(info);
	assert_true(json_integer_value(json_object_get(one, "held-ms")) >= MACHINE_HELD_MS);
	assert_string_equal(json_string_value(json_object_get(one, "file")), file);
	assert_string_equal(json_string_value(json_object_get(one, "error")),
			    "this host's kernel holds what is done to this file");
	json_decref(info);
}

static void await_end(struct fixture *f, int code)
{
	s64 begin = now_ms();

	while (!__atomic_load_n(&f->done, __ATOMIC_ACQUIRE) && now_ms() - begin < 2 * LIMIT_MS)
		nap();
	assert_true(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
	pthread_join(f->thread, NULL);
	assert_int_equal(f->code, code);
}

static void assert_ends(struct fixture *f, int code)
{
	assert_false(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
	__atomic_store_n(&held_since, 0, __ATOMIC_RELEASE);
	await_end(f, code);
}

static void quit_names_the_file_that_holds_it_up(void **state)
{
	struct fixture *f = *state;

	__atomic_store_n(&held_since, now_ms(), __ATOMIC_RELEASE);
	ask(f, "quit", NULL);
	assert_file_is_named(f);
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
}

/* A reset that waits can be ended, and is none then. */
static void a_reset_names_it_and_quit_ends_it(void **state)
{
	struct fixture *f = *state;
	char want[200];

	__atomic_store_n(&held_since, now_ms(), __ATOMIC_RELEASE);
	ask(f, "system_reset", NULL);
	snprintf(want, sizeof(want), "--disk %s: this host's kernel holds what is done to it",
		 f->disk);
	await_note(f, want);
	ask(f, "quit", NULL);
	assert_file_is_named(f);
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
}

static void await_event(struct fixture *f, const char *name)
{
	json_t *event = NULL;

	assert_int_equal(client_event(f->c, 2 * LIMIT_MS, &event), 0);
	assert_string_equal(json_string_value(json_object_get(event, "event")), name);
	json_decref(event);
}

/* Each wait is told, not the first one only. */
static void each_reset_that_waits_is_told(void **state)
{
	struct fixture *f = *state;
	char want[200];

	snprintf(want, sizeof(want), "--disk %s: this host's kernel holds what is done to it",
		 f->disk);
	for (unsigned i = 0; i < 2; i++) {
		__atomic_store_n(&held_since, now_ms(), __ATOMIC_RELEASE);
		ask(f, "system_reset", NULL);
		await_note(f, want);
		pthread_mutex_lock(&f->told.lock);
		f->told.text[0] = '\0';
		pthread_mutex_unlock(&f->told.lock);
		__atomic_store_n(&held_since, 0, __ATOMIC_RELEASE);
		await_event(f, "RESET");
	}
	ask(f, "quit", NULL);
	await_end(f, EXIT_CODE_SIGNAL + 15);
}

/* A guest that has ended and whose vmm waits is none that is paused, whatever state it is in. */
static void stop_of_one_that_ends_waits_for_it(void **state)
{
	struct fixture *f = *state;
	const char *got;

	__atomic_store_n(&held_since, now_ms(), __ATOMIC_RELEASE);
	ask(f, "quit", NULL);
	await_event(f, "SHUTDOWN");
	got = stop_says(f);
	if (!strstr(got, "its end waits for this host's kernel"))
		fail_msg("vmm stop says: %s", got);
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
}

/* A resize would wait with the control socket for a reset that the host's kernel holds up. */
static void a_held_disk_is_not_resized(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };

	__atomic_store_n(&held_since, now_ms() - 2 * LIMIT_MS, __ATOMIC_RELEASE);
	assert_int_not_equal(client_call(f->c, "block_resize",
					 json_pack("{s:s, s:i}", "device", "disk0", "size", 8192),
					 NULL, &e),
			     0);
	assert_non_null(strstr(e.text, "this host's kernel holds its requests"));
	__atomic_store_n(&held_since, 0, __ATOMIC_RELEASE);
	if (client_call(f->c, "block_resize",
			json_pack("{s:s, s:i}", "device", "disk0", "size", 8192), NULL, &e))
		fail_msg("%s", e.text);
	ask(f, "quit", NULL);
	await_end(f, EXIT_CODE_SIGNAL + 15);
}

/* What is given back within a moment is not worth a word. */
static void a_short_wait_is_not_told(void **state)
{
	struct fixture *f = *state;

	__atomic_store_n(&held_since, now_ms(), __ATOMIC_RELEASE);
	ask(f, "quit", NULL);
	for (unsigned i = 0; i < 200; i++)
		nap();
	assert_ends(f, EXIT_CODE_SIGNAL + 15);
	assert_null(strstr(f->told.text, "--disk"));
}

static void expect_stop_says(struct fixture *f, const char *want)
{
	const char *got = stop_says(f);

	if (!strstr(got, want))
		fail_msg("vmm stop says: %s", got);
}

/* The guest has written a byte, and the host's kernel does not give it back. */
static void expect_end_names(struct fixture *f, const char *note, const char *file, char content)
{
	char want[200], got[2] = "";
	int fd;

	ask(f, "quit", NULL);
	await_note(f, note);
	snprintf(want, sizeof(want), "this host's kernel, which has held what is done to %s for ",
		 file);
	expect_stop_says(f, want);
	assert_false(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_SIGNAL + 15);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, sizeof(got)), 1);
	assert_int_equal(got[0], content);
	close(fd);
}

static void a_console_goes_on_and_names_its_file(void **state)
{
	struct fixture *f = *state;
	char note[200];

	await_info(f, "console", f->console);
	/* It still runs, so that its end waits for nothing. */
	expect_stop_says(f, "has not shut down in 1 s");
	snprintf(note, sizeof(note), "console %s: this host's kernel holds what is done to it",
		 f->console);
	expect_end_names(f, note, f->console, 'x');
}

static void a_firmwares_log_is_named(void **state)
{
	struct fixture *f = *state;
	char note[200];

	await_info(f, "firmware-log", f->log);
	snprintf(note, sizeof(note),
		 "--firmware-log %s: this host's kernel holds what is done to it", f->log);
	expect_end_names(f, note, f->log, '\n');
}

/* Has the vCPU add a line to the record. */
static void add_line(struct fixture *f)
{
	__atomic_store_n(&f->records, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 5000 && __atomic_load_n(&f->records, __ATOMIC_ACQUIRE); i++)
		nap();
	assert_false(__atomic_load_n(&f->records, __ATOMIC_ACQUIRE));
}

static void expect_end_names_record(struct fixture *f)
{
	char note[200], want[200], text[200] = "";
	int fd;

	ask(f, "quit", NULL);
	snprintf(note, sizeof(note), "--record %s: this host's kernel holds what is done to it",
		 f->record);
	await_note(f, note);
	await_info(f, "record", f->record);
	snprintf(want, sizeof(want), "this host's kernel, which has held what is done to %s for ",
		 f->record);
	expect_stop_says(f, want);
	assert_false(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_SIGNAL + 15);
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
		nap();
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	expect_end_names_record(f);
}

/* A line that a vCPU cannot write is named while the guest runs, and at its end. */
static void a_records_line_is_named(void **state)
{
	struct fixture *f = *state;

	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	add_line(f);
	await_info(f, "record", f->record);
	expect_end_names_record(f);
}

/* Nothing to flush, nothing to wait for. */
static void an_empty_record_holds_up_nothing(void **state)
{
	struct fixture *f = *state;

	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	ask(f, "quit", NULL);
	await_end(f, EXIT_CODE_SIGNAL + 15);
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

	choose_file(f->disk);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	assert_int_not_equal(ask_for_size(f, 8192, &e), 0);
	snprintf(want, sizeof(want), "this host's kernel does not answer for %s", f->disk);
	assert_non_null(strstr(e.text, want));
	await_info(f, "disks", f->disk);
	assert_int_not_equal(ask_for_size(f, 4096, &e), 0);
	assert_non_null(strstr(e.text, "this host's kernel holds its requests"));
	ask(f, "quit", NULL);
	assert_file_is_named(f);
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_SIGNAL + 15);
	assert_int_equal(stat(f->disk, &st), 0);
	assert_int_equal(st.st_size, 8192);
}

/* Its end would wait for the resize as well. */
static void a_guest_that_ends_is_not_resized(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };
	struct stat st;

	__atomic_store_n(&held_since, now_ms(), __ATOMIC_RELEASE);
	ask(f, "quit", NULL);
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

	choose_file(f->disk);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	assert_int_not_equal(ask_for_size(f, 8192, &e), 0);
	assert_non_null(strstr(e.text, "is not resized yet"));
	__atomic_store_n(&fails, EIO, __ATOMIC_RELEASE);
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	snprintf(want, sizeof(want), "--disk %s: was not resized after all: Input/output error",
		 f->disk);
	await_note(f, want);
	ask(f, "quit", NULL);
	await_end(f, EXIT_CODE_SIGNAL + 15);
}

/* Has the guest write nothing: its files are opened, and closed at its end. */
static struct fixture *fixture_silent(void)
{
	static const u8 code[] = { 0xeb, 0xfe }; /* jmp . */
	struct fixture *f = fixture_new();
	int fd = open(f->image, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, code, sizeof(code), RESET_AT), sizeof(code));
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

	choose_file(file);
	__atomic_store_n(&holds_close, true, __ATOMIC_RELEASE);
	ask(f, "quit", NULL);
	snprintf(want, sizeof(want), "%s %s: this host's kernel holds what is done to it", what,
		 file);
	await_note(f, want);
	snprintf(want, sizeof(want), "this host's kernel, which has held what is done to %s for ",
		 file);
	expect_stop_says(f, want);
	assert_false(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
	__atomic_store_n(&holds_close, false, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_SIGNAL + 15);
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

static int setup_full_log(void **state)
{
	struct fixture *f = fixture_new();

	f->spec.firmware_log = f->log;
	make_file(f->log, "", 0);
	choose_file(f->log);
	__atomic_store_n(&failed, false, __ATOMIC_RELEASE);
	__atomic_store_n(&fails, ENOSPC, __ATOMIC_RELEASE);
	return fixture_run(f, state);
}

/* The guest has written a byte, for which the disk has no room. */
static void what_a_log_lacks_is_told(void **state)
{
	struct fixture *f = *state;
	char want[200];

	for (unsigned i = 0; i < 5000 && !__atomic_load_n(&failed, __ATOMIC_ACQUIRE); i++)
		nap();
	ask(f, "quit", NULL);
	await_end(f, EXIT_CODE_SIGNAL + 15);
	snprintf(want, sizeof(want),
		 "--firmware-log %s: 1 bytes of the firmware's messages are missing in it\n",
		 f->log);
	await_note(f, want);
}

static void the_file_of_notes_is_named(void **state)
{
	struct fixture *f = *state;

	__atomic_store_n(&notes_since, now_ms(), __ATOMIC_RELEASE);
	await_info(f, "notes", "stderr");
	expect_stop_says(f, "has not shut down in 1 s");
	ask(f, "quit", NULL);
	expect_stop_says(f, "its end waits for this host's kernel, which has held what is done to "
			    "stderr for ");
	assert_false(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
	__atomic_store_n(&notes_since, 0, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_SIGNAL + 15);
}

static void the_close_of_a_disk_is_named(void **state)
{
	struct fixture *f = *state;

	expect_close_is_named(f, "--disk", f->disk);
}

/* Makes a bzImage whose 64-bit entry is @code. */
static void make_kernel(const char *path, const void *code, size_t len)
{
	static u8 file[0x4000];
	struct setup_header h = {
		.setup_sects = 1,
		.boot_flag = SETUP_HEADER_BOOT_FLAG,
		.header = SETUP_HEADER_MAGIC,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.payload_offset = 0x400,
		.payload_length = 0x1000,
		.pref_address = 0x200000,
		.init_size = 0x100000,
	};

	memcpy(file + SETUP_HEADER_AT, &h, sizeof(h));
	memcpy(file + 0x600, code, len);
	make_file(path, file, sizeof(file));
}

static struct fixture *fixture_with_kernel(const void *code, size_t len)
{
	struct fixture *f = fixture_new();

	make_kernel(f->kernel, code, len);
	make_file(f->initrd, "an initrd", 9);
	f->spec.kernel = f->kernel;
	f->spec.initrd = f->initrd;
	f->spec.append = "";
	f->spec.no_cache = f->spec.kvm_known = f->spec.paused = true;
	return f;
}

static int setup_firmware_kernel(void **state)
{
	return fixture_run(fixture_with_kernel("", 0), state);
}

static int setup_kernel(void **state)
{
	struct fixture *f = fixture_with_kernel("", 0);

	f->spec.firmware = NULL;
	return fixture_run(f, state);
}

/* lea text(%rip), %rsi; mov $0x3f8, %dx; 1: lodsb; test %al, %al; jz 2f; out; jmp 1b; 2: jmp . */
#define PRINT "\x48\x8d\x35\x0e\0\0\0\x66\xba\xf8\x03\xac\x84\xc0\x74\x03\xee\xeb\xf8\xeb\xfe"

static int setup_panic(void **state)
{
	static const char code[] = PRINT "Kernel panic - not syncing: it was tried\n"
					 "---[ end Kernel panic - not syncing: it was tried ]---\n";
	struct fixture *f = fixture_with_kernel(code, sizeof(code));

	f->spec.firmware = NULL;
	return fixture_run(f, state);
}

static int setup_triple_fault(void **state)
{
	struct fixture *f = fixture_with_kernel("\x0f\x0b", 2); /* ud2 */

	f->spec.firmware = NULL;
	return fixture_run(f, state);
}

/* The words of any program make the VMM read the kernel's file, while the guest runs. */
static void a_panic_reads_the_kernel_beside_the_loop(void **state)
{
	struct fixture *f = *state;

	choose_file(f->kernel);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	ask(f, "cont", NULL);
	await_info(f, "boot", f->kernel);
	ask(f, "quit", NULL);
	expect_stop_says(f, "its end waits for this host's kernel, which has held what is done to");
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_SIGNAL + 15);
}

/* So does the report of a triple fault, for the name of an address. */
static void a_report_reads_the_kernel_beside_the_loop(void **state)
{
	struct fixture *f = *state;
	char want[200];

	choose_file(f->kernel);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	ask(f, "cont", NULL);
	await_info(f, "boot", f->kernel);
	snprintf(want, sizeof(want), "%s: this host's kernel holds what is done to it", f->kernel);
	await_note(f, want);
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_TRIPLE_FAULT);
}

/* A reset reads @file anew, and the loop goes on. */
static void expect_reset_names(struct fixture *f, const char *file)
{
	char want[200];

	choose_file(file);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	ask(f, "system_reset", NULL);
	snprintf(want, sizeof(want), "%s: this host's kernel holds what is done to it", file);
	await_note(f, want);
	await_info(f, "boot", file);
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	await_event(f, "RESET");
}

static void a_reset_names_kernel_and_initrd(void **state)
{
	struct fixture *f = *state;
	char want[200];

	expect_reset_names(f, f->kernel);
	expect_reset_names(f, f->initrd);
	/* The end may be asked for meanwhile. */
	choose_file(f->kernel);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	ask(f, "system_reset", NULL);
	await_info(f, "boot", f->kernel);
	ask(f, "quit", NULL);
	snprintf(want, sizeof(want),
		 "its end waits for this host's kernel, which has held what is "
		 "done to %s for ",
		 f->kernel);
	expect_stop_says(f, want);
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_SIGNAL + 15);
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
	make_file(f->console, "", 0);
	choose_file(f->console);
	__atomic_store_n(&holds_close, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&f->thread, NULL, run_guest, f), 0);
	snprintf(want, sizeof(want), "console %s: this host's kernel holds what is done to it",
		 f->console);
	await_note(f, want);
	assert_false(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
	__atomic_store_n(&holds_close, false, __ATOMIC_RELEASE);
	await_end(f, -1);
	*state = f;
	teardown(state);
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

	make_file(f->log, "", 0);
	choose_file(f->log);
	fd = open(f->log, O_RDONLY | O_CLOEXEC);
	assert_int_equal(client_open(&other, f->name, 5000, &e), 0);
	give_fd(other, "left", fd);
	give_fd(f->c, "closed", fd);
	give_fd(f->c, "refused", fd);
	give_fd(f->c, "replaced", fd);
	give_fd(f->c, "read-only", fd);
	__atomic_store_n(&holds_close, true, __ATOMIC_RELEASE);
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
	ask(f, "query-status", NULL);
	await_info(f, "clients", "a client's descriptor");
	ask(f, "quit", NULL);
	await_note(f, "a client's descriptor: this host's kernel holds what is done to it");
	expect_stop_says(f, "which has held what is done to a client's descriptor for ");
	assert_false(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
	__atomic_store_n(&holds_close, false, __ATOMIC_RELEASE);
	await_end(f, EXIT_CODE_SIGNAL + 15);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		TEST(quit_names_the_file_that_holds_it_up),
		TEST(a_reset_names_it_and_quit_ends_it),
		TEST(each_reset_that_waits_is_told),
		TEST(stop_of_one_that_ends_waits_for_it),
		TEST(a_held_disk_is_not_resized),
		TEST(a_short_wait_is_not_told),
		cmocka_unit_test_setup_teardown(a_console_goes_on_and_names_its_file, setup_console,
						teardown),
		cmocka_unit_test_setup_teardown(a_firmwares_log_is_named, setup_log, teardown),
		cmocka_unit_test_setup_teardown(a_records_flush_is_named, setup_record, teardown),
		cmocka_unit_test_setup_teardown(a_records_line_is_named, setup_record, teardown),
		cmocka_unit_test_setup_teardown(an_empty_record_holds_up_nothing, setup_record,
						teardown),
		TEST(a_resize_names_its_file),
		TEST(a_guest_that_ends_is_not_resized),
		TEST(a_resize_that_fails_late_is_noted),
		cmocka_unit_test_setup_teardown(the_close_of_a_silent_console_is_named,
						setup_silent_console, teardown),
		cmocka_unit_test_setup_teardown(the_close_of_a_silent_log_is_named,
						setup_silent_log, teardown),
		TEST(the_close_of_a_disk_is_named),
		cmocka_unit_test_setup_teardown(the_close_of_an_empty_record_is_named, setup_record,
						teardown),
		TEST(the_file_of_notes_is_named),
		cmocka_unit_test_setup_teardown(a_panic_reads_the_kernel_beside_the_loop,
						setup_panic, teardown),
		cmocka_unit_test_setup_teardown(a_report_reads_the_kernel_beside_the_loop,
						setup_triple_fault, teardown),
		cmocka_unit_test_setup_teardown(a_reset_names_kernel_and_initrd,
						setup_firmware_kernel, teardown),
		cmocka_unit_test_setup_teardown(a_reset_names_kernel_and_initrd, setup_kernel,
						teardown),
		cmocka_unit_test(the_close_of_a_failed_start_is_named),
		cmocka_unit_test_setup_teardown(what_a_log_lacks_is_told, setup_full_log, teardown),
		TEST(a_clients_descriptor_holds_up_its_end_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
