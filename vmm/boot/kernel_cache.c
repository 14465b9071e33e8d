// SPDX-License-Identifier: GPL-2.0-only
/* Finds prepared kernels in the cache; another process prepares one that is missing there. */
#include "vmm/boot/kernel_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/signals.h"
#include "shadow/kernel/prepared.h"
#include "vmm/boot/kernel_cache_int.h"

static int open_prepared(struct kernel **out, const char *dir, unsigned uid, const char *path,
			 const struct stat *st)
{
	int dirfd = kernel_cache_dir(dir, uid), fd;
	char name[CACHE_NAME];

	if (dirfd < 0)
		return dirfd;
	kernel_cache_identity(st, name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	close(dirfd);
	return fd < 0 ? -errno : prepared_open(out, path, fd, uid, NULL, NULL);
}

/* Forks twice: the first child ends at once, so that the second needs no waitpid(). */
static void start_writer(const char *dir, const char *path, const struct stat *st, int fd)
{
	pid_t child = fork();

	if (child > 0) {
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	} else if (!child) {
		if (!fork())
			kernel_cache_write(dir, path, st, fd);
		_exit(0);
	}
}

static int find_prepared(struct kernel **out, int fd, const char *path)
{
	unsigned uid = (unsigned)getauxval(AT_EUID); /* no system call */
	char dir[CACHE_PATH];
	bool has_own = !kernel_cache_path(uid, dir);
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -ENOENT;
	if ((has_own && !open_prepared(out, dir, uid, path, &st)) ||
	    !kernel_cache_find_shared(out, fd, path, &st)) {
		kernel_set_source(*out, fd);
		return 0;
	}
	if (has_own)
		start_writer(dir, path, &st, fd);
	return -ENOENT;
}

int kernel_cache_find(struct kernel **out, int fd, const char *path)
{
	int ret = find_prepared(out, fd, path);

	kernel_cache_leave_shared();
	return ret;
}

/* Waits for @child; a signal of @set that comes meanwhile, and is not ignored, ends it. */
static void writer_await_or_end(pid_t child, const sigset_t *set)
{
	while (!waitpid(child, NULL, WNOHANG)) {
		int sig = sigwaitinfo(set, NULL);

		if (sig > 0 && sig != SIGCHLD && !signal_is_ignored(sig))
			kill(child, SIGKILL);
	}
}

/*
 * Stores the kernel in a child process, which is killed by a signal that comes meanwhile. Storing
 * takes seconds, and longer on a disk that hangs, but this process has signals blocked, and the
 * exit code of a guest to hand on.
 */
static void store_apart(const struct cache_lock *l, const char *path, const struct stat *st, int fd)
{
	sigset_t set;
	pid_t child;

	sigprocmask(SIG_BLOCK, NULL, &set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigdelset(&set, SIGCONT); /* it ends nothing */
	child = fork();
	if (child > 0)
		writer_await_or_end(child, &set);
	if (child)
		return;
	alarm(CACHE_PATIENCE_S);
	kernel_cache_store(l, path, st, fd);
	_exit(0);
}

/*
 * Prepares the kernel that the earlier process has not prepared: @fd is open for @path, of which
 * stat(2) said @st.
 */
static void complete_file(const char *dir, const char *path, const struct stat *st, int fd)
{
	struct cache_lock l;

	if (!kernel_cache_may_link(path, st) || !kernel_cache_is_bzimage(fd) ||
	    kernel_cache_lock(dir, &l))
		return;
	kernel_cache_mute();
	store_apart(&l, path, st, fd);
	kernel_cache_unlock(&l);
}

void kernel_cache_complete(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned uid = geteuid();
	char dir[CACHE_PATH];
	struct kernel *k = NULL;
	struct stat st;

	if (fd < 0)
		return;
	if (!kernel_cache_path(uid, dir) && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
		/* Of root's no start in a user namespace would believe anything. */
		if (open_prepared(&k, dir, uid, path, &st))
			complete_file(dir, path, &st, fd);
		else
			kernel_close(k);
	}
	close(fd);
}

void kernel_cache_forget(const char *path)
{
	unsigned uid = geteuid();
	char dir[CACHE_PATH], name[CACHE_NAME];
	struct stat st;
	int fd;

	if (kernel_cache_path(uid, dir) || stat(path, &st))
		return;
	fd = kernel_cache_dir(dir, uid);
	if (fd < 0)
		return;
	kernel_cache_identity(&st, name);
	unlinkat(fd, name, 0);
	close(fd);
}
