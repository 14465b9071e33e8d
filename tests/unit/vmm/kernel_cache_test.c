// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the cache of prepared kernels: what is in it is used, what is wrong with it is replaced,
 * and without it everything works; and what root has prepared for all users is used by others, if
 * nobody but root can have written it. The linker has that lie in a directory of the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "tests/unit/base/child.h"
#include "tests/unit/shadow/synth.h"
#include "vmm/boot/kernel_cache.h"
#include "vmm/boot/kernel_cache_int.h"
#include "vmm/confine/confine.h"

#define SHORT_GUEST	7 /* exit code of a VMM that ends at once */
#define RUN_SHORT_GUEST "run-short-guest"
#define OPEN_KERNEL	"open-kernel"
#define UNPREPARED	8 /* exit code of OPEN_KERNEL */
#define NOBODY		65534
#define SPAN		((size_t)0x10000 + SYNTH_SEG)

static char top[64], cache[128], file[128], large[128], user_top[80], shared[128];

const char *__wrap_kernel_cache_shared_path(void);

const char *__wrap_kernel_cache_shared_path(void)
{
	return shared;
}

static void write_kernel(const char *path, u32 init_size)
{
	struct synth elf = synth_elf(), packed, image;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	synth_relocs(&elf, 3);
	packed = synth_pack(&elf, "zstd");
	image = synth_bzimage(&packed, init_size);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, image.data, image.len), image.len);
	close(fd);
	free(elf.data);
	free(packed.data);
	free(image.data);
}

/* Returns how many names of the directory @dir contain @part. */
static unsigned count_files_in(const char *dir, const char *part)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	unsigned n = 0;

	while (d && (x = readdir(d)))
		n += strstr(x->d_name, part) != NULL;
	if (d)
		closedir(d);
	return n;
}

static unsigned count_files(const char *part)
{
	return count_files_in(cache, part);
}

/* Finds the one name that contains @part, with its directory. */
static void find_file(const char *part, char *path, size_t len)
{
	DIR *d = opendir(cache);
	struct dirent *x;

	path[0] = '\0';
	while (d && (x = readdir(d)))
		if (strstr(x->d_name, part))
			snprintf(path, len, "%s/%s", cache, x->d_name);
	if (d)
		closedir(d);
	assert_int_not_equal(path[0], 0);
}

/*
 * Waits until no writer works any more: they are orphans, whose parent this process has asked to
 * be.
 */
static void settle_file(void)
{
	while (child_next(-1, NULL) > 0 || errno == EINTR)
		;
}

/* Opens the kernel as a start does; -errno. */
static int open_by_cache(struct kernel **k, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	assert_true(fd >= 0);
	ret = kernel_cache_find(k, fd, path);
	if (ret)
		ret = kernel_open_fd(k, fd, path, true, e);
	close(fd);
	return ret;
}

/* Returns true if the kernel was prepared, and checks in either case that it is the kernel. */
static bool open_and_check(const char *path, u32 init_size)
{
	struct err e = { "" };
	struct kernel *k;
	u8 mem[SPAN] = { 0 };
	bool prepared;
	size_t len;

	if (open_by_cache(&k, path, &e))
		fail_msg("%s", e.text);
	kernel_file(k, &len);
	prepared = len == 4096;
	assert_int_equal(kernel_layout(k)->init_size, init_size);
	assert_int_equal(kernel_place(k, mem, SPAN, 0, NULL), 0);
	assert_int_equal(mem[1], 1);
	assert_int_equal(mem[SPAN - 1], (u8) ~(SYNTH_SEG - 1));
	kernel_close(k);
	settle_file();
	return prepared;
}

static int setup(void **state)
{
	char command[300];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s %s", cache, shared);
	return system(command);
}

/* Empties the cache of this user. */
static void forget_own(void)
{
	char command[160];

	snprintf(command, sizeof(command), "rm -rf %s", cache);
	assert_int_equal(system(command), 0);
}

static int setup_filled(void **state)
{
	setup(state);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
	return 0;
}

static void test_second_start_is_prepared(void **state)
{
	struct stat st;

	(void)state;
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_int_equal(count_files(".kernel"), 1);
	assert_int_equal(count_files("new"), 0);
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
	assert_int_equal(stat(cache, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

/* Completes the cache in a process of its own, since that lets its standard streams go. */
static void complete_cache(const char *path)
{
	pid_t pid = child_fork();
	int status;

	if (!pid) {
		kernel_cache_complete(path);
		_exit(0);
	}
	child_await(pid, &status);
	assert_int_equal(status, 0);
}

/* A guest that ended before its writer. */
static void test_completed_at_the_end(void **state)
{
	char fresh[80];

	(void)state;
	complete_cache("/nonexistent");
	complete_cache(top);
	assert_int_equal(count_files(".kernel"), 0);
	complete_cache(file);
	assert_int_equal(count_files(".kernel"), 1);
	assert_int_equal(count_files("new"), 0);
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
	/* It has nothing to do now, and one that has just changed would get no link. */
	complete_cache(file);
	snprintf(fresh, sizeof(fresh), "%s/fresh", top);
	write_kernel(fresh, SYNTH_INIT_SIZE + 4096);
	complete_cache(fresh);
	assert_int_equal(count_files(".kernel"), 1);
	unlink(fresh);
}

/*
 * Does as `vmm run` with a guest that ended at once, in a process that was executed as its user:
 * the VMM ends, and its supervisor completes the cache with the kernel @path.
 */
static int run_short_guest(const char *path)
{
	static const int ends[] = { SIGTERM, -1 };
	const struct confine_start start = { .mode = CONFINE_ON, .ends = ends };
	struct confine *c = NULL;
	struct err e = { "" };
	bool note;
	int code, ret = confine_fork(&c, &start, &code, &note, &e);

	if (!ret)
		_exit(SHORT_GUEST);
	if (ret < 0)
		fputs(e.text, stderr);
	if (ret != 1 || code != SHORT_GUEST)
		return 1;
	kernel_cache_complete(path);
	return 0;
}

/* A supervisor that is not root's stays outside of the namespaces, too, in which none can fork. */
static void test_completed_by_a_users_supervisor(void **state)
{
	int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), status;
	char path[160];
	pid_t pid;

	(void)state;
#if SANITIZER_THREAD
	print_message("SKIP for the sanitizer a user's supervisor shares its VMM's namespaces\n");
	skip();
#endif
	assert_true(exe >= 0);
	snprintf(path, sizeof(path), "%s/vmlinuz", user_top);
	pid = child_fork();
	if (!pid) {
		char *const argv[] = { "kernel_cache_test", RUN_SHORT_GUEST, path, NULL };

		setenv("XDG_CACHE_HOME", user_top, 1);
		if (geteuid() || (!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
				  !setresuid(NOBODY, NOBODY, NOBODY)))
			fexecve(exe, argv, environ);
		_exit(127);
	}
	close(exe);
	child_await(pid, &status);
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/umbra", user_top);
	assert_int_equal(count_files_in(path, ".kernel"), 1);
}

/*
 * The supervisor has all signals of the user blocked: one that comes while it completes a kernel,
 * which takes longer than a signal's way, ends that, and not the process, which has an exit code to
 * hand on.
 */
static void test_a_signal_ends_the_completing(void **state)
{
	sigset_t set;
	int status;
	pid_t pid;

	(void)state;
	if (access(large, R_OK))
		skip();
	pid = child_fork();
	if (!pid) {
		sigemptyset(&set);
		sigaddset(&set, SIGTERM);
		sigprocmask(SIG_BLOCK, &set, NULL);
		raise(SIGTERM);
		kernel_cache_complete(large);
		_exit(7);
	}
	child_await(pid, &status);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(count_files(".kernel"), 0);
	complete_cache(large);
	assert_int_equal(count_files(".kernel"), 1);
}

/* Two names of the same bytes share what was prepared. */
static void test_keyed_by_content(void **state)
{
	char other[160];

	(void)state;
	snprintf(other, sizeof(other), "%s/other", top); /* made when the program began */
	assert_false(open_and_check(other, SYNTH_INIT_SIZE));
	assert_true(open_and_check(other, SYNTH_INIT_SIZE));
	assert_int_equal(count_files(".kernel"), 1);
}

/*
 * A new file under an old name is another kernel, at once; and is not linked while it is too new.
 */
static void test_changed_file(void **state)
{
	char path[160];

	(void)state;
	snprintf(path, sizeof(path), "%s/changing", top);
	assert_false(open_and_check(path, SYNTH_INIT_SIZE));
	assert_true(open_and_check(path, SYNTH_INIT_SIZE));
	write_kernel(path, 2 * SYNTH_INIT_SIZE);
	assert_false(open_and_check(path, 2 * SYNTH_INIT_SIZE));
	assert_false(open_and_check(path, 2 * SYNTH_INIT_SIZE));
	assert_int_equal(count_files(".kernel"), 2);
	write_kernel(path, SYNTH_INIT_SIZE);
	assert_false(open_and_check(path, SYNTH_INIT_SIZE));
}

static void damage_kernel(off_t at)
{
	char path[400];
	u8 byte;
	int fd;

	find_file(".kernel", path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	if (at < 0) {
		assert_int_equal(ftruncate(fd, -at), 0);
	} else {
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

/* A file that a start refuses is none, whatever leads to it. */
static void test_completed_where_it_is_damaged(void **state)
{
	(void)state;
	damage_kernel(20);
	complete_cache(file);
	assert_int_equal(count_files(".kernel"), 1);
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
}

/* In the header: seen when it is opened. */
static void test_damaged_header_is_replaced(void **state)
{
	(void)state;
	damage_kernel(20);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
	damage_kernel(-4096);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
}

/*
 * In the pages: seen when they are read. The next start is by the bzImage, the one after prepared.
 */
static void test_damaged_pages_are_replaced(void **state)
{
	struct kernel *k;
	u8 mem[SPAN] = { 0 };
	char path[400];
	struct stat st;

	(void)state;
	find_file(".kernel", path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	damage_kernel(st.st_size - 10);
	assert_int_equal(open_by_cache(&k, file, NULL), 0);
	assert_int_equal(kernel_place(k, mem, SPAN, 0, NULL), -EBADMSG);
	kernel_cache_forget(file);
	kernel_close(k);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
}

static void test_foreign_rights_are_ignored(void **state)
{
	char path[400];

	(void)state;
	assert_int_equal(chmod(cache, 0770), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_int_equal(chmod(cache, 0700), 0);
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
	find_file(".kernel", path, sizeof(path));
	assert_int_equal(chmod(path, 0622), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_true(open_and_check(file, SYNTH_INIT_SIZE)); /* replaced */
	if (geteuid())
		return;
	assert_int_equal(chown(cache, 12345, 12345), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_int_equal(chown(cache, 0, 0), 0);
	find_file(".kernel", path, sizeof(path));
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
}

/* A link in place of the directory would lead to somewhere that was not checked. */
static void test_directory_behind_a_link(void **state)
{
	char real[160];

	(void)state;
	snprintf(real, sizeof(real), "%s/real", top);
	assert_int_equal(rename(cache, real), 0);
	assert_int_equal(symlink(real, cache), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_int_equal(unlink(cache), 0);
	assert_int_equal(rename(real, cache), 0);
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
}

static bool is_empty(const char *path)
{
	return !rmdir(path) && !mkdir(path, 0700);
}

/*
 * sudo -E: root with a user's XDG_CACHE_HOME follows none of his links, and leaves nothing there.
 */
static void test_root_in_a_users_directory(void **state)
{
	char victim[160], way[160], users[160];

	(void)state;
	if (geteuid())
		skip();
	snprintf(victim, sizeof(victim), "%s/victim", top);
	snprintf(way, sizeof(way), "%s/way", top);
	snprintf(users, sizeof(users), "%s/users", top);
	assert_int_equal(mkdir(victim, 0700) | mkdir(users, 0700), 0);
	assert_int_equal(symlink(victim, way), 0);
	assert_int_equal(chown(users, 12345, 12345), 0);
	setenv("XDG_CACHE_HOME", way, 1);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_true(is_empty(victim));
	setenv("XDG_CACHE_HOME", users, 1);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_true(is_empty(users));
	setenv("XDG_CACHE_HOME", top, 1);
	assert_int_equal(unlink(way) | rmdir(victim) | rmdir(users), 0);
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
}

static void test_no_place(void **state)
{
	(void)state;
	setenv("XDG_CACHE_HOME", "/dev/null", 1);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	setenv("XDG_CACHE_HOME", top, 1);
}

/* Starts the process that prepares the open file @fd, stopped at its first system call's entry. */
static pid_t start_traced_writer(int fd)
{
	struct stat st;
	pid_t pid;
	int status;

	assert_int_equal(stat(file, &st), 0);
	pid = child_fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		kernel_cache_write(cache, file, &st, fd);
		_exit(0);
	}
	assert_int_equal(child_next(pid, &status), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

/*
 * Kills it at its @n-th stop, entry and return of a system call alike; false: it has ended before.
 */
static bool kill_writer_at(int fd, unsigned n)
{
	pid_t pid = start_traced_writer(fd);
	int status;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
		assert_int_equal(child_next(pid, &status), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(status, 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
	}
	kill(pid, SIGKILL);
	child_await(pid, &status);
	assert_true(WIFSIGNALED(status));
	settle_file(); /* the one that parses for it ends with it */
	return true;
}

/*
 * Wherever the process that prepares a kernel is killed, the next start has the kernel, and the one
 * after that a prepared one: what is left is whole or nothing, and in nobody's way.
 */
static void test_writer_killed_at_each_stage(void **state)
{
	unsigned n = 0, halves = 0, wholes = 0;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	do {
		setup(state);
		if (!kill_writer_at(fd, ++n))
			break;
		halves += count_files("new");
		wholes += count_files(".kernel");
		assert_true(count_files(".kernel") <= 1);
		open_and_check(file, SYNTH_INIT_SIZE);
		assert_true(open_and_check(file, SYNTH_INIT_SIZE));
		assert_int_equal(count_files(".kernel"), 1);
		assert_int_equal(count_files("new"), 0);
	} while (n < 2000);
	print_message("# %u stages, a file half written at %u, whole at %u\n", n, halves, wholes);
	assert_true(n > 40 && n < 2000 && halves && wholes);
	close(fd);
}

/* Twelve kernels: the oldest leave, and with them their links. */
static void test_bounded(void **state)
{
	char path[160];

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		snprintf(path, sizeof(path), "%s/k%u", top, i);
		assert_false(open_and_check(path, SYNTH_INIT_SIZE + (i + 1) * 4096));
	}
	assert_int_equal(count_files(".kernel"), 8);
	assert_int_equal(count_files("-"), 8);
	assert_true(open_and_check(path, SYNTH_INIT_SIZE + 12 * 4096));
	snprintf(path, sizeof(path), "%s/k0", top);
	assert_false(open_and_check(path, SYNTH_INIT_SIZE + 4096));
}

/* Makes a link to @kernel, @age seconds old. */
static void make_link(const char *kernel, const char *name, unsigned age)
{
	struct timespec times[2];
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", cache, name);
	assert_int_equal(symlink(kernel, path), 0);
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= age;
	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* Links of files that have changed or were replaced: a new link takes them away. */
static void test_old_links_leave(void **state)
{
	char kernel[400], path[400], name[CACHE_NAME], before[CACHE_NAME];
	struct stat st;

	(void)state;
	find_file(".kernel", kernel, sizeof(kernel));
	assert_int_equal(stat(file, &st), 0);
	kernel_cache_identity(&st, name);
	snprintf(path, sizeof(path), "%s/%s", cache, name);
	assert_int_equal(unlink(path), 0);
	/* the same inode before a change of its owner, as libvirt makes one at each start */
	st.st_ctim.tv_sec -= 7;
	kernel_cache_identity(&st, before);
	make_link(strrchr(kernel, '/') + 1, before, 10);
	/* inodes of which one begins with another's number */
	for (unsigned i = 0; i < 20; i++) {
		st.st_ino = 16 + i;
		kernel_cache_identity(&st, before);
		make_link(strrchr(kernel, '/') + 1, before, 100 + i);
	}
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	assert_int_equal(count_files("-"), 4);
	assert_int_equal(access(path, F_OK), 0);
	for (unsigned i = 0; i < 4; i++) {
		st.st_ino = 16 + i;
		kernel_cache_identity(&st, before);
		snprintf(path, sizeof(path), "%s/%s", cache, before);
		assert_int_equal(access(path, F_OK), i < 3 ? 0 : -1);
	}
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
}

/* --- for all users --------------------------------------------------------------------------- */

/* Does as a start by another user, in a process that was executed as that; see open_as_nobody(). */
static int open_kernel_and_say(const char *path)
{
	return open_and_check(path, SYNTH_INIT_SIZE) ? 0 : UNPREPARED;
}

static const char *look_first; /* "0", "1": in a user namespace, "1" with a look before that */

/* Returns true if a start by nobody finds the kernel prepared, in @nobodys_cache or for all. */
static bool open_as_nobody(const char *path, const char *nobodys_cache)
{
	int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), status;
	pid_t pid;

	assert_true(exe >= 0);
	pid = child_fork();
	if (!pid) {
		char *const argv[] = { "kernel_cache_test",	      OPEN_KERNEL,
				       (char *)(uintptr_t)path,	      shared,
				       (char *)(uintptr_t)look_first, NULL };

		setenv("XDG_CACHE_HOME", nobodys_cache, 1);
		if (!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
		    !setresuid(NOBODY, NOBODY, NOBODY))
			fexecve(exe, argv, environ);
		_exit(127);
	}
	close(exe);
	child_await(pid, &status);
	assert_true(WIFEXITED(status));
	assert_true(!WEXITSTATUS(status) || WEXITSTATUS(status) == UNPREPARED);
	return !WEXITSTATUS(status);
}

static void share(const char *path)
{
	struct err e = { "" };

	assert_int_equal(chmod(path, 0644), 0);
	if (kernel_cache_share(path, &e))
		fail_msg("%s", e.text);
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* Finds the one name of the shared directory that contains @part. */
static void find_shared(const char *part, char path[300])
{
	DIR *d = opendir(shared);
	struct dirent *x;

	assert_non_null(d);
	path[0] = '\0';
	while ((x = readdir(d)))
		if (strstr(x->d_name, part))
			snprintf(path, 300, "%s/%.150s", shared, x->d_name);
	closedir(d);
	assert_int_not_equal(path[0], 0);
}

static int setup_shared(void **state)
{
	setup(state);
	if (geteuid())
		return 0;
	assert_int_equal(chmod(top, 0711), 0);
	share(file);
	return 0;
}

static int teardown_shared(void **state)
{
	return chmod(top, 0700) | chmod(file, 0600) | setup(state);
}

/*
 * As libvirt does it: another user, whose cache is gone each time, and a file whose owner and
 * attributes, and so its ctime, have changed since.
 */
static void test_prepared_for_all_users(void **state)
{
	char path[300], none[160];

	(void)state;
	if (geteuid())
		skip();
	find_shared(".kernel", path);
	assert_int_equal(mode_of(path), 0644);
	find_shared(".image", path);
	assert_int_equal(mode_of(path), 0644);
	assert_int_equal(mode_of(shared), 0755);
	snprintf(none, sizeof(none), "%s/none", user_top);
	assert_true(open_as_nobody(file, none));
	assert_int_equal(chown(file, NOBODY, NOBODY) | chown(file, 0, 0), 0);
	assert_true(open_as_nobody(file, none));
	/* It prepares nothing by itself then; and does without root's. */
	assert_int_equal(access(none, F_OK), -1);
	assert_int_equal(chmod(shared, 0700), 0);
	assert_false(open_as_nobody(file, none));
	assert_int_equal(access(none, F_OK), 0);
}

/* In a user namespace root's files are nobody's, so whose they are is looked at before. */
static void test_shared_in_a_user_namespace(void **state)
{
	char none[160], path[300];

	(void)state;
	if (geteuid())
		skip();
	snprintf(none, sizeof(none), "%s/none2", user_top);
	look_first = "1";
	assert_true(open_as_nobody(file, none));
	find_shared(".kernel", path);
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	assert_false(open_as_nobody(file, none));
	look_first = "0";
	assert_int_equal(chown(path, 0, 0), 0);
	assert_false(open_as_nobody(file, none));
	look_first = NULL;
}

/* What was looked at is not left open by a start that finds its kernel elsewhere. */
static void test_a_look_is_not_left_open(void **state)
{
	struct err e = { "" };
	struct kernel *k;
	char own[160];
	int next;

	(void)state;
	if (geteuid())
		skip();
	/* Root's has it not, so the own cache gets it. */
	snprintf(own, sizeof(own), "%s/k0", top);
	assert_false(open_and_check(own, SYNTH_INIT_SIZE + 4096));
	assert_true(open_and_check(own, SYNTH_INIT_SIZE + 4096));
	next = dup(0);
	close(next);
	kernel_cache_look_at_shared();
	assert_int_equal(fcntl(next, F_GETFD), FD_CLOEXEC);
	if (open_by_cache(&k, own, &e))
		fail_msg("%s", e.text);
	kernel_close(k);
	assert_int_equal(fcntl(next, F_GETFD), -1);
}

/* Other bytes of the same length, with the times of those that were prepared. */
static void test_shared_by_bytes(void **state)
{
	struct stat before, after;
	char path[160];

	(void)state;
	if (geteuid())
		skip();
	snprintf(path, sizeof(path), "%s/changing", top);
	write_kernel(path, SYNTH_INIT_SIZE);
	assert_int_equal(stat(path, &before), 0);
	assert_true(open_and_check(path, SYNTH_INIT_SIZE));
	write_kernel(path, SYNTH_INIT_SIZE + 4096);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_false(open_and_check(path, SYNTH_INIT_SIZE + 4096));
	write_kernel(path, SYNTH_INIT_SIZE);
}

/* What another user could have prepared is not looked at: a start by root, with an empty cache. */
static void test_shared_is_roots_alone(void **state)
{
	static const char *const parts[] = { ".kernel", ".image", NULL };
	char path[300], real[160];

	(void)state;
	if (geteuid())
		skip();
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
	for (size_t i = 0; i < 2; i++) {
		/* So that the link to it does not lead there. */
		assert_int_equal(chown(file, NOBODY, NOBODY) | chown(file, 0, 0), 0);
		find_shared(parts[i], path);
		assert_int_equal(chmod(path, 0664), 0);
		assert_false(open_and_check(file, SYNTH_INIT_SIZE));
		forget_own();
		assert_int_equal(chmod(path, 0646), 0);
		assert_false(open_and_check(file, SYNTH_INIT_SIZE));
		forget_own();
		assert_int_equal(chmod(path, 0644) | chown(path, NOBODY, NOBODY), 0);
		assert_false(open_and_check(file, SYNTH_INIT_SIZE));
		forget_own();
		assert_int_equal(chown(path, 0, 0), 0);
		assert_true(open_and_check(file, SYNTH_INIT_SIZE));
	}
	find_shared(".kernel", path);
	assert_int_equal(chmod(path, 0600), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	forget_own();
	assert_int_equal(chmod(path, 0644) | chmod(shared, 0775), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	forget_own();
	assert_int_equal(chmod(shared, 0755) | chown(shared, NOBODY, NOBODY), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	forget_own();
	assert_int_equal(chown(shared, 0, 0), 0);
	snprintf(real, sizeof(real), "%s/real", top);
	assert_int_equal(rename(shared, real) | symlink(real, shared), 0);
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
	forget_own();
	assert_int_equal(unlink(shared) | rename(real, shared), 0);
	assert_true(open_and_check(file, SYNTH_INIT_SIZE));
}

static void test_sharing_again_repairs(void **state)
{
	static const char *const parts[] = { ".kernel", ".image" };
	char path[300];
	u8 byte = 0xaa;
	int fd;

	(void)state;
	if (geteuid())
		skip();
	for (size_t i = 0; i < 2; i++) {
		find_shared(parts[i], path);
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, &byte, 1, 20), 1);
		close(fd);
		assert_int_equal(chown(file, NOBODY, NOBODY) | chown(file, 0, 0), 0);
		assert_false(open_and_check(file, SYNTH_INIT_SIZE));
		forget_own();
		share(file);
		assert_true(open_and_check(file, SYNTH_INIT_SIZE));
	}
}

static void test_what_is_not_shared(void **state)
{
	char path[160];
	struct err e;

	(void)state;
	if (geteuid()) {
		assert_int_equal(kernel_cache_share(file, &e), -EPERM);
		skip();
	}
	snprintf(path, sizeof(path), "%s/other", top);
	assert_int_equal(kernel_cache_share(path, &e), -EACCES);
	assert_non_null(strstr(e.text, "not all users may read it"));
	assert_int_equal(kernel_cache_share("/proc/self/exe", &e), -EINVAL);
	assert_non_null(strstr(e.text, "not a bzImage"));
	assert_int_equal(kernel_cache_share("/dev/null", &e), -EINVAL);
	assert_int_equal(kernel_cache_share("/nonexistent", &e), -ENOENT);
	assert_int_equal(access(shared, F_OK), -1);
}

/* An image leaves with its kernel. */
static void test_shared_is_bounded(void **state)
{
	char path[160];

	(void)state;
	if (geteuid())
		skip();
	for (unsigned i = 0; i < 9; i++) {
		snprintf(path, sizeof(path), "%s/k%u", top, i);
		share(path);
	}
	assert_int_equal(count_files_in(shared, ".kernel"), 8);
	assert_int_equal(count_files_in(shared, ".image"), 8);
	assert_true(open_and_check(path, SYNTH_INIT_SIZE + 9 * 4096));
	assert_false(open_and_check(file, SYNTH_INIT_SIZE));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_second_start_is_prepared, setup),
		cmocka_unit_test_setup(test_completed_at_the_end, setup),
		cmocka_unit_test_setup(test_completed_by_a_users_supervisor, setup),
		cmocka_unit_test_setup(test_a_signal_ends_the_completing, setup),
		cmocka_unit_test_setup(test_keyed_by_content, setup_filled),
		cmocka_unit_test_setup(test_changed_file, setup),
		cmocka_unit_test_setup(test_completed_where_it_is_damaged, setup_filled),
		cmocka_unit_test_setup(test_damaged_header_is_replaced, setup_filled),
		cmocka_unit_test_setup(test_damaged_pages_are_replaced, setup_filled),
		cmocka_unit_test_setup(test_foreign_rights_are_ignored, setup_filled),
		cmocka_unit_test_setup(test_directory_behind_a_link, setup_filled),
		cmocka_unit_test_setup(test_root_in_a_users_directory, setup_filled),
		cmocka_unit_test_setup(test_no_place, setup),
		cmocka_unit_test_setup(test_writer_killed_at_each_stage, setup),
		cmocka_unit_test_setup(test_bounded, setup),
		cmocka_unit_test_setup(test_old_links_leave, setup_filled),
#define SHARED(fn) cmocka_unit_test_setup_teardown(fn, setup_shared, teardown_shared)
		SHARED(test_prepared_for_all_users),
		SHARED(test_shared_in_a_user_namespace),
		SHARED(test_shared_by_bytes),
		SHARED(test_shared_is_roots_alone),
		SHARED(test_a_look_is_not_left_open),
		SHARED(test_sharing_again_repairs),
		SHARED(test_shared_is_bounded),
		cmocka_unit_test_setup(test_what_is_not_shared, setup),
	};
	char path[160], command[300];
	int ret;

	if (argc == 3 && !strcmp(argv[1], RUN_SHORT_GUEST))
		return run_short_guest(argv[2]);
	if (argc >= 4 && !strcmp(argv[1], OPEN_KERNEL)) {
		snprintf(shared, sizeof(shared), "%s", argv[3]);
		if (argc == 5 && *argv[4] == '1')
			kernel_cache_look_at_shared();
		if (argc == 5 && unshare(CLONE_NEWUSER))
			return 1;
		return prctl(PR_SET_CHILD_SUBREAPER, 1) ? 1 : open_kernel_and_say(argv[2]);
	}
	strcpy(top, "/tmp/umbra-cache.XXXXXX");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || !mkdtemp(top))
		return 1;
	setenv("XDG_CACHE_HOME", top, 1);
	snprintf(cache, sizeof(cache), "%s/umbra", top);
	snprintf(shared, sizeof(shared), "%s/shared", top);
	snprintf(file, sizeof(file), "%s/vmlinuz", top);
	write_kernel(file, SYNTH_INIT_SIZE);
	snprintf(path, sizeof(path), "%s/other", top);
	write_kernel(path, SYNTH_INIT_SIZE);
	snprintf(path, sizeof(path), "%s/changing", top);
	write_kernel(path, SYNTH_INIT_SIZE);
	for (unsigned i = 0; i < 12; i++) {
		snprintf(path, sizeof(path), "%s/k%u", top, i);
		write_kernel(path, SYNTH_INIT_SIZE + (i + 1) * 4096);
	}
	snprintf(user_top, sizeof(user_top), "%s-user", top);
	snprintf(path, sizeof(path), "%s/vmlinuz", user_top);
	if (mkdir(user_top, 0700))
		return 1;
	write_kernel(path, SYNTH_INIT_SIZE);
	if (!geteuid() && (chown(user_top, NOBODY, NOBODY) || chown(path, NOBODY, NOBODY)))
		return 1;
	snprintf(large, sizeof(large), "%s/large", top);
	snprintf(command, sizeof(command), "cp \"$UMBRA_TEST_IMAGES/cloud/vmlinuz\" %s 2>&1",
		 large);
	if (system(command))
		print_message("# no large kernel\n");
	sleep(4); /* files that have just changed get no link */
	ret = cmocka_run_group_tests_name("kernel cache", tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s %s", top, user_top);
	return system(command) ? 1 : ret;
}
