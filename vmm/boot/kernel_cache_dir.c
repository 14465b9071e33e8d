// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds, makes and locks the directory of prepared kernels, and names the files in it; for the
 * cache's reader and its writer.
 */
#include "vmm/boot/kernel_cache_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM_CACHE "/var/cache/umbra"
#define ROOM	     ((u64)1 << 30) /* that the disk must have left */
#define SETTLED_S    2		    /* a file whose last change is this long ago */

const char *kernel_cache_shared_path(void)
{
	return SYSTEM_CACHE;
}

int kernel_cache_path(unsigned uid, char *buf)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int n;

	if (xdg && *xdg == '/') /* the specification: a relative one is to be ignored */
		n = snprintf(buf, CACHE_PATH, "%s/umbra", xdg);
	else if (!uid)
		n = snprintf(buf, CACHE_PATH, SYSTEM_CACHE);
	else if (home && *home == '/')
		n = snprintf(buf, CACHE_PATH, "%s/.cache/umbra", home);
	else
		return -ENOENT;
	return n < 0 || n >= CACHE_PATH ? -ENAMETOOLONG : 0;
}

void kernel_cache_identity(const struct stat *st, char name[CACHE_NAME])
{
	snprintf(name, CACHE_NAME, "%llx-%llx-%llx-%llx.%lx-%llx.%lx",
		 (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
		 (unsigned long long)st->st_size, (unsigned long long)st->st_mtim.tv_sec,
		 (unsigned long)st->st_mtim.tv_nsec, (unsigned long long)st->st_ctim.tv_sec,
		 (unsigned long)st->st_ctim.tv_nsec);
}

/*
 * Returns true for a directory that the environment named to root (sudo -E keeps a user's
 * XDG_CACHE_HOME): that user can put links into it, so none is followed, and nothing is made below
 * a directory that is not root's.
 */
static bool cache_path_is_suspect(const char *path, unsigned uid)
{
	return !uid && strcmp(path, kernel_cache_shared_path()) != 0;
}

static int open_dir(int at, const char *path, u64 flags, u64 resolve)
{
	struct open_how how = { .flags = flags | O_DIRECTORY | O_CLOEXEC, .resolve = resolve };
	long fd = syscall(SYS_openat2, at, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int kernel_cache_dir(const char *path, unsigned uid)
{
	struct stat st;
	int fd;

	if (cache_path_is_suspect(path, uid))
		fd = open_dir(AT_FDCWD, path, O_RDONLY, RESOLVE_NO_SYMLINKS);
	else
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cache_path_is_suspect(path, uid) ? fd : -errno;
	if (fstat(fd, &st) || st.st_uid != uid || st.st_mode & (S_IWGRP | S_IWOTH)) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

/*
 * Opens the directory @name of @at, made if it is not there; returns an O_PATH descriptor. -EPERM:
 * it is not root's, or others can put links into it.
 */
static int make_dir_of_root(int at, const char *name)
{
	struct stat st;
	int fd;

	if (mkdirat(at, name, 0700) && errno != EEXIST)
		return -errno;
	fd = open_dir(at, name, O_PATH, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return fd;
	/* In a sticky directory (/tmp) other users cannot replace a file of root's. */
	if (fstat(fd, &st) || st.st_uid ||
	    (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX))) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

static int make_dirs_of_root(char *path)
{
	char *save = NULL, *name;
	int at = open_dir(AT_FDCWD, "/", O_PATH, 0);

	for (name = strtok_r(path, "/", &save); name && at >= 0;
	     name = strtok_r(NULL, "/", &save)) {
		int next = make_dir_of_root(at, name);

		close(at);
		at = next;
	}
	if (at < 0)
		return at;
	close(at);
	return 0;
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

/*
 * Returns true if the kernel keeps the times of this file. An image that is only read (squashfs,
 * ISO 9660, a disk built with fixed times) has whatever times its maker gave it, for each of its
 * builds the same ones, and so may a server or a process that plays file system.
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

/* Returns true if the file has not changed since @before, and was not changed just before that. */
static bool file_settled(const char *path, const struct stat *before)
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

bool kernel_cache_may_link(const char *path, const struct stat *st)
{
	return keeps_times(path) && file_settled(path, st);
}

int kernel_cache_lock(const char *dir, struct cache_lock *out)
{
	char copy[CACHE_PATH];
	struct statvfs fs;
	int ret;

	snprintf(copy, sizeof(copy), "%s", dir);
	ret = cache_path_is_suspect(dir, geteuid()) ? make_dirs_of_root(copy) : make_dirs(copy);
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

void kernel_cache_mute(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
}
