// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes prepared kernels into the cache, and evicts old ones. The bzImage is a stranger's file: a
 * confined child parses it and writes to a file that is open; what it wrote is believed no more
 * than what lies in the cache is (shadow/kernel/prepared.h).
 *
 * Each file is written under another name and renamed, so that a reader sees whole files only; and
 * the data is on the disk before its name is, so that a crash leaves no hole.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "shadow/kernel/prepared.h"
#include "vmm/boot/kernel_cache_int.h"
#include "vmm/confine/confine.h"

#define KERNELS_MAX 8
#define LINKS_MAX   64
#define BYTES_MAX   ((u64)512 << 20)
#define NAMES_MAX   4096
#define BZIMAGE_MAX ((size_t)1 << 30)

struct name {
	char text[CACHE_NAME];
	u64 time, size;
	bool kernel; /* else a link */
};

/* The file that is prepared, in memory. */
struct bzimage {
	const char *path;
	u8 *data;
	size_t len;
	u8 key[PREPARED_KEY];
};

struct cache_names {
	struct name *list;
	size_t n;
};

static void close_all_but(int keep)
{
	if (keep > 3)
		close_range(3, (unsigned)keep - 1, 0);
	close_range((unsigned)keep + 1, ~0U, 0);
}

static void leave_the_vmm(int keep)
{
	const struct sched_param none = { 0 };
	sigset_t all;

	kernel_cache_mute();
	close_all_but(keep);
	signal(SIGXFSZ, SIG_IGN); /* a limit is an error of write() */
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	prctl(PR_SET_NAME, "vmm-prepare");
	sched_setscheduler(0, SCHED_IDLE, &none);
	umask(077);
	alarm(CACHE_PATIENCE_S);
}

static bool newer_first(const struct name *a, const struct name *b)
{
	return a->time != b->time ? a->time > b->time : strcmp(a->text, b->text) > 0;
}

static int by_age(const void *a, const void *b)
{
	return newer_first(a, b) ? -1 : 1;
}

static int names_list(int dirfd, struct cache_names *out)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *x;

	*out = (struct cache_names){ calloc(NAMES_MAX, sizeof(*out->list)), 0 };
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

/* Removes kernels beyond the limits, the oldest first; then the links that lead nowhere. */
static void evict_old_kernels(int dirfd)
{
	u64 kernels = 0, links = 0, bytes = 0;
	struct cache_names names;
	struct stat st;

	if (names_list(dirfd, &names))
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

/* Returns true if the directory has a good kernel of that name already. */
static bool kernel_is_present(int dirfd, const char *name, const struct bzimage *b)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), ret;
	struct kernel *k;

	if (fd < 0 || prepared_open(&k, b->path, fd, geteuid(), b->key, NULL))
		return false;
	ret = prepared_verify(k, NULL);
	kernel_close(k);
	return !ret;
}

/* Parses the bzImage and writes its prepared form to @fd, in a process of its own. 0 or -errno. */
static int bzimage_parse_and_write(const struct bzimage *b, int fd)
{
	struct kernel *k;
	int ret;

	close_all_but(fd); /* the directory and its lock are not for it */
	ret = confine_parser(NULL);
	if (!ret)
		ret = kernel_parse(&k, b->path, b->data, b->len, true, NULL);
	return ret ? ret : prepared_write(k, b->key, fd);
}

static int write_by_child(const struct bzimage *b, int fd)
{
	pid_t pid = fork(), ended;
	int status;

	if (!pid)
		_exit(bzimage_parse_and_write(b, fd) ? 1 : 0);
	if (pid < 0)
		return -errno;
	do {
		ended = waitpid(pid, &status, 0);
	} while (ended < 0 && errno == EINTR);
	return ended == pid && WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EINVAL;
}

static int add_kernel(int dirfd, const char *name, const struct bzimage *b)
{
	int fd, ret;

	unlinkat(dirfd, "new", 0);
	fd = openat(dirfd, "new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = write_by_child(b, fd);
	/* The child that wrote it may have been taken over by the bzImage that it parsed. */
	if (!ret && !kernel_is_present(dirfd, "new", b))
		ret = -EBADMSG;
	if (!ret && fdatasync(fd))
		ret = -errno;
	close(fd);
	if (!ret && renameat(dirfd, "new", dirfd, name))
		ret = -errno;
	if (ret)
		unlinkat(dirfd, "new", 0);
	return ret;
}

static void add_link(int dirfd, const char *name, const struct stat *st)
{
	char identity[CACHE_NAME];

	kernel_cache_identity(st, identity);
	unlinkat(dirfd, "new-link", 0);
	if (!symlinkat(name, dirfd, "new-link"))
		renameat(dirfd, "new-link", dirfd, identity);
}

static void cache_key_name(const u8 *key, char *name)
{
	for (size_t i = 0; i < PREPARED_KEY; i++)
		sprintf(name + 2 * i, "%02x", key[i]);
	memcpy(name + 2 * (size_t)PREPARED_KEY, CACHE_SUFFIX, sizeof(CACHE_SUFFIX));
}

bool kernel_cache_is_bzimage(int fd)
{
	u8 begin[1024];
	ssize_t len = pread(fd, begin, sizeof(begin), 0);

	return len > 0 && kernel_looks_like_bzimage(begin, (size_t)len);
}

void kernel_cache_store(const struct cache_lock *l, const char *path, const struct stat *st, int fd)
{
	char name[2 * PREPARED_KEY + sizeof(CACHE_SUFFIX)];
	struct bzimage b = { .path = path };

	if (file_read_fd(fd, path, BZIMAGE_MAX, &b.data, &b.len, NULL))
		return;
	if (prepared_key(b.data, b.len, b.key))
		goto out;
	cache_key_name(b.key, name);
	if (!kernel_is_present(l->dir, name, &b) && add_kernel(l->dir, name, &b))
		goto out;
	if (kernel_cache_may_link(path, st))
		add_link(l->dir, name, st);
	evict_old_kernels(l->dir);
out:
	free(b.data);
}

void kernel_cache_write(const char *dir, const char *path, const struct stat *st, int fd)
{
	struct cache_lock l;

	leave_the_vmm(fd);
	if (!kernel_cache_is_bzimage(fd) || kernel_cache_lock(dir, &l))
		return;
	kernel_cache_store(&l, path, st, fd);
	kernel_cache_unlock(&l);
}
