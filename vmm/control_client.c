// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/control.h"

#define ANSWER_MAX (16u << 20)

int control_dir(char **out, bool create, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	char *dir = NULL;
	int n;

	if (geteuid() && (!runtime || *runtime != '/'))
		n = asprintf(&dir, "/tmp/umbra-%u", geteuid());
	else
		n = asprintf(&dir, "%s/umbra", geteuid() ? runtime : "/run");
	if (n < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (create && mkdir(dir, 0700) && errno != EEXIST) {
		err_set(e, -errno, "directory of the control sockets %s: %s", dir, strerror(errno));
		free(dir);
		return -EACCES;
	}
	/* A directory that somebody else prepared could hold their sockets. */
	if (!lstat(dir, &st) &&
	    (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)) {
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

	if (!*name || strchr(name, '/') || *name == '.')
		return err_set(
			e, -EINVAL,
			"guest name \"%s\": must not be empty, begin with a dot or contain /",
			name);
	ret = control_dir(&dir, create_dir, e);
	if (ret)
		return ret;
	ret = asprintf(out, "%s/%s.sock", dir, name) < 0 ? -ENOMEM : 0;
	free(dir);
	return ret;
}

static int try_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, ret;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* Connect to the only guest that runs. */
static int connect_only(struct err *e)
{
	char *dir = NULL, path[4096];
	struct dirent *de;
	int ret, fd = -1, one;
	DIR *d;

	ret = control_dir(&dir, false, e);
	if (ret || !dir)
		return ret;
	d = opendir(dir);
	while (d && (de = readdir(d))) {
		size_t len = strlen(de->d_name);

		if (len < 6 || strcmp(de->d_name + len - 5, ".sock") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
		one = try_connect(path);
		if (one < 0)
			continue;
		if (fd >= 0) {
			close(one);
			close(fd);
			fd = -ENOTUNIQ;
			err_set(e, fd, "more than one guest runs; say which with --guest NAME");
			break;
		}
		fd = one;
	}
	if (fd == -1)
		fd = err_set(e, -ENOENT,
			     "no guest with sessions runs; start one: vmm run --policy FILE ...");
	if (d)
		closedir(d);
	free(dir);
	return fd;
}

static int connect_to(const char *name, struct err *e)
{
	char *path = NULL;
	int ret, fd;

	if (!name)
		return connect_only(e);
	ret = control_path(&path, name, false, e);
	if (ret || !path)
		return ret;
	fd = try_connect(path);
	if (fd < 0)
		err_set(e, fd, "guest %s: %s (%s)", name,
			fd == -ENOENT || fd == -ECONNREFUSED ? "does not run" : strerror(-fd),
			path);
	free(path);
	return fd;
}

static int send_all(int fd, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0, done = 0;
	int ret = text ? 0 : -ENOMEM;

	json_decref(o);
	while (!ret && done < len) {
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			ret = -EPIPE;
		else
			done += (size_t)n;
	}
	free(text);
	return ret;
}

struct stream {
	int fd;
	char *buf;
	size_t len, cap;
};

/* Next object that is an answer: greeting and events are passed over. */
static json_t *receive(struct stream *s)
{
	for (;;) {
		json_error_t error;
		json_t *o;
		ssize_t n;

		o = s->len ? json_loadb(s->buf, s->len, JSON_DISABLE_EOF_CHECK, &error) : NULL;
		if (o) {
			size_t used = (size_t)error.position;

			memmove(s->buf, s->buf + used, s->len - used);
			s->len -= used;
			if (json_object_get(o, "return") || json_object_get(o, "error"))
				return o;
			json_decref(o);
			continue;
		}
		if (s->len && s->len == strspn(s->buf, "\r\n"))
			s->len = 0;
		if (s->len + 65536 > s->cap) {
			size_t cap = s->cap ? s->cap * 2 : 131072;
			char *bigger = cap <= ANSWER_MAX ? realloc(s->buf, cap) : NULL;

			if (!bigger)
				return NULL;
			s->buf = bigger;
			s->cap = cap;
		}
		n = recv(s->fd, s->buf + s->len, s->cap - s->len - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		s->len += (size_t)n;
		s->buf[s->len] = 0;
	}
}

int control_call(const char *name, const char *command, json_t *args, json_t **out, struct err *e)
{
	struct stream s = { .fd = connect_to(name, e) };
	const char *desc;
	json_t *o = NULL;
	int ret = s.fd;

	if (ret < 0) {
		json_decref(args);
		return ret;
	}
	ret = send_all(s.fd, json_pack("{s:s}", "execute", "qmp_capabilities"));
	if (!ret) {
		o = receive(&s);
		json_decref(o);
		ret = o ? 0 : -EPIPE;
		o = NULL;
	}
	if (!ret) {
		ret = send_all(s.fd,
			       json_pack("{s:s, s:O}", "execute", command, "arguments", args));
		o = ret ? NULL : receive(&s);
		if (!o)
			ret = -EPIPE;
	}
	if (ret) {
		err_set(e, ret, "the guest ended before it answered");
		goto out;
	}
	desc = json_string_value(json_object_get(json_object_get(o, "error"), "desc"));
	if (json_object_get(o, "error")) {
		ret = err_set(e, -EREMOTEIO, "%s",
			      desc ? desc : "the guest refused without a reason");
		goto out;
	}
	*out = json_incref(json_object_get(o, "return"));
out:
	json_decref(o);
	json_decref(args);
	free(s.buf);
	close(s.fd);
	return ret;
}
