// SPDX-License-Identifier: GPL-2.0-only
/* Runs guests whose files the host's kernel holds, for tests; held_fixture.h is the manual. */
#include "tests/unit/vmm/held_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "devices/virtio_blk.h"
#include "policy/record.h"
#include "tests/unit/base/thread_await.h"
#include "tests/unit/vmm/command_fixture.h"
#include "tests/unit/vmm/held_file.h"
#include "vmm/boot/probe.h"
#include "vmm/boot/setup_header.h"
#include "vmm/guest/guest.h"
#include "vmm/guest/guest_record.h"
#include "vmm/machine/io.h"
#include "vmm/monitor/monitor.h"

#define IMAGE_LEN  0x10000U
#define PATIENCE_S 20

static const int no_signals[] = { -1 };
static char vmm[COMMAND_PATH];
static s64 held_since;	/* atomic; 0: the disk is not held */
static s64 notes_since; /* atomic: when the front end's lines were held; 0: they are not */

s64 __real_virtio_blk_held_ms(const struct virtio_blk *b);
s64 __wrap_virtio_blk_held_ms(const struct virtio_blk *b);

s64 __wrap_virtio_blk_held_ms(const struct virtio_blk *b)
{
	s64 since = __atomic_load_n(&held_since, __ATOMIC_ACQUIRE);

	return since ? now_ms() - since + 1 : __real_virtio_blk_held_ms(b);
}

static bool asked; /* atomic: the end has asked whether the front end has lines */

ssize_t __real_pread64(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t at);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);

bool held_is(int fd)
{
	return is_held_file(fd);
}

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

void held_set(bool on)
{
	__atomic_store_n(&holds, on, __ATOMIC_RELEASE);
}

void held_set_close(bool on)
{
	__atomic_store_n(&holds_close, on, __ATOMIC_RELEASE);
}

void held_set_error(int error)
{
	__atomic_store_n(&failed, false, __ATOMIC_RELEASE);
	__atomic_store_n(&fails, error, __ATOMIC_RELEASE);
}

bool held_has_failed(void)
{
	return __atomic_load_n(&failed, __ATOMIC_ACQUIRE);
}

void held_set_on_close(void (*fn)(int fd))
{
	__atomic_store_n(&on_close, fn, __ATOMIC_RELEASE);
}

bool held_take_asked(void)
{
	return __atomic_exchange_n(&asked, false, __ATOMIC_ACQ_REL);
}

void held_set_disk(s64 since)
{
	__atomic_store_n(&held_since, since, __ATOMIC_RELEASE);
}

void held_set_notes(s64 since)
{
	__atomic_store_n(&notes_since, since, __ATOMIC_RELEASE);
}

void fixture_find_command(void)
{
	command_find(vmm);
}

static void on_started(void *arg, const char *name)
{
	struct fixture *f = arg;

	(void)name;
	__atomic_store_n(&f->started, true, __ATOMIC_RELEASE);
}

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

	__atomic_store_n(&asked, true, __ATOMIC_RELEASE);
	return front_held_ms(arg, &file) != 0;
}

void *fixture_run_guest(void *arg)
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

void fixture_nap(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

void fixture_make_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* At the reset vector: "x" on the serial port, a line of the firmware's log, jmp . */
static const u8 firmware_code[] = { 0xba, 0xf8, 0x03, 0xb0, 0x78, 0xee, 0xba,
				    0x02, 0x04, 0xb0, 0x0a, 0xee, 0xeb, 0xfe };

struct fixture *fixture_new(void)
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
	memcpy(image + FIXTURE_RESET_AT, firmware_code, sizeof(firmware_code));
	fixture_make_file(f->image, image, sizeof(image));
	fixture_make_file(f->disk, disk, sizeof(disk));
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

void fixture_begin(struct fixture *f, void *(*run)(void *arg))
{
	assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

int fixture_run_as(struct fixture *f, void *(*run)(void *arg), void **state)
{
	struct err e;

	fixture_begin(f, run);
	for (unsigned i = 0; i < 10000 && !__atomic_load_n(&f->started, __ATOMIC_ACQUIRE) &&
			     !__atomic_load_n(&f->done, __ATOMIC_ACQUIRE);
	     i++)
		fixture_nap();
	if (client_open(&f->c, f->name, 5000, &e))
		fail_msg("%s; %s", e.text, f->told.text);
	*state = f;
	return 0;
}

int fixture_run(struct fixture *f, void **state)
{
	return fixture_run_as(f, fixture_run_guest, state);
}

int fixture_setup(void **state)
{
	return fixture_run(fixture_new(), state);
}

void held_choose(const char *path)
{
	choose_file(path);
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
	    guest_record_create(&f->r, m, mon, &f->spec, &e) ||
	    machine_pio_add(m, 0x98, 1, on_port, f)) {
		told_put(&f->told, e.text);
		__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
		return NULL;
	}
	held_choose(f->record);
	lifecycle_add(machine_lifecycle(m), &monitor_part, mon);
	machine_set_confine(m, NULL);
	lifecycle_start(machine_lifecycle(m), &e);
	guest_record_start(f->r, &e);
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

int fixture_setup_record(void **state)
{
	struct fixture *f = fixture_new();

	f->spec.record = f->record;
	return fixture_run_as(f, run_recorded, state);
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
	fixture_make_file(path, file, sizeof(file));
}

struct fixture *fixture_new_with_kernel(const void *code, size_t len)
{
	struct fixture *f = fixture_new();

	make_kernel(f->kernel, code, len);
	fixture_make_file(f->initrd, "an initrd", 9);
	f->spec.kernel = f->kernel;
	f->spec.initrd = f->initrd;
	f->spec.append = "";
	f->spec.no_cache = f->spec.kvm_known = f->spec.paused = true;
	return f;
}

int fixture_setup_firmware_kernel(void **state)
{
	return fixture_run(fixture_new_with_kernel("", 0), state);
}

int fixture_setup_kernel(void **state)
{
	struct fixture *f = fixture_new_with_kernel("", 0);

	f->spec.firmware = NULL;
	return fixture_run(f, state);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	held_set_disk(0);
	hold_nothing();
	f->spec.console.path = NULL;
	f->spec.firmware_log = NULL;
	f->spec.kernel = f->spec.initrd = NULL;
	f->spec.record = NULL;
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

void fixture_ask(struct fixture *f, const char *command, json_t **answer)
{
	s64 begin = now_ms();
	struct err e;

	if (client_call(f->c, command, NULL, answer, &e))
		fail_msg("%s: %s", command, e.text);
	assert_in_range(now_ms() - begin, 0, LIMIT_MS);
}

void fixture_await_note(struct fixture *f, const char *what)
{
	bool told = false;

	for (unsigned i = 0; i < 9000 && !told; i++) {
		fixture_nap();
		pthread_mutex_lock(&f->told.lock);
		told = strstr(f->told.text, what);
		pthread_mutex_unlock(&f->told.lock);
	}
	if (!told)
		fail_msg("no note has \"%s\":\n%s", what, f->told.text);
}

const char *fixture_stop_says(struct fixture *f)
{
	static char text[1000];
	const char *const argv[] = { vmm, "stop", "--timeout=1", f->name, NULL };

	assert_int_equal(command_run(argv, text, sizeof(text)), EXIT_CODE_ERROR);
	return text;
}

void fixture_expect_stop_says(struct fixture *f, const char *want)
{
	const char *got = fixture_stop_says(f);

	if (!strstr(got, want))
		fail_msg("vmm stop says: %s", got);
}

void fixture_await_info(struct fixture *f, const char *section, const char *file)
{
	json_t *info = NULL, *one = NULL;

	for (unsigned i = 0; i < 40; i++) {
		fixture_ask(f, "umbra-info", &info);
		one = json_array_get(json_object_get(info, section), 0);
		if (json_object_get(one, "held-ms"))
			break;
		json_decref(info);
		info = NULL;
		for (unsigned ms = 0; ms < 100; ms++)
			fixture_nap();
	}
	assert_non_null(info);
	assert_true(json_integer_value(json_object_get(one, "held-ms")) >= MACHINE_HELD_MS);
	assert_string_equal(json_string_value(json_object_get(one, "file")), file);
	assert_string_equal(json_string_value(json_object_get(one, "error")),
			    "this host's kernel holds what is done to this file");
	json_decref(info);
}

bool fixture_is_done(const struct fixture *f)
{
	return __atomic_load_n(&f->done, __ATOMIC_ACQUIRE);
}

void fixture_await_end(struct fixture *f, int code)
{
	s64 begin = now_ms();

	while (!fixture_is_done(f) && now_ms() - begin < 2 * LIMIT_MS)
		fixture_nap();
	assert_true(fixture_is_done(f));
	thread_await(f->thread, PATIENCE_S);
	assert_int_equal(f->code, code);
}

void fixture_await_event(struct fixture *f, const char *name)
{
	json_t *event = NULL;

	assert_int_equal(client_event(f->c, 2 * LIMIT_MS, &event), 0);
	assert_string_equal(json_string_value(json_object_get(event, "event")), name);
	json_decref(event);
}
