// SPDX-License-Identifier: GPL-2.0-only
/* Keeps the log and the exit code of guests that ran in the background. */
#include "vmm/control/ended.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "vmm/control/socket_dir.h"

#define HOUR_S	 3600
#define DAY_S	 86400
#define OPENING	 (O_CLOEXEC | O_NOFOLLOW)
#define LOCK_MS	 500
#define NEW_NAME 48 /* ".PID-TIME.log" */

struct ended {
	int dir, log, end;
	bool named;
	char log_file[NEW_NAME], end_file[NEW_NAME]; /* until ended_set_name() */
};

/* Opens the directory, which is made if @create; returns the descriptor. -ENOENT: there is none. */
static int ended_dir(bool create, struct err *e)
{
	char *dir = NULL, path[300];
	int fd, ret = socket_dir_find(&dir, create, e);
	struct stat st;

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/ended", dir);
	free(dir);
	if (create && mkdir(path, 0700) && errno != EEXIST)
		return err_set(e, -errno, "cannot make %s: %s", path, strerror(errno));
	fd = open(path, O_DIRECTORY | OPENING);
	if (fd < 0)
		return err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	if (fstat(fd, &st) || st.st_uid != geteuid() || st.st_mode & 022) {
		close(fd);
		return err_set(e, -EPERM, "%s is not a directory of yours alone; remove it", path);
	}
	return fd;
}

/* Reads NAME.end, which is open as @fd. -EINVAL: it is no regular file. */
static int ended_read_fd(int fd, const char *name, struct ended_guest *g)
{
	char text[200];
	struct stat st;
	json_t *o;
	ssize_t n;

	memset(g, 0, sizeof(*g));
	snprintf(g->name, sizeof(g->name), "%s", name);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return -EINVAL;
	g->running = flock(fd, LOCK_SH | LOCK_NB) != 0;
	g->time = st.st_mtime;
	n = pread(fd, text, sizeof(text), 0);
	o = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
	if (!g->running && json_is_integer(json_object_get(o, "code"))) {
		g->known = true;
		g->code = (int)json_integer_value(json_object_get(o, "code"));
		g->time = json_integer_value(json_object_get(o, "time"));
	}
	json_decref(o);
	return 0;
}

/* Reads DIR/NAME.end. -errno: it is not there. */
static int ended_read(int dir, const char *name, struct ended_guest *g)
{
	char file[80];
	int fd, ret;

	snprintf(file, sizeof(file), "%.70s.end", name);
	fd = openat(dir, file, O_RDONLY | O_NONBLOCK | OPENING);
	if (fd < 0)
		return -errno;
	ret = ended_read_fd(fd, name, g);
	close(fd);
	return ret;
}

static int by_time(const void *a, const void *b)
{
	const struct ended_guest *x = a, *y = b;

	return x->time < y->time ? -1 : x->time > y->time ? 1 : strcmp(x->name, y->name);
}

/* Reads all of the directory @fd, sorted: guests, or with @unnamed those that have no name yet. */
static int ended_read_all(int fd, bool unnamed, struct ended_guest **out, size_t *n)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct ended_guest *list = NULL, *more;
	struct dirent *entry;
	int ret = 0;

	*n = 0;
	if (!d) {
		ret = -errno;
		if (copy >= 0)
			close(copy);
		return ret;
	}
	rewinddir(d);
	while (!ret && (entry = readdir(d))) {
		size_t len = strlen(entry->d_name);
		char name[256];

		if (len < 5 || strcmp(entry->d_name + len - 4, ".end") != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)len - 4, entry->d_name);
		if (unnamed ? *name != '.' : !socket_dir_name_ok(name))
			continue;
		more = reallocarray(list, *n + 1, sizeof(*list));
		if (!more) {
			ret = -ENOMEM;
			break;
		}
		list = more;
		*n += !ended_read(fd, name, &list[*n]);
	}
	closedir(d);
	if (ret) {
		free(list);
		return ret;
	}
	if (list)
		qsort(list, *n, sizeof(*list), by_time);
	*out = list;
	return 0;
}

static void ended_remove(int dir, const char *name)
{
	char file[80];

	snprintf(file, sizeof(file), "%s.log", name);
	unlinkat(dir, file, 0);
	snprintf(file, sizeof(file), "%s.end", name);
	unlinkat(dir, file, 0);
}

/*
 * Removes what guests have left all of whose processes were killed before they had a name. A
 * younger file may be one that is not locked yet.
 */
static void ended_prune_unnamed(int dir)
{
	struct ended_guest *list = NULL;
	size_t n;

	if (ended_read_all(dir, true, &list, &n))
		return;
	for (size_t i = 0; i < n; i++)
		if (!list[i].running && list[i].time < time(NULL) - HOUR_S)
			ended_remove(dir, list[i].name);
	free(list);
}

/*
 * Locks the directory, within @ms, against a guest that takes a name while what an earlier one of
 * that name has left is removed. False: somebody keeps it.
 */
static bool ended_lock(int dir, s64 ms)
{
	static const struct timespec nap = { .tv_nsec = 10000000 };
	s64 until = now_ms() + ms;

	while (flock(dir, LOCK_EX | LOCK_NB)) {
		if (now_ms() >= until)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

/* Removes guests beyond ENDED_DAYS and ENDED_MAX, with the directory's lock. */
static void ended_prune_locked(int dir)
{
	struct ended_guest *list = NULL;
	size_t n, ended = 0;

	ended_prune_unnamed(dir);
	if (ended_read_all(dir, false, &list, &n))
		return;
	for (size_t i = 0; i < n; i++)
		ended += !list[i].running;
	for (size_t i = 0; i < n; i++) {
		if (list[i].running ||
		    (ended <= ENDED_MAX && list[i].time > time(NULL) - ENDED_DAYS * DAY_S))
			continue;
		ended_remove(dir, list[i].name);
		ended--;
	}
	free(list);
}

static void ended_prune(int dir)
{
	if (!ended_lock(dir, 0))
		return; /* another process does the same, or the next one will */
	ended_prune_locked(dir);
	flock(dir, LOCK_UN);
}

/*
 * Opens a new file of the directory, for now ".PID-TIME.SUFFIX": the guest may outlive the process
 * that began, and then another one may have its number. Returns the descriptor or -errno.
 */
static int ended_new_file(int dir, char name[NEW_NAME], const char *suffix)
{
	int fd;

	snprintf(name, NEW_NAME, ".%d-%llx.%s", (int)getpid(), (unsigned long long)now_ns(),
		 suffix);
	fd = openat(dir, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | OPENING, 0600);
	return fd < 0 ? -errno : fd;
}

int ended_begin(struct ended **out, struct err *e)
{
	struct ended *n = calloc(1, sizeof(*n));
	int ret;

	if (!n)
		return err_set(e, -ENOMEM, "out of memory");
	n->log = n->end = -1;
	n->dir = ended_dir(true, e);
	if (n->dir < 0) {
		ret = n->dir;
		goto fail;
	}
	ended_prune(n->dir);
	n->log = ended_new_file(n->dir, n->log_file, "log");
	n->end = n->log < 0 ? n->log : ended_new_file(n->dir, n->end_file, "end");
	ret = n->end < 0 ? n->end : flock(n->end, LOCK_EX | LOCK_NB) ? -errno : 0;
	if (ret) {
		err_set(e, ret, "cannot keep a log of the guest: %s", strerror(-ret));
		goto fail;
	}
	*out = n;
	return 0;
fail:
	ended_free(n, true);
	return ret;
}

int ended_log(const struct ended *n)
{
	return n->log;
}

int ended_set_name(struct ended *n, const char *name, struct err *e)
{
	char log[80], end[80];
	bool locked;
	int ret = 0;

	/* The guest's process may not be what it was any more when it says its name. */
	if (!socket_dir_name_ok(name))
		return err_set(e, -EINVAL, "cannot keep a log of the guest: its name is none");
	snprintf(log, sizeof(log), "%s.log", name);
	snprintf(end, sizeof(end), "%s.end", name);
	locked = ended_lock(n->dir, LOCK_MS);
	if (renameat(n->dir, n->log_file, n->dir, log) ||
	    renameat(n->dir, n->end_file, n->dir, end))
		ret = err_set(e, -errno, "cannot keep a log of the guest: %s", strerror(errno));
	n->named = !ret;
	if (locked)
		flock(n->dir, LOCK_UN);
	return ret;
}

void ended_set_code(struct ended *n, int code)
{
	char text[100];
	int len = snprintf(text, sizeof(text), "{ \"code\": %d, \"time\": %lld }\n", code,
			   (long long)time(NULL));

	file_write(n->end, text, (size_t)len);
}

void ended_free(struct ended *n, bool discard)
{
	if (!n)
		return;
	if (discard && !n->named && n->dir >= 0) {
		if (n->log >= 0)
			unlinkat(n->dir, n->log_file, 0);
		if (n->end >= 0)
			unlinkat(n->dir, n->end_file, 0);
	}
	if (n->log >= 0)
		close(n->log);
	if (n->end >= 0)
		close(n->end);
	if (n->dir >= 0)
		close(n->dir);
	free(n);
}

int ended_list(struct ended_guest **out, size_t *n, struct err *e)
{
	int dir = ended_dir(false, e), ret;

	*out = NULL;
	*n = 0;
	if (dir == -ENOENT)
		return 0;
	if (dir < 0)
		return dir;
	ended_prune(dir);
	ret = ended_read_all(dir, false, out, n);
	close(dir);
	return ret ? err_set(e, ret, "cannot list the guests that have ended: %s", strerror(-ret))
		   : 0;
}

/* Opens a file of guest @name; returns the descriptor, or -errno with a line. */
static int ended_open(const char *name, const char *suffix, int *dir, struct err *e)
{
	char file[80];
	int fd = -ENOENT;

	*dir = socket_dir_name_ok(name) ? ended_dir(false, e) : -ENOENT;
	if (*dir >= 0) {
		snprintf(file, sizeof(file), "%s.%s", name, suffix);
		fd = openat(*dir, file, O_RDONLY | O_NONBLOCK | OPENING);
		if (fd < 0)
			fd = -errno;
	} else if (*dir != -ENOENT) {
		return *dir;
	}
	if (fd >= 0)
		return fd;
	if (*dir >= 0)
		close(*dir);
	*dir = -1;
	return err_set(e, fd,
		       "no guest \"%s\" was started by `vmm run --detach`, or it ended long ago; "
		       "`vmm ps --all` lists those that are known",
		       name);
}

int ended_wait(const char *name, struct ended_guest *out, struct err *e)
{
	int dir, fd = ended_open(name, "end", &dir, e), ret = 0;

	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_SH) && errno == EINTR)
		;
	/* By the file that was waited for: the name may be another guest's by now. */
	ret = ended_read_fd(fd, name, out);
	close(fd);
	close(dir);
	return ret ? err_set(e, ret, "guest %s: %s", name, strerror(-ret)) : 0;
}

int ended_open_log(const char *name, struct err *e)
{
	int dir, fd = ended_open(name, "log", &dir, e);

	if (fd >= 0)
		close(dir);
	return fd;
}
