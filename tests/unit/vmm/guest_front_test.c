// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a guest by way of vmm/guest/ alone, as a front end other than `vmm run` would: what the
 * guest's parts say to people reaches that front end, and nothing reaches stderr. The guests are a
 * firmware of a few instructions, on this /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/exit_code.h"
#include "tests/unit/base/child.h"
#include "tests/unit/vmm/told_notes.h"
#include "vmm/backend/outlet.h"
#include "vmm/guest/guest.h"

#define IMAGE_LEN 0x10000U
#define RESET_AT  0xfff0U

/* mov $LAYOUT_PORT_SLEEP, %dx; mov $S5, %al; out %al, %dx; jmp . */
static const u8 code_off[] = { 0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, 0xeb, 0xfe };
static const u8 code_spin[] = { 0xeb, 0xfe };

static const int no_signals[] = { -1 };

struct front {
	struct guest_spec spec;
	char dir[32], image[48], disk[48], log[48];
	struct told_notes told;
	int helps; /* times that the help was asked for */
	char text[200];
	int started; /* descriptor, or -1 */
};

static void on_console_help(void *arg, const char *text)
{
	struct front *f = arg;

	f->helps++;
	snprintf(f->text, sizeof(f->text), "%s", text);
}

static void on_started(void *arg, const char *name)
{
	const struct front *f = arg;

	(void)name;
	if (f->started >= 0 && write(f->started, "s", 1) != 1)
		abort();
}

static void front_init(struct front *f, const u8 *code, size_t len)
{
	static u8 image[IMAGE_LEN];
	int fd;

	memset(f, 0, sizeof(*f));
	told_begin(&f->told);
	f->started = -1;
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->image, sizeof(f->image), "%s/bios", f->dir);
	snprintf(f->disk, sizeof(f->disk), "%s/disk", f->dir);
	snprintf(f->log, sizeof(f->log), "%s/log", f->dir);
	memset(image, 0xff, sizeof(image));
	memcpy(image + RESET_AT, code, len);
	fd = open(f->image, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
	close(fd);
	guest_spec_init(&f->spec);
	f->spec.firmware = f->image;
	f->spec.memory = SPEC_MIN_MEMORY;
	f->spec.no_control = true;
	f->spec.console.kind = SPEC_PTY;
	f->spec.console_given = true;
}

static void front_fini(struct front *f)
{
	guest_spec_free(&f->spec);
	unlink(f->image);
	unlink(f->disk);
	unlink(f->log);
	rmdir(f->dir);
	told_end(&f->told);
}

/* Makes a sparse file of @len bytes. */
static void sparse_file(const char *path, u64 len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && !ftruncate(fd, (off_t)len));
	close(fd);
}

/*
 * Runs the guest from its spec to its end: *code is its exit code, -1 if it could not be created,
 * *e what was left in the error then. Returns how many bytes came to stderr meanwhile.
 */
static off_t front_run(struct front *f, int *code, struct err *e)
{
	const struct guest_config c = {
		.spec = &f->spec,
		.end_signals = no_signals,
		.front = { .arg = f,
			   .notes = { told_put, &f->told },
			   .started = on_started,
			   .console_help = on_console_help },
	};
	int caught = memfd_create("stderr", MFD_CLOEXEC), old = dup(STDERR_FILENO);
	struct guest *g = NULL;
	struct stat st = { 0 };

	fflush(stderr);
	if (caught < 0 || old < 0 || dup2(caught, STDERR_FILENO) < 0)
		abort();
	*code = guest_create(&g, &c, e) ? -1 : guest_run(g, e);
	guest_destroy(g);
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	close(old);
	if (fstat(caught, &st))
		abort();
	close(caught);
	return st.st_size;
}

static void assert_told(const struct front *f, const char *what)
{
	if (!strstr(f->told.text, what))
		fail_msg("no note has \"%s\":\n%s", what, f->told.text);
}

/* A pseudo-terminal, a disk whose tail is missing, a file that is full. */
static void notes_reach_the_front_end_and_nothing_stderr(void **state)
{
	struct err e = { "" };
	struct front f;
	off_t printed;
	int code;

	(void)state;
	front_init(&f, code_off, sizeof(code_off));
	sparse_file(f.disk, (1 << 20) + 100);
	sparse_file(f.log, OUTLET_FILE_MAX);
	f.spec.disks[0].path = strdup(f.disk);
	f.spec.n_disks = 1;
	f.spec.virtio_console = true;
	f.spec.ports[0].name = strdup("log");
	f.spec.ports[0].end = (struct spec_endpoint){ .kind = SPEC_FILE, .path = f.log };
	f.spec.n_ports = 1;
	printed = front_run(&f, &code, &e);
	if (code != EXIT_CODE_POWEROFF)
		fail_msg("%d: %s", code, e.text);
	assert_told(&f, "console is on /dev/pts/");
	assert_told(&f, "its last 100 bytes are no whole sector");
	assert_told(&f, "port log: ");
	assert_told(&f, "nothing is written to it until it has been shortened");
	assert_null(strstr(f.told.text, "vmm: "));
	assert_null(strchr(f.told.text, '\r'));
	assert_int_equal(printed, 0);
	assert_string_equal(e.text, "");
	front_fini(&f);
}

/* Runs in a child whose control directory cannot be made. Returns an exit code; 77: cannot tell. */
static int without_a_socket(void)
{
	struct err e = { "" };
	struct front f;
	int code;

	if (geteuid()) {
		setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	} else if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		   mount("none", "/run", "tmpfs", MS_RDONLY, NULL)) {
		return 77;
	}
	front_init(&f, code_off, sizeof(code_off));
	f.spec.no_control = false;
	if (front_run(&f, &code, &e))
		return 1;
	front_fini(&f);
	if (code != EXIT_CODE_POWEROFF || *e.text)
		return 2;
	return strstr(f.told.text, "; the guest runs without one (--no-control") &&
			       strstr(f.told.text, "directory of the control sockets ")
		       ? 0
		       : 3;
}

/* The line of what failed is the note's; the guest was created, so it is no error of it. */
static void a_missing_control_socket_is_a_note_and_no_error(void **state)
{
	int status;
	pid_t pid = child_fork();

	(void)state;
	if (!pid)
		_exit(without_a_socket());
	child_await(pid, &status);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

/*
 * Makes this child process a session of its own, with @slave as its terminal, and runs a guest in
 * it.
 */
static int with_a_terminal(const char *slave, int started)
{
	struct err e = { "" };
	struct front f;
	off_t printed;
	int code, fd;

	setsid();
	fd = open(slave, O_RDWR); /* controls the session from here on */
	if (fd < 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0)
		return 1;
	front_init(&f, code_spin, sizeof(code_spin));
	f.spec.console.kind = SPEC_STDIO;
	f.started = started;
	printed = front_run(&f, &code, &e);
	front_fini(&f);
	if (code != EXIT_CODE_ESCAPE)
		return 2;
	if (f.helps != 1 || !strstr(f.text, "Ctrl-a x: end the guest"))
		return 3;
	return printed ? 4 : 0;
}

static void the_help_of_a_console_is_the_front_ends_to_show(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), ready[2], status;
	char slave[40], byte;
	pid_t pid;

	(void)state;
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	assert_int_equal(ptsname_r(master, slave, sizeof(slave)), 0);
	assert_int_equal(pipe(ready), 0);
	pid = child_fork();
	if (!pid) {
		close(ready[0]);
		alarm(30);
		_exit(with_a_terminal(slave, ready[1]));
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1)
		assert_int_equal(write(master, "\001h\001x", 4), 4);
	child_await(pid, &status);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_reach_the_front_end_and_nothing_stderr),
		cmocka_unit_test(a_missing_control_socket_is_a_note_and_no_error),
		cmocka_unit_test(the_help_of_a_console_is_the_front_ends_to_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
