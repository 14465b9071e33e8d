// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds the directory of the control sockets: /run/umbra for root, one below $XDG_RUNTIME_DIR for
 * others. Without that variable, as after su, it is /run/user/UID if that is there, else
 * /tmp/umbra-UID, which another user could have prepared.
 *
 * So a directory counts only if it is the user's alone, and if the one that it lies in does not let
 * another user put his own in its place: that is root's or the user's, and sticky if others can
 * write it. The two are looked at step by step, by descriptors, and no link at the second step is
 * followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm/control/socket_dir.h"

bool socket_dir_name_ok(const char *name)
{
	return name_chars_only(name, NAME_FILE, SOCKET_DIR_NAME_MAX) && *name != '.';
}

static bool stat_is_own_dir(const struct stat *st, uid_t uid)
{
	return S_ISDIR(st->st_mode) && st->st_uid == uid && !(st->st_mode & 022);
}

static bool dir_is_own(const char *dir, uid_t uid)
{
	struct stat st;

	return !lstat(dir, &st) && stat_is_own_dir(&st, uid);
}

/* Returns true for a directory in which only root and @uid can replace a directory of @uid's. */
static bool stat_is_safe_parent(const struct stat *st, uid_t uid)
{
	return S_ISDIR(st->st_mode) && (!st->st_uid || st->st_uid == uid) &&
	       (!(st->st_mode & 022) || st->st_mode & S_ISVTX);
}

/*
 * Checks the directory @name of @parent, which is made if @create. 0; -ENOENT; -EPERM: another user
 * can write it or its parent; -errno.
 */
static int own_dir_check(int parent, const char *name, bool create, uid_t uid)
{
	struct stat st;

	if (fstat(parent, &st))
		return -errno;
	if (!stat_is_safe_parent(&st, uid))
		return -EPERM;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    (errno != ENOENT || !create || (mkdirat(parent, name, 0700) && errno != EEXIST) ||
	     fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW)))
		return -errno;
	/* A directory that another user can write could hold that user's sockets. */
	return stat_is_own_dir(&st, uid) ? 0 : -EPERM;
}

/*
 * Opens @parent and does own_dir_check() on it, for a user who is not root. (Root's lies in
 * /run, where nobody else can put anything.)
 */
static int users_dir_check(const char *parent, const char *name, bool create, uid_t uid)
{
	int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = own_dir_check(fd, name, create, uid);
	close(fd);
	return ret;
}

/*
 * Checks root's directory @dir with fewer system calls than users_dir_check(): only root can write
 * its parent, /run.
 */
static int roots_dir_check(const char *dir, bool create)
{
	struct stat st;

	if (!lstat(dir, &st))
		return stat_is_own_dir(&st, 0) ? 0 : -EPERM;
	if (errno != ENOENT || !create)
		return -errno;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return -errno;
	return dir_is_own(dir, 0) ? 0 : -EPERM;
}

int socket_dir_find(char **out, bool create, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *parent;
	uid_t uid = (uid_t)getauxval(AT_EUID); /* no system call */
	char login[32], name[32] = "umbra";
	char *dir = NULL;
	int ret;

	snprintf(login, sizeof(login), "/run/user/%u", uid);
	if (uid && (!runtime || *runtime != '/'))
		runtime = dir_is_own(login, uid) ? login : NULL;
	parent = !uid ? "/run" : runtime ? runtime : "/tmp";
	if (uid && !runtime) {
		snprintf(name, sizeof(name), "umbra-%u", uid);
		/*
		 * In /tmp the directory is made in any case: else another user could make it
		 * between a look and its use.
		 */
		create = true;
	}
	if (asprintf(&dir, "%s/%s", parent, name) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	ret = uid ? users_dir_check(parent, name, create, uid) : roots_dir_check(dir, create);
	if (!ret || (ret == -ENOENT && !create)) {
		*out = dir;
		return 0;
	}
	if (ret == -EPERM)
		err_set(e, ret,
			"%s is not a directory of yours alone, or lies in another user's; remove it, "
			"or set XDG_RUNTIME_DIR to one that is",
			dir);
	else
		err_set(e, ret, "directory of the control sockets %s: %s", dir, strerror(-ret));
	free(dir);
	return ret;
}

int socket_dir_path(char **out, const char *name, bool create_dir, struct err *e)
{
	char *dir = NULL;
	int ret;

	if (!socket_dir_name_ok(name))
		return err_set(e, -EINVAL, "guest name \"%s\": " SOCKET_DIR_NAME_WANT, name,
			       SOCKET_DIR_NAME_MAX);
	ret = socket_dir_find(&dir, create_dir, e);
	if (ret)
		return ret;
	ret = asprintf(out, "%s/%s.sock", dir, name) < 0 ? err_set(e, -ENOMEM, "out of memory") : 0;
	free(dir);
	return ret;
}

/* --- sockets of other processes ------------------------------------------------------------- */

/* Opens the file of locks in @dir, which is made if @create. Returns its descriptor or -errno. */
static int open_served(const char *dir, bool create)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/served", dir);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT : 0),
		  0600);
	return fd < 0 ? -errno : fd;
}

static struct flock lock_of(const struct stat *st, short type)
{
	return (struct flock){ .l_type = type,
			       .l_whence = SEEK_SET,
			       .l_start = (off_t)(st->st_ino & INT64_MAX),
			       .l_len = 1 };
}

/* Does @path name a file of the directory @dir itself? */
static bool lies_in(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && path[len] == '/' && !strchr(path + len + 1, '/');
}

/*
 * Could @path lie in a directory of control sockets, by its name? To look for that directory makes
 * it, where it is in /tmp.
 */
static bool is_named_so(const char *path)
{
	const char *file = strrchr(path, '/'), *dir = file;

	while (dir && dir > path && dir[-1] != '/')
		dir--;
	return dir && !strncmp(dir, "umbra", 5) && (dir + 5 == file || dir[5] == '-');
}

int socket_dir_hold(const char *path)
{
	char *dir = NULL;
	struct flock l;
	struct stat st;
	int fd;

	if (!is_named_so(path))
		return -ENOENT;
	fd = socket_dir_find(&dir, false, NULL);
	if (fd)
		return fd;
	if (!dir || !lies_in(path, dir) || lstat(path, &st) || !S_ISSOCK(st.st_mode)) {
		free(dir);
		return -ENOENT;
	}
	fd = open_served(dir, true);
	free(dir);
	if (fd < 0)
		return fd;
	/* Shared, since several may serve one socket. */
	l = lock_of(&st, F_RDLCK);
	if (fcntl(fd, F_OFD_SETLK, &l)) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}

bool socket_dir_may_ask(const char *dir, const char *file)
{
	char path[300];
	struct flock l;
	struct stat st;
	bool held;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (lstat(path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	if (st.st_mode & S_ISVTX)
		return true;
	fd = open_served(dir, false);
	if (fd < 0)
		return false;
	l = lock_of(&st, F_WRLCK);
	held = !fcntl(fd, F_OFD_GETLK, &l) && l.l_type != F_UNLCK;
	close(fd);
	return held;
}
