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
#include "vmm/boot/kernel_cache.h"
#include "vmm/boot/kernel_cache_int.h"
#include "vmm/confine/confine.h"

#define KERNELS_MAX	8
#define LINKS_MAX	64
#define LINKS_OF_KERNEL 4
#define BYTES_MAX	((u64)512 << 20)
#define NAMES_MAX	4096
#define BZIMAGE_MAX	((size_t)1 << 30)

struct name {
	char text[CACHE_NAME];
	char leads_to[CACHE_NAME]; /* a link */
	u64 time, size;
	enum { NAME_KERNEL, NAME_IMAGE, NAME_LINK } kind;
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
		if (S_ISREG(st.st_mode) && strstr(x->d_name, CACHE_SUFFIX))
			n->kind = NAME_KERNEL;
		else if (S_ISREG(st.st_mode) && strstr(x->d_name, IMAGE_SUFFIX))
			n->kind = NAME_IMAGE;
		else if (S_ISLNK(st.st_mode))
			n->kind = NAME_LINK;
		else
			continue;
		memcpy(n->text, x->d_name, strlen(x->d_name) + 1);
		if (n->kind == NAME_LINK &&
		    readlinkat(dirfd, n->text, n->leads_to, sizeof(n->leads_to) - 1) < 0)
			continue;
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

/* Writes the name of the other file of a KEY to @out: @suffix in place of that of @name. */
static void key_with_suffix(const char *name, const char *suffix, char out[CACHE_NAME])
{
	snprintf(out, CACHE_NAME, "%.*s%s", (int)strcspn(name, "."), name, suffix);
}

/* Removes kernels beyond the limits, the oldest first; their images count, and go with them. */
static void evict_kernels(int dirfd, const struct cache_names *names)
{
	u64 kernels = 0, bytes = 0;
	char image[CACHE_NAME];
	struct stat st;

	for (size_t i = 0; i < names->n; i++) {
		const struct name *n = &names->list[i];

		if (n->kind != NAME_KERNEL)
			continue;
		key_with_suffix(n->text, IMAGE_SUFFIX, image);
		bytes += n->size;
		bytes += fstatat(dirfd, image, &st, AT_SYMLINK_NOFOLLOW) ? 0 : (u64)st.st_size;
		if (++kernels > KERNELS_MAX || bytes > BYTES_MAX)
			unlinkat(dirfd, n->text, 0);
	}
}

/* Are both the names of one inode? Then it has changed between them: it has the newer one's. */
static bool same_inode(const char *a, const char *b)
{
	unsigned dashes = 0;

	for (; *a == *b && *a; a++, b++) {
		dashes += *a == '-';
		if (dashes == 2)
			return true;
	}
	return false;
}

/*
 * Is a link of no use beside the newer ones, @kept of them? A file that has changed or is gone
 * cannot be told by its name alone, but the same inode under another name has changed, and of what
 * is left the newest few are those in use. One too few costs a look at a file's bytes.
 */
static bool link_is_old(const struct name *n, const struct name *const *kept, size_t n_kept)
{
	unsigned of_kernel = 0;

	for (size_t i = 0; i < n_kept; i++) {
		if (same_inode(n->text, kept[i]->text))
			return true;
		of_kernel += !strcmp(n->leads_to, kept[i]->leads_to);
	}
	return n_kept == LINKS_MAX || of_kernel >= LINKS_OF_KERNEL;
}

/* Removes links that lead nowhere, and old ones. */
static void evict_links(int dirfd, const struct cache_names *names)
{
	const struct name *kept[LINKS_MAX];
	size_t n_kept = 0;
	struct stat st;

	for (size_t i = 0; i < names->n; i++) {
		const struct name *n = &names->list[i];

		if (n->kind != NAME_LINK)
			continue;
		if (fstatat(dirfd, n->text, &st, 0) || link_is_old(n, kept, n_kept))
			unlinkat(dirfd, n->text, 0);
		else
			kept[n_kept++] = n;
	}
}

/* Removes the images whose kernel is not there. */
static void evict_images(int dirfd, const struct cache_names *names)
{
	char kernel[CACHE_NAME];
	struct stat st;

	for (size_t i = 0; i < names->n; i++) {
		const struct name *n = &names->list[i];

		if (n->kind != NAME_IMAGE)
			continue;
		key_with_suffix(n->text, CACHE_SUFFIX, kernel);
		if (fstatat(dirfd, kernel, &st, 0))
			unlinkat(dirfd, n->text, 0);
	}
}

static void evict_old_kernels(int dirfd)
{
	struct cache_names names;

	if (names_list(dirfd, &names))
		return;
	evict_kernels(dirfd, &names);
	evict_links(dirfd, &names);
	evict_images(dirfd, &names);
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

/* Writes @b, or what is prepared of it, to @fd, the file "new" of the directory. */
typedef int write_fn(int dirfd, const struct bzimage *b, int fd);

static int write_kernel(int dirfd, const struct bzimage *b, int fd)
{
	int ret = write_by_child(b, fd);

	/* The child that wrote it may have been taken over by the bzImage that it parsed. */
	return !ret && !kernel_is_present(dirfd, "new", b) ? -EBADMSG : ret;
}

/* Adds the file @name to the directory, as a whole or not at all. */
static int add_file(int dirfd, const char *name, const struct bzimage *b, write_fn *fn)
{
	int fd, ret;

	unlinkat(dirfd, "new", 0);
	fd = openat(dirfd, "new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = fn(dirfd, b, fd);
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

static void cache_key_name(const u8 *key, const char *suffix, char name[CACHE_NAME])
{
	const size_t len = 2 * (size_t)PREPARED_KEY;

	for (size_t i = 0; i < PREPARED_KEY; i++)
		sprintf(name + 2 * i, "%02x", key[i]);
	snprintf(name + len, CACHE_NAME - len, "%s", suffix);
}

bool kernel_cache_is_bzimage(int fd)
{
	u8 begin[1024];
	ssize_t len = pread(fd, begin, sizeof(begin), 0);

	return len > 0 && kernel_looks_like_bzimage(begin, (size_t)len);
}

void kernel_cache_store(const struct cache_lock *l, const char *path, const struct stat *st, int fd)
{
	char name[CACHE_NAME];
	struct bzimage b = { .path = path };

	if (file_read_fd(fd, path, BZIMAGE_MAX, &b.data, &b.len, NULL))
		return;
	if (prepared_key(b.data, b.len, b.key))
		goto out;
	cache_key_name(b.key, CACHE_SUFFIX, name);
	if (!kernel_is_present(l->dir, name, &b) && add_file(l->dir, name, &b, write_kernel))
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

/* --- for all users -------------------------------------------------------------------------- */

/* Lets all users read the file @name of the directory. */
static int publish_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), ret = 0;

	/* The time is that of the last one who wanted it: the oldest leave. */
	if (fd < 0 || fchmod(fd, 0644) || futimens(fd, NULL))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Returns true if @name has the bytes of @fd. */
static bool image_is_present(int dirfd, const char *name, int fd, size_t len)
{
	int image = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool same = image >= 0 && kernel_cache_same_bytes(image, fd, len);

	if (image >= 0)
		close(image);
	return same;
}

static int write_image(int dirfd, const struct bzimage *b, int fd)
{
	(void)dirfd;
	return file_write(fd, b->data, b->len);
}

/* Stores kernel and image of @b, of which @fd is the file and stat(2) said @st. */
static int share_in(const struct cache_lock *l, const struct bzimage *b, const struct stat *st,
		    int fd)
{
	char name[CACHE_NAME], image[CACHE_NAME];
	int ret = 0;

	cache_key_name(b->key, CACHE_SUFFIX, name);
	cache_key_name(b->key, IMAGE_SUFFIX, image);
	if (!kernel_is_present(l->dir, name, b))
		ret = add_file(l->dir, name, b, write_kernel);
	if (!ret && !image_is_present(l->dir, image, fd, b->len))
		ret = add_file(l->dir, image, b, write_image);
	if (!ret)
		ret = publish_file(l->dir, name);
	if (!ret)
		ret = publish_file(l->dir, image);
	if (!ret && fchmod(l->dir, 0755))
		ret = -errno;
	if (!ret && kernel_cache_may_link(b->path, st))
		add_link(l->dir, name, st);
	evict_old_kernels(l->dir);
	return ret;
}

static int share_bytes(struct bzimage *b, const struct stat *st, int fd, struct err *e)
{
	const char *dir = kernel_cache_shared_path();
	struct cache_lock l;
	int ret = kernel_cache_lock(dir, &l);

	if (ret == -EWOULDBLOCK)
		return err_set(e, ret, "%s: another process changes it; try again", dir);
	if (ret)
		return err_set(e, ret, "%s: %s", dir, strerror(-ret));
	ret = prepared_key(b->data, b->len, b->key);
	if (!ret)
		ret = share_in(&l, b, st, fd);
	kernel_cache_unlock(&l);
	if (ret == -EINVAL)
		return err_set(e, ret,
			       "%s: cannot be prepared: it is not relocatable, or packed in a way "
			       "that is not known here; it starts as before",
			       b->path);
	return ret ? err_set(e, ret, "%s: cannot be prepared in %s: %s", b->path, dir,
			     strerror(-ret))
		   : 0;
}

static int share_file(int fd, const char *path, struct err *e)
{
	struct bzimage b = { .path = path };
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return err_set(e, -errno, "%s: %s", path, strerror(errno));
	if (S_ISREG(st.st_mode) && !(st.st_mode & S_IROTH))
		return err_set(e, -EACCES,
			       "%s: not all users may read it, and all could read what is prepared "
			       "of it; chmod o+r it, if they may",
			       path);
	ret = file_read_fd(fd, path, BZIMAGE_MAX, &b.data, &b.len, e);
	if (ret)
		return ret;
	if (kernel_looks_like_bzimage(b.data, b.len))
		ret = share_bytes(&b, &st, fd, e);
	else
		ret = err_set(e, -EINVAL,
			      "%s: not a bzImage (vmlinuz), so there is nothing to prepare", path);
	free(b.data);
	return ret;
}

int kernel_cache_share(const char *path, struct err *e)
{
	int fd, ret;

	if (geteuid())
		return err_set(e, -EPERM, "%s: only root prepares kernels for all users",
			       kernel_cache_shared_path());
	fd = file_open(path, e);
	if (fd < 0)
		return fd;
	ret = share_file(fd, path, e);
	close(fd);
	return ret;
}
