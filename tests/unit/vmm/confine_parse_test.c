// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that a process is confined when it reads a stranger's file: each command runs under ptrace,
 * and at each system call that reads one of the files in question the kernel is asked what the
 * caller has given up.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sanitizer.h"
#include "base/types.h"
#include "tests/unit/base/child.h"
#include "tests/unit/vmm/command_fixture.h"

#define ARGS_MAX 24
#define PATIENCE 60 /* s */
#define OPTIONS                                                                                   \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_EXITKILL)

/* A file that is watched, and the calls that read its bytes, or wrote them. */
struct watched {
	const char *path;
	bool written;
	unsigned confined, open; /* by a caller that had given up its rights, and by another */
	char who[64];		 /* the last one of the others */
};

static char vmm[COMMAND_PATH], kernel[4096], driver[4096], dir[64], said[1 << 16];

static bool is_confined(pid_t tid)
{
	char path[64], text[4096] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return strstr(text, "\nSeccomp:\t2\n") && strstr(text, "\nNoNewPrivs:\t1\n");
}

static void name_of(pid_t tid, char *name, size_t size)
{
	char path[64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, name, size - 1);
	if (fd >= 0)
		close(fd);
	name[n > 0 ? n - 1 : 0] = '\0';
}

static void note_call(struct watched *files, pid_t tid, const struct __ptrace_syscall_info *info)
{
	static const u64 reads[] = { SYS_read, SYS_pread64, SYS_readv, SYS_preadv, SYS_preadv2 };
	static const u64 writes[] = { SYS_write, SYS_writev, SYS_pwrite64 };
	char link[64], path[4096], name[32];
	u64 nr = info->entry.nr, fd = info->entry.args[0];
	bool read = nr == SYS_mmap && (int)info->entry.args[4] >= 0, write = false;
	ssize_t n;

	if (read)
		fd = info->entry.args[4];
	for (size_t i = 0; i < ARRAY_SIZE(reads); i++)
		read |= reads[i] == nr;
	for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
		write |= writes[i] == nr;
	if (!read && !write)
		return;
	snprintf(link, sizeof(link), "/proc/%d/fd/%d", tid, (int)fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	name_of(tid, name, sizeof(name));
	for (struct watched *w = files; w->path; w++) {
		if (strcmp(path, w->path) != 0 || !(w->written ? write : read))
			continue;
		/* It hashes the kernel's bytes; who parses them for it writes the result. */
		if (!strcmp(w->path, kernel) && !strcmp(name, "vmm-prepare"))
			continue;
		if (is_confined(tid)) {
			w->confined++;
		} else {
			w->open++;
			snprintf(w->who, sizeof(w->who), "%s, call %llu", name,
				 (unsigned long long)nr);
		}
	}
}

/* Lets the tracee go on; true: it has entered its guest, and need not be followed further. */
static bool on_stop(struct watched *files, pid_t tid, int status, bool *seen)
{
	struct __ptrace_syscall_info info = { 0 };
	int sig = WSTOPSIG(status);
	bool entered = false;

	if (sig == (SIGTRAP | 0x80)) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0 &&
		    info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			note_call(files, tid, &info);
			entered = info.entry.nr == SYS_ioctl && info.entry.args[1] == KVM_RUN &&
				  is_confined(tid);
		}
		sig = 0;
	} else if (sig == SIGTRAP || sig == SIGSTOP) {
		sig = 0;
	}
	*seen |= entered;
	ptrace(PTRACE_SYSCALL, tid, NULL, sig);
	return entered;
}

static void read_back(int fd)
{
	ssize_t n = pread(fd, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	close(fd);
}

/*
 * Runs vmm with @args to its end, to its guest's first instruction, or until @over says so; true:
 * one of these two. What it said is in said.
 */
static bool trace(struct watched *files, const char *const *args, bool (*over)(void))
{
	char out[] = "/tmp/umbra-parse-said-XXXXXX", *argv[ARGS_MAX] = { vmm };
	time_t end = time(NULL) + PATIENCE;
	bool entered = false;
	int to = mkstemp(out), status, argc = 1;
	pid_t child, tid;

	assert_true(to >= 0);
	unlink(out);
	while (*args && argc < ARGS_MAX - 1)
		argv[argc++] = strdup(*args++);
	child = child_fork();
	if (!child) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(to, STDOUT_FILENO);
		dup2(to, STDERR_FILENO);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		execv(vmm, argv);
		_exit(127);
	}
	assert_int_equal(child_next(child, &status), child);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, OPTIONS), 0);
	ptrace(PTRACE_SYSCALL, child, NULL, 0);
	/* Orphans are this process's too. */
	while ((tid = child_next(-1, &status)) > 0) {
		if (WIFSTOPPED(status) && on_stop(files, tid, status, &entered))
			kill(tid, SIGKILL);
		if (over && !entered && over())
			entered = !kill(child, SIGKILL);
		if (time(NULL) > end)
			kill(child, SIGKILL);
	}
	while (argc > 1)
		free(argv[--argc]);
	read_back(to);
	return entered;
}

/* Checks that each file was read, and by no process that was not confined. */
static void expect_confined(const struct watched *files)
{
	for (const struct watched *w = files; w->path; w++) {
		if (w->open)
			fail_msg("%s: %u calls by an unconfined process (%s)", w->path, w->open,
				 w->who);
		if (!w->confined)
			fail_msg("%s was not read at all: %s", w->path, said);
	}
}

static bool cannot(void)
{
#if SANITIZER_ADDRESS
	return true;
#else
	return geteuid() || access(vmm, X_OK) || access(kernel, R_OK) ||
	       access("/dev/kvm", R_OK | W_OK);
#endif
}

static const char *make_file(char *path, size_t size, const char *name, const char *text)
{
	FILE *f;

	snprintf(path, size, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

/* --- vmm run ------------------------------------------------------------------------------- */

static void the_kernel_of_a_start(void **state)
{
	struct watched files[] = { { .path = kernel }, { .path = NULL } };
	const char *const args[] = { "run",	 "--no-cache", "--memory", "128M",
				     "--kernel", kernel,       NULL };

	(void)state;
	if (cannot())
		skip();
	if (!trace(files, args, NULL))
		fail_msg("no guest: %s", said);
	expect_confined(files);
}

/* Returns true when a prepared kernel has got the name under which the next start looks for it. */
static bool is_prepared(void)
{
	char path[128];
	struct dirent *x;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/umbra", dir);
	d = opendir(path);
	while (d && (x = readdir(d)))
		found |= x->d_type == DT_LNK && strcmp(x->d_name, "new-link") != 0;
	if (d)
		closedir(d);
	return found;
}

/* Nothing is prepared, and then it is: the one who wrote that has parsed the kernel. */
static void the_kernel_that_is_prepared(void **state)
{
	char written[128];
	struct watched files[] = { { .path = kernel },
				   { .path = written, .written = true },
				   { .path = NULL } };
	struct watched again[] = { { .path = kernel }, { .path = NULL } };
	const char *const first[] = { "run",	  "--memory", "128M", "--paused",
				      "--kernel", kernel,     NULL };
	const char *const second[] = { "run", "--memory", "128M", "--kernel", kernel, NULL };

	(void)state;
	if (cannot())
		skip();
	snprintf(written, sizeof(written), "%s/umbra/new", dir);
	if (!trace(files, first, is_prepared))
		fail_msg("nothing was prepared: %s", said);
	expect_confined(files);
	/* Now nobody reads the kernel. */
	if (!trace(again, second, NULL))
		fail_msg("no guest: %s", said);
	assert_int_equal(again[0].confined + again[0].open, 0);
}

static void damage_prepared(void)
{
	char path[512] = "", cache[128];
	struct dirent *x;
	u8 byte = 0;
	off_t at;
	DIR *d;
	int fd;

	snprintf(cache, sizeof(cache), "%s/umbra", dir);
	d = opendir(cache);
	assert_non_null(d);
	while ((x = readdir(d)))
		if (strstr(x->d_name, ".kernel"))
			snprintf(path, sizeof(path), "%s/%s", cache, x->d_name);
	closedir(d);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	/* amid the image, which a start without sessions reads */
	at = lseek(fd, 0, SEEK_END) / 2;
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* It is found out by a process that can drop it no more: the supervisor does. */
static void the_kernel_whose_prepared_form_is_damaged(void **state)
{
	struct watched files[] = { { .path = kernel }, { .path = NULL } };
	const char *const args[] = { "run", "--memory", "128M", "--kernel", kernel, NULL };

	(void)state;
	if (cannot())
		skip();
	assert_true(is_prepared());
	damage_prepared();
	if (!trace(files, args, NULL))
		fail_msg("no guest: %s", said);
	expect_confined(files);
	assert_false(is_prepared());
}

static void the_kernel_of_a_firmware(void **state)
{
	char image[128], initrd[128];
	struct watched files[] = {
		{ .path = image }, { .path = kernel }, { .path = initrd }, { .path = NULL }
	};
	const char *const args[] = { "run",	 "--memory", "256M",	 "--firmware", image,
				     "--kernel", kernel,     "--initrd", initrd,       NULL };

	(void)state;
	if (cannot())
		skip();
	make_file(image, sizeof(image), "bios", "");
	assert_int_equal(truncate(image, 0x10000), 0);
	make_file(initrd, sizeof(initrd), "initrd", "words");
	if (!trace(files, args, NULL))
		fail_msg("no guest: %s", said);
	expect_confined(files);
}

static const char policy_text[] = "version = 1;\nsessions = { a = { }; };\n";

static void the_policy_and_the_drivers(void **state)
{
	char policy[128], record[128], with[4200];
	struct watched files[] = {
		{ .path = kernel }, { .path = policy }, { .path = driver }, { .path = NULL }
	};
	const char *args[] = { "run",	   "--no-cache", "--memory", "192M",	 "--confine",
			       "on",	   "--kernel",	 kernel,     "--policy", policy,
			       "--driver", with,	 "--record", record,	 NULL };

	(void)state;
	if (cannot() || access(driver, R_OK))
		skip();
	make_file(policy, sizeof(policy), "policy", policy_text);
	snprintf(record, sizeof(record), "%s/record", dir);
	snprintf(with, sizeof(with), "a:%s", driver);
	trace(files, args, NULL);
	expect_confined(files);
	unlink(record);
	/* A mistake in one of them is said, and the record that was made for it is not left. */
	make_file(policy, sizeof(policy), "policy",
		  "version = 1;\nsessions = { a = { x = 1; }; };\n");
	files[2].path = NULL;
	assert_false(trace(files, args, NULL));
	assert_non_null(strstr(said, "policy:2: "));
	expect_confined(files);
	assert_int_equal(access(record, F_OK), -1);
	/* Nor where there is no supervisor. */
	args[5] = "off";
	assert_false(trace(files, args, NULL));
	assert_non_null(strstr(said, "policy:2: "));
	assert_int_equal(access(record, F_OK), -1);
}

/* --- other commands ------------------------------------------------------------------------ */

static void what_inspect_reads(void **state)
{
	char policy[128];
	struct watched files[] = {
		{ .path = kernel }, { .path = policy }, { .path = driver }, { .path = NULL }
	};
	const char *const args[] = { "inspect", "--kernel", kernel, "--policy",
				     policy,	"--json",   driver, NULL };

	(void)state;
	if (cannot() || access(driver, R_OK))
		skip();
	make_file(policy, sizeof(policy), "policy", policy_text);
	trace(files, args, NULL);
	expect_confined(files);
	assert_non_null(strstr(said, "\"imports\""));
}

static void what_record_reads(void **state)
{
	char record[128];
	struct watched files[] = { { .path = record }, { .path = NULL } };
	const char *const args[] = { "record", record, NULL };

	(void)state;
	if (cannot())
		skip();
	make_file(record, sizeof(record), "a-record", "{}\n");
	trace(files, args, NULL);
	expect_confined(files);
	assert_non_null(strstr(said, "not a record of requests"));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static int find_parts(void **state)
{
	char path[4000];

	(void)state;
	command_find(vmm);
	command_image(path, sizeof(path), "cloud/vmlinuz");
	if (!realpath(path, kernel))
		kernel[0] = '\0';
	command_image(path, sizeof(path), "cloud/modules/kernel/drivers/net/dummy.ko");
	if (!realpath(path, driver))
		driver[0] = '\0';
	strcpy(dir, "/tmp/umbra-parse-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	setenv("XDG_CACHE_HOME", dir, 1);
	return 0;
}

static int remove_parts(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_of_a_start),
		cmocka_unit_test(the_kernel_that_is_prepared),
		cmocka_unit_test(the_kernel_whose_prepared_form_is_damaged),
		cmocka_unit_test(the_kernel_of_a_firmware),
		cmocka_unit_test(the_policy_and_the_drivers),
		cmocka_unit_test(what_inspect_reads),
		cmocka_unit_test(what_record_reads),
	};

	return cmocka_run_group_tests(tests, find_parts, remove_parts);
}
