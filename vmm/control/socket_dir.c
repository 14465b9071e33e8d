// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the control sockets are, and what becomes of those that a killed VMM left there.
 *
 * A leftover is a socket to which nobody can connect. So is, for a moment, one that was bound and
 * does not listen yet. Two things keep a cleaner from removing that one: it only takes what is older
 * than STALE_NS, and whoever removes holds a lock on the directory from the look to the removal, so
 * that what was looked at is what goes (a creator that found the path free needs no lock: it was not
 * there to be looked at).
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

#include "vmm/control/control.h"

#define STALE_NS 1000000000LL

bool control_name_ok(const char *name)
{
	size_t n =
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n && !name[n] && n <= CONTROL_NAME_MAX && *name != '.';
}

int control_dir(char **out, bool create, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	uid_t uid = (uid_t)getauxval(AT_EUID); /* no system call */
	struct stat st;
	char *dir = NULL;
	int n, ret;

	if (uid && (!runtime || *runtime != '/'))
		n = asprintf(&dir, "/tmp/umbra-%u", uid);
	else
		n = asprintf(&dir, "%s/umbra", uid ? runtime : "/run");
	if (n < 0)
		return err_set(e, -ENOMEM, "out of memory");
	ret = lstat(dir, &st) ? -errno : 0;
	if (ret == -ENOENT && create) {
		ret = mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;
		if (!ret)
			ret = lstat(dir, &st) ? -errno : 0;
	} else if (ret == -ENOENT) {
		*out = dir;
		return 0;
	}
	if (ret) {
		err_set(e, ret, "directory of the control sockets %s: %s", dir, strerror(-ret));
		free(dir);
		return ret;
	}
	/* A directory that somebody else prepared could hold their sockets. */
	if (!S_ISDIR(st.st_mode) || st.st_uid != uid || st.st_mode & 022) {
		err_set(e, -EPERM, "%s is not a directory of yours alone; remove it", dir);
		free(dir);
		return -EPERM;
	}
	*out = dir;
	return 0;
}

int control_path(char **out, const char *name, bool create_dir, struct err *e)
{
	char *dir = NULL;
	int ret;

	if (!control_name_ok(name))
		return err_set(
			e, -EINVAL,
			"guest name \"%s\": want up to %d letters, digits, '.', '_' and '-', "
			"not beginning with a dot",
			name, CONTROL_NAME_MAX);
	ret = control_dir(&dir, create_dir, e);
	if (ret)
		return ret;
	ret = asprintf(out, "%s/%s.sock", dir, name) < 0 ? err_set(e, -ENOMEM, "out of memory") : 0;
	free(dir);
	return ret;
}

/* A lock on the directory that holds @path; -errno. */
static int lock_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = !slash	   ? strdup(".")
		    : slash > path ? strndup(path, (size_t)(slash - path))
				   : strdup("/");
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	free(dir);
	if (fd >= 0 && flock(fd, LOCK_EX)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool is_old(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st->st_ctim.tv_sec) * 1000000000LL + now.tv_nsec -
		       st->st_ctim.tv_nsec >
	       STALE_NS;
}

int control_remove_stale(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, lock, ret = 0;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	lock = lock_dir(path);
	/* A full backlog must not make us wait: then it is alive. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (lock < 0 || fd < 0 || lstat(path, &st))
		ret = -errno;
	else if (!S_ISSOCK(st.st_mode))
		ret = -EADDRINUSE;
	else if (!connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) || errno == EAGAIN)
		ret = -EADDRINUSE;
	else if (errno != ECONNREFUSED)
		ret = -errno;
	else if (!is_old(&st))
		ret = -EBUSY;
	else
		ret = unlink(path) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (lock >= 0)
		close(lock);
	return ret;
}
