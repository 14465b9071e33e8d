// SPDX-License-Identifier: GPL-2.0-only
/* Finds a kernel that root has prepared for all users, by its file's identity or by its bytes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "shadow/kernel/prepared.h"
#include "vmm/boot/kernel_cache.h"
#include "vmm/boot/kernel_cache_int.h"

#define PIECE ((size_t)256 << 10)
#define ROOT  0U

bool kernel_cache_same_bytes(int a, int b, u64 len)
{
	u8 *piece = malloc(2 * PIECE);
	struct stat st;
	bool same = piece && !fstat(a, &st) && (u64)st.st_size == len;

	for (u64 at = 0; same && at < len; at += PIECE) {
		size_t n = len - at < PIECE ? (size_t)(len - at) : PIECE;

		same = !file_pread(a, piece, n, (off_t)at) &&
		       !file_pread(b, piece + PIECE, n, (off_t)at) &&
		       !memcmp(piece, piece + PIECE, n);
	}
	free(piece);
	return same;
}

/*
 * Opens the kernel @name, a file or a link to one, of the directory, if it is for all users. Root
 * could read the others, too, which are those of its own cache.
 */
static int open_shared(struct kernel **out, int dirfd, unsigned root, const char *name,
		       const char *path)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !(st.st_mode & S_IROTH)) {
		close(fd);
		return -ENOENT;
	}
	return prepared_open(out, path, fd, root, NULL, NULL);
}

/* Has the file @name of the directory, an image of root's, the bytes of @fd? */
static bool image_matches(int dirfd, unsigned root, const char *name, int fd, const struct stat *st)
{
	int image = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat is;
	bool same = image >= 0 && !fstat(image, &is) && S_ISREG(is.st_mode) && is.st_uid == root &&
		    !(is.st_mode & (S_IWGRP | S_IWOTH)) && is.st_size == st->st_size &&
		    kernel_cache_same_bytes(image, fd, (u64)st->st_size);

	if (image >= 0)
		close(image);
	return same;
}

/* Looks through the images of the directory, which is closed. */
static int open_by_bytes(struct kernel **out, DIR *d, unsigned root, int fd, const char *path,
			 const struct stat *st)
{
	char kernel[CACHE_NAME];
	struct dirent *x;
	int ret = -ENOENT;

	while (ret && (x = readdir(d))) {
		const char *suffix = strstr(x->d_name, IMAGE_SUFFIX);

		if (!suffix || strlen(x->d_name) >= CACHE_NAME / 2 ||
		    !image_matches(dirfd(d), root, x->d_name, fd, st))
			continue;
		snprintf(kernel, sizeof(kernel), "%.*s%s", (int)(suffix - x->d_name), x->d_name,
			 CACHE_SUFFIX);
		ret = open_shared(out, dirfd(d), root, kernel, path);
	}
	closedir(d);
	return ret;
}

/* Returns true if all files of the directory are root's, and nobody else can write them. */
static bool files_are_roots(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool roots = d != NULL;
	struct dirent *x;
	struct stat st;

	while (roots && (x = readdir(d)))
		if (*x->d_name != '.' && !fstatat(dir, x->d_name, &st, AT_SYMLINK_NOFOLLOW))
			roots = st.st_uid == ROOT &&
				(S_ISLNK(st.st_mode) || !(st.st_mode & (S_IWGRP | S_IWOTH)));
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	return roots;
}

static int looked_at = -1; /* the directory, by kernel_cache_look_at_shared() */

void kernel_cache_look_at_shared(void)
{
	int dir = kernel_cache_dir(kernel_cache_shared_path(), ROOT);

	if (dir >= 0 && !files_are_roots(dir)) {
		close(dir);
		dir = -1;
	}
	looked_at = dir;
}

void kernel_cache_leave_shared(void)
{
	if (looked_at >= 0)
		close(looked_at);
	looked_at = -1;
}

int kernel_cache_find_shared(struct kernel **out, int fd, const char *path, const struct stat *st)
{
	int dir = looked_at >= 0 ? looked_at : kernel_cache_dir(kernel_cache_shared_path(), ROOT);
	char name[CACHE_NAME];
	struct stat own;
	DIR *d;

	looked_at = -1;
	if (dir < 0)
		return dir;
	kernel_cache_identity(st, name);
	/* How root is called in the user namespace that this process is in by now. */
	if (fstat(dir, &own)) {
		close(dir);
		return -EIO;
	}
	if (!open_shared(out, dir, own.st_uid, name, path)) {
		close(dir);
		return 0;
	}
	d = fdopendir(dir);
	if (d)
		return open_by_bytes(out, d, own.st_uid, fd, path, st);
	close(dir);
	return -ENOMEM;
}
