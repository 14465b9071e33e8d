// SPDX-License-Identifier: GPL-2.0-only
/* Opens a kernel by way of the cache; another process prepares one that is missing there. */
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

#define PATIENCE_S 60

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

static bool worth_it(const struct kernel *k)
{
	return kernel_is_bzimage(k) && kernel_layout(k)->relocatable;
}

/* Forks twice: the first child ends at once, so that the second needs no waitpid(). */
static void start_writer(const char *dir, const char *path, const struct stat *st,
			 const struct kernel *k)
{
	pid_t child = fork();

	if (child > 0) {
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	} else if (!child) {
		if (!fork())
			kernel_cache_write(dir, path, st, k);
		_exit(0);
	}
}

int kernel_cache_open(struct kernel **out, const char *path, struct err *e)
{
	unsigned uid = (unsigned)getauxval(AT_EUID); /* no system call */
	char dir[CACHE_PATH];
	struct stat st;
	int ret;

	if (kernel_cache_path(uid, dir) || stat(path, &st) || !S_ISREG(st.st_mode))
		return kernel_open(out, path, true, e);
	if (!open_prepared(out, dir, uid, path, &st))
		return 0;
	ret = kernel_open(out, path, true, e);
	if (!ret && worth_it(*out))
		start_writer(dir, path, &st, *out);
	return ret;
}

/* Tells by the file's beginning, before all of it is read. */
static bool looks_like_bzimage(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	u8 begin[1024];
	ssize_t len = fd < 0 ? -1 : read(fd, begin, sizeof(begin));

	if (fd >= 0)
		close(fd);
	return len > 0 && kernel_looks_like_bzimage(begin, (size_t)len);
}

/* Waits for @child; one of the signals of @set that comes meanwhile, and is not ignored, ends it. */
static void await_or_end(pid_t child, const sigset_t *set)
{
	while (!waitpid(child, NULL, WNOHANG)) {
		int sig = sigwaitinfo(set, NULL);

		if (sig > 0 && sig != SIGCHLD && !signal_is_ignored(sig))
			kill(child, SIGKILL);
	}
}

/*
 * In a process of its own, since it takes seconds, on a disk that hangs longer: whoever asked for
 * it has signals blocked, and the exit code of a guest to hand on.
 */
static void store_apart(const struct cache_lock *l, const char *path, const struct stat *st)
{
	sigset_t set;
	struct kernel *k;
	pid_t child;

	sigprocmask(SIG_BLOCK, NULL, &set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	child = fork();
	if (child > 0)
		await_or_end(child, &set);
	if (child)
		return;
	alarm(PATIENCE_S);
	if (!kernel_open(&k, path, true, NULL) && worth_it(k))
		kernel_cache_store(l, path, st, k);
	_exit(0);
}

void kernel_cache_complete(const char *path)
{
	unsigned uid = geteuid();
	char dir[CACHE_PATH];
	struct cache_lock l;
	struct kernel *k = NULL;
	struct stat st;

	if (kernel_cache_path(uid, dir) || stat(path, &st) || !S_ISREG(st.st_mode))
		return;
	if (!open_prepared(&k, dir, uid, path, &st)) {
		kernel_close(k);
		return;
	}
	if (!kernel_cache_may_link(path, &st) || !looks_like_bzimage(path) ||
	    kernel_cache_lock(dir, &l))
		return;
	kernel_cache_mute();
	store_apart(&l, path, &st);
	kernel_cache_unlock(&l);
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
