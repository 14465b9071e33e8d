// SPDX-License-Identifier: GPL-2.0-only
/*
 * The writer of the cache. Everything is made under another name and renamed, so that a reader sees
 * whole files only; and the data is on the disk before its name is, so that a crash leaves no hole.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "shadow/kernel/prepared.h"
#include "vmm/boot/kernel_cache_int.h"

#define KERNELS_MAX 8
#define LINKS_MAX   64
#define BYTES_MAX   ((u64)512 << 20)
#define ROOM	    ((u64)1 << 30) /* that the disk must have left */
#define SETTLED_S   2		   /* a file whose last change is this long ago */
#define NAMES_MAX   4096
#define PATIENCE_S  60

struct name {
	char text[CACHE_NAME];
	u64 time, size;
	bool kernel; /* else a link */
};

struct lent_names {
	struct name *list;
	size_t n;
};

void kernel_cache_let_go(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
}

static void leave_the_vmm(void)
{
	const struct sched_param none = { 0 };
	sigset_t all;

	kernel_cache_let_go();
	close_range(3, ~0U, 0);
	signal(SIGXFSZ, SIG_IGN); /* a limit is an error of write() */
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	prctl(PR_SET_NAME, "vmm-prepare");
	sched_setscheduler(0, SCHED_IDLE, &none);
	umask(077);
	alarm(PATIENCE_S);
}

static int make_dirs(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) && errno != EEXIST) {
			*p = '/';
			return -errno;
		}
		*p = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

static bool newer_first(const struct name *a, const struct name *b)
{
	return a->time != b->time ? a->time > b->time : strcmp(a->text, b->text) > 0;
}

static int by_age(const void *a, const void *b)
{
	return newer_first(a, b) ? -1 : 1;
}

static int list(int dirfd, struct lent_names *out)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *x;

	*out = (struct lent_names){ calloc(NAMES_MAX, sizeof(*out->list)), 0 };
	while (d && out->list && out->n < NAMES_MAX && (x = readdir(d))) {
		struct name *n = &out->list[out->n];
		struct stat st;

		if (strlen(x->d_name) >= sizeof(n->text) ||
		    fstatat(dirfd, x->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		n->kernel = S_ISREG(st.st_mode) && strstr(x->d_name, CACHE_SUFFIX);
		if (!n->kernel && !S_ISLNK(st.st_mode))
			continue;
		memcpy(n->text, x->d_name, strlen(x->d_name) + 1);
		n->time = (u64)st.st_mtim.tv_sec * 1000000000ULL + (u64)st.st_mtim.tv_nsec;
		n->size = (u64)st.st_size;
		out->n++;
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	if (!out->list)
		return -ENOMEM;
	qsort(out->list, out->n, sizeof(*out->list), by_age);
	return 0;
}

/* What is too much goes, the oldest first; then the links that lead nowhere. */
static void evict(int dirfd)
{
	u64 kernels = 0, links = 0, bytes = 0;
	struct lent_names names;
	struct stat st;

	if (list(dirfd, &names))
		return;
	for (size_t i = 0; i < names.n; i++) {
		const struct name *n = &names.list[i];

		if (!n->kernel)
			continue;
		bytes += n->size;
		if (++kernels > KERNELS_MAX || bytes > BYTES_MAX)
			unlinkat(dirfd, n->text, 0);
	}
	for (size_t i = 0; i < names.n; i++) {
		const struct name *n = &names.list[i];

		if (!n->kernel && (++links > LINKS_MAX || fstatat(dirfd, n->text, &st, 0)))
			unlinkat(dirfd, n->text, 0);
	}
	free(names.list);
}

/* Is there a good one already? */
static bool present(int dirfd, const char *name, const char *path, const u8 *key)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), ret;
	struct kernel *k;

	if (fd < 0 || prepared_open(&k, path, fd, geteuid(), key, NULL))
		return false;
	ret = prepared_verify(k, NULL);
	kernel_close(k);
	return !ret;
}

static int add_kernel(int dirfd, const char *name, const struct kernel *k, const u8 *key)
{
	int fd, ret;

	unlinkat(dirfd, "new", 0);
	fd = openat(dirfd, "new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = prepared_write(k, key, fd);
	if (!ret && fdatasync(fd))
		ret = -errno;
	close(fd);
	if (!ret && renameat(dirfd, "new", dirfd, name))
		ret = -errno;
	if (ret)
		unlinkat(dirfd, "new", 0);
	return ret;
}

/*
 * Does the kernel keep the times of this file? An image that is only read (squashfs, ISO 9660, a disk
 * built with fixed times) has whatever times its maker gave it, for each of its builds the same ones,
 * and so may a server or a process that plays file system.
 */
static bool keeps_times(const char *path)
{
	static const u64 those[] = { EXT4_SUPER_MAGIC,	    XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
				     F2FS_SUPER_MAGIC,	    TMPFS_MAGIC,     RAMFS_MAGIC,
				     OVERLAYFS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */ };
	struct statfs fs;

	if (statfs(path, &fs) || fs.f_flags & ST_RDONLY)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(those); i++)
		if ((u64)fs.f_type == those[i])
			return true;
	return false;
}

/* Was the file what stat(2) said, all the time from before it was read until now? */
static bool settled(const char *path, const struct stat *before)
{
	char was[CACHE_NAME], is[CACHE_NAME];
	struct timespec now;
	struct stat st;

	if (stat(path, &st) || clock_gettime(CLOCK_REALTIME, &now))
		return false;
	kernel_cache_identity(before, was);
	kernel_cache_identity(&st, is);
	return !strcmp(was, is) && st.st_ctim.tv_sec + SETTLED_S < now.tv_sec;
}

static void add_link(int dirfd, const char *name, const struct stat *st)
{
	char identity[CACHE_NAME];

	kernel_cache_identity(st, identity);
	unlinkat(dirfd, "new-link", 0);
	if (!symlinkat(name, dirfd, "new-link"))
		renameat(dirfd, "new-link", dirfd, identity);
}

static void key_name(const u8 *key, char *name)
{
	for (size_t i = 0; i < PREPARED_KEY; i++)
		sprintf(name + 2 * i, "%02x", key[i]);
	memcpy(name + 2 * (size_t)PREPARED_KEY, CACHE_SUFFIX, sizeof(CACHE_SUFFIX));
}

bool kernel_cache_may_link(const char *path, const struct stat *st)
{
	return keeps_times(path) && settled(path, st);
}

int kernel_cache_lock(const char *dir, struct cache_lock *out)
{
	char copy[CACHE_PATH];
	struct statvfs fs;
	int ret;

	snprintf(copy, sizeof(copy), "%s", dir);
	ret = make_dirs(copy);
	if (ret)
		return ret;
	out->lock = -1;
	out->dir = kernel_cache_dir(dir, geteuid());
	if (out->dir < 0)
		return out->dir;
	out->lock = openat(out->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out->lock < 0 || flock(out->lock, LOCK_EX | LOCK_NB) || fstatvfs(out->dir, &fs))
		ret = -errno;
	else if ((u64)fs.f_bavail * fs.f_frsize < ROOM)
		ret = -ENOSPC;
	if (ret)
		kernel_cache_unlock(out);
	return ret;
}

void kernel_cache_unlock(struct cache_lock *l)
{
	if (l->lock >= 0)
		close(l->lock);
	close(l->dir);
}

void kernel_cache_store(const struct cache_lock *l, const char *path, const struct stat *st,
			const struct kernel *k)
{
	char name[2 * PREPARED_KEY + sizeof(CACHE_SUFFIX)];
	u8 key[PREPARED_KEY];

	if (prepared_key(k, key))
		return;
	key_name(key, name);
	if (!present(l->dir, name, path, key) && add_kernel(l->dir, name, k, key))
		return;
	if (kernel_cache_may_link(path, st))
		add_link(l->dir, name, st);
	evict(l->dir);
}

void kernel_cache_write(const char *dir, const char *path, const struct stat *st,
			const struct kernel *k)
{
	struct cache_lock l;

	leave_the_vmm();
	if (kernel_cache_lock(dir, &l))
		return;
	kernel_cache_store(&l, path, st, k);
	kernel_cache_unlock(&l);
}
