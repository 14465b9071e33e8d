// SPDX-License-Identifier: GPL-2.0-only
/* Identifies files of UNIX sockets, and removes own ones and leftovers. */
#include "base/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define STALE_NS  1000000000LL
#define SECOND_NS 1000000000LL
#define LOCK_MS	  500

/* Locks the directory @fd, as soon as nobody else has it; -ETIMEDOUT: somebody does not let go. */
static int socket_dir_wait(int fd)
{
	static const struct timespec nap = { .tv_nsec = 10000000 };
	s64 until = now_ms() + LOCK_MS;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (now_ms() >= until)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
	}
	return 0;
}

/* Opens and locks the directory that holds @path; returns its descriptor or -errno. */
static int socket_dir_lock(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = !slash	   ? strdup(".")
		    : slash > path ? strndup(path, (size_t)(slash - path))
				   : strdup("/");
	int fd, ret;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = fd < 0 ? -errno : socket_dir_wait(fd);
	free(dir);
	if (ret && fd >= 0)
		close(fd);
	return ret ? ret : fd;
}

static s64 stat_made_ns(const struct stat *st)
{
	/* A socket's file is never written to, so the time of its last change is that of bind(). */
	return (s64)st->st_mtim.tv_sec * SECOND_NS + st->st_mtim.tv_nsec;
}

static void id_fill(struct socket_id *out, const struct stat *st)
{
	out->dev = st->st_dev;
	out->ino = st->st_ino;
	out->made_ns = stat_made_ns(st);
}

int socket_file_id(const char *path, struct socket_id *out)
{
	struct stat st;

	if (lstat(path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	id_fill(out, &st);
	return 0;
}

int unused_file_id(const char *path, struct socket_id *out)
{
	struct stat st;

	if (lstat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size)
		return -EEXIST;
	id_fill(out, &st);
	return 0;
}

static int file_remove_if(const char *path, const struct socket_id *id,
			  int (*find_id)(const char *path, struct socket_id *out))
{
	struct socket_id now = { 0 };
	int lock = socket_dir_lock(path), ret;

	if (lock < 0)
		return lock;
	ret = find_id(path, &now);
	if (ret == -ENOTSOCK || ret == -EEXIST ||
	    (!ret && (now.dev != id->dev || now.ino != id->ino ||
		      (id->made_ns && now.made_ns != id->made_ns))))
		ret = -ESTALE;
	if (!ret && unlink(path))
		ret = -errno;
	close(lock);
	return ret;
}

int socket_file_remove(const char *path, const struct socket_id *id)
{
	return file_remove_if(path, id, socket_file_id);
}

int unused_file_remove(const char *path, const struct socket_id *id)
{
	return file_remove_if(path, id, unused_file_id);
}

static bool socket_file_is_old(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (s64)now.tv_sec * SECOND_NS + now.tv_nsec -
		       ((s64)st->st_ctim.tv_sec * SECOND_NS + st->st_ctim.tv_nsec) >
	       STALE_NS;
}

int socket_file_remove_stale(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, lock, ret = 0;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	lock = socket_dir_lock(path);
	if (lock < 0)
		return lock;
	/*
	 * The socket does not block: a full backlog would make connect() wait, and shows that a
	 * process listens.
	 */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || lstat(path, &st))
		ret = -errno;
	else if (!S_ISSOCK(st.st_mode))
		ret = -EADDRINUSE;
	else if (!connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) || errno == EAGAIN)
		ret = -EADDRINUSE;
	else if (errno != ECONNREFUSED)
		ret = -errno;
	else if (!socket_file_is_old(&st))
		ret = -EBUSY;
	else
		ret = unlink(path) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	close(lock);
	return ret;
}
