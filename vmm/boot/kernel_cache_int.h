/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of the kernel cache: the directory, which reader (kernel_cache.c) and writer
 * (kernel_cache_write.c) both use, and the writer's two functions for the reader.
 */
#ifndef UMBRA_VMM_BOOT_KERNEL_CACHE_INT_H
#define UMBRA_VMM_BOOT_KERNEL_CACHE_INT_H

#include <stdbool.h>
#include <sys/stat.h>

#include "shadow/kernel/kernel.h"

#define CACHE_PATH   4096
#define CACHE_NAME   160
#define CACHE_SUFFIX ".kernel"
#define IMAGE_SUFFIX ".image"

#define CACHE_PATIENCE_S 60 /* after which a process that prepares a kernel is ended */

/* --- kernel_cache_dir.c: the directory ------------------------------------------------------ */

/*
 * Writes the path of @uid's cache to @buf of CACHE_PATH bytes. -ENOENT: there is no place for a
 * cache.
 */
int kernel_cache_path(unsigned uid, char *buf);

/* Returns the path of root's cache, which all users read. */
const char *kernel_cache_shared_path(void);

/* Makes the name for the file of which stat(2) says @st. */
void kernel_cache_identity(const struct stat *st, char name[CACHE_NAME]);

/*
 * Returns a descriptor of the directory if it is there and only @uid can write it, else -errno. The
 * caller closes it.
 */
int kernel_cache_dir(const char *path, unsigned uid);

/*
 * Returns true if the file at @path, of which stat(2) said @st before, may get a link: it was not
 * changed for some seconds, and its file system keeps times that mean something.
 */
bool kernel_cache_may_link(const char *path, const struct stat *st);

/* The directory, made if it was not there, and the right to change it. */
struct cache_lock {
	int dir, lock;
};

/*
 * Opens and locks the directory. -EWOULDBLOCK: another process has it; -ENOSPC: the disk has little
 * room left; -errno.
 */
int kernel_cache_lock(const char *dir, struct cache_lock *out);
void kernel_cache_unlock(struct cache_lock *l);

/*
 * Points descriptors 0 to 2 at /dev/null: this process may outlive the guest, and a reader of the
 * guest's console on a pipe waits for EOF until the last writer has closed it.
 */
void kernel_cache_mute(void);

/* --- kernel_cache_shared.c ------------------------------------------------------------------ */

/*
 * Finds what kernel_cache_share() has prepared of the bzImage that @fd is open for, by the name
 * @path, of which fstat(2) says @st. -ENOENT, or -errno of open(2): nothing that is of use.
 */
int kernel_cache_find_shared(struct kernel **out, int fd, const char *path, const struct stat *st);
/* Closes what kernel_cache_look_at_shared() has opened, if nobody has looked there since. */
void kernel_cache_leave_shared(void);
/* Returns true if the two files have the same bytes from the start on, @len each. */
bool kernel_cache_same_bytes(int a, int b, u64 len);

/* --- kernel_cache_write.c ------------------------------------------------------------------- */

/* Returns true for a bzImage, by the first bytes of @fd, before all of it is read. */
bool kernel_cache_is_bzimage(int fd);

/*
 * Prepares the kernel that @fd is open for, by the name @path, of which stat(2) said @st before; a
 * confined process parses it. Nothing is done for one that cannot be prepared.
 */
void kernel_cache_store(const struct cache_lock *l, const char *path, const struct stat *st,
			int fd);

/*
 * Locks, stores and unlocks. It takes over the process, which the caller has made for it: it closes
 * all descriptors but @fd and lowers its priority.
 */
void kernel_cache_write(const char *dir, const char *path, const struct stat *st, int fd);

#endif
