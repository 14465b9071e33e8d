// SPDX-License-Identifier: GPL-2.0-only
/* Finds guests by their sockets and speaks QMP with one. */
#include "vmm/control/client.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sealed_file.h"
#include "base/socket_file.h"
#include "vmm/control/socket_dir.h"

#define ANSWER_MAX (16u << 20)
#define GUESTS_MAX 4096
#define SUFFIX	   ".sock"

struct client {
	int fd;
	int timeout_ms;
	char *name;
	char *buf;
	size_t len, cap;
	json_t *events; /* received, not yet returned by client_event() */
};

/* --- finding ------------------------------------------------------------------------------- */

static int socket_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, ret;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/*
 * Returns true if a VMM listens there, also if its backlog is full (-EAGAIN); else removes the
 * leftover socket. One that waits for a VMM to be started is left alone.
 */
static bool guest_lives(const char *dir, const char *file)
{
	char path[4096];
	int fd;

	if (!socket_dir_may_ask(dir, file))
		return false;
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = socket_connect(path);
	if (fd >= 0)
		close(fd);
	else if (fd == -ECONNREFUSED)
		socket_file_remove_stale(path);
	return fd >= 0 || fd == -EAGAIN;
}

int client_list(char ***out, size_t *n, struct err *e)
{
	char **names = NULL, **more, *dir = NULL, *name;
	struct dirent *de;
	int ret = socket_dir_find(&dir, false, e);
	DIR *d;

	*n = 0;
	*out = NULL;
	if (ret)
		return ret;
	d = opendir(dir);
	while (d && (de = readdir(d)) && *n < GUESTS_MAX && !ret) {
		size_t len = strlen(de->d_name);

		if (len < sizeof(SUFFIX) ||
		    strcmp(de->d_name + len - strlen(SUFFIX), SUFFIX) != 0 ||
		    !guest_lives(dir, de->d_name))
			continue;
		name = strndup(de->d_name, len - strlen(SUFFIX));
		more = name ? realloc(names, (*n + 1) * sizeof(*names)) : NULL;
		if (more) {
			names = more;
			names[(*n)++] = name;
		} else {
			free(name);
			ret = err_set(e, -ENOMEM, "out of memory");
		}
	}
	if (d)
		closedir(d);
	free(dir);
	if (ret) {
		client_list_free(names, *n);
		return ret;
	}
	if (*n)
		qsort(names, *n, sizeof(*names), compare_names);
	*out = names;
	return 0;
}

void client_list_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* Finds the name of the only guest that runs. */
static int guest_find_only(char **out, struct err *e)
{
	char **names;
	size_t n;
	int ret = client_list(&names, &n, e);

	if (ret)
		return ret;
	if (n == 1) {
		*out = names[0];
		free(names);
		return 0;
	}
	if (!n)
		ret = err_set(e, -ENOENT,
			      "no guest runs; start one with `vmm run`, see `vmm run --help`");
	else
		ret = err_set(e, -ENOTUNIQ, "%zu guests run (%s, %s%s); say which, see `vmm ps`", n,
			      names[0], names[1], n > 2 ? ", ..." : "");
	client_list_free(names, n);
	return ret;
}

int client_dial(struct client **out, const char *name, struct err *e)
{
	struct client *c = calloc(1, sizeof(*c));
	char *path = NULL;
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->fd = -1;
	c->timeout_ms = CLIENT_TIMEOUT_MS;
	c->events = json_array();
	if (!name)
		ret = guest_find_only(&c->name, e);
	else
		ret = (c->name = strdup(name)) ? 0 : err_set(e, -ENOMEM, "out of memory");
	if (!ret)
		ret = socket_dir_path(&path, c->name, false, e);
	if (!ret) {
		c->fd = socket_connect(path);
		ret = c->fd < 0 ? c->fd : 0;
		if (ret == -ECONNREFUSED || ret == -ENOENT) {
			if (ret == -ECONNREFUSED)
				socket_file_remove_stale(path);
			ret = err_set(e, -ENOENT,
				      "no guest \"%s\" runs; `vmm ps` shows which ones do",
				      c->name);
		} else if (ret == -EAGAIN) {
			ret = err_set(e, -ETIMEDOUT,
				      "guest %s: its vmm hangs, and its socket takes no more; "
				      "`pgrep -af 'vmm run'` shows its process, to be killed",
				      c->name);
		} else if (ret) {
			err_set(e, ret, "guest %s: %s (%s)", c->name, strerror(-ret), path);
		}
	}
	free(path);
	if (ret) {
		client_close(c);
		return ret;
	}
	*out = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	json_decref(c->events);
	free(c->name);
	free(c->buf);
	free(c);
}

const char *client_name(const struct client *c)
{
	return c->name;
}

pid_t client_pid(const struct client *c)
{
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);

	return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ? 0 : cred.pid;
}

bool client_connected(const struct client *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };

	return poll(&p, 1, 0) >= 0 && !(p.revents & (POLLHUP | POLLERR));
}

/* --- talking ------------------------------------------------------------------------------- */

/* Waits until @fd is ready for @what. 0 or -ETIMEDOUT; @until -1: for ever. */
static int wait_until(int fd, short what, s64 until)
{
	struct pollfd p = { .fd = fd, .events = what };

	for (;;) {
		s64 left = until < 0 ? -1 : until - now_ms();
		int n = poll(&p, 1, until < 0 ? -1 : left > 0 ? (int)left : 0);

		if (n > 0)
			return 0;
		if (!n)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static s64 deadline_ms(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

/* Sends @text; @pass >= 0: that descriptor goes with the first byte. */
static int client_send_all(struct client *c, const char *text, size_t len, int pass)
{
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(__alignof__(struct cmsghdr))));
	s64 until = deadline_ms(c->timeout_ms);
	size_t done = 0;
	int ret = 0;

	while (!ret && done < len) {
		struct iovec iov = { (char *)(uintptr_t)text + done, len - done };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (pass >= 0 && !done) {
			struct cmsghdr *h;

			memset(room, 0, sizeof(room));
			msg.msg_control = room;
			msg.msg_controllen = sizeof(room);
			h = CMSG_FIRSTHDR(&msg);
			h->cmsg_level = SOL_SOCKET;
			h->cmsg_type = SCM_RIGHTS;
			h->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(h), &pass, sizeof(int));
		}
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN)
			ret = wait_until(c->fd, POLLOUT, until);
		else if (n < 0 && errno != EINTR)
			ret = -ENOTCONN;
	}
	return ret;
}

/* Returns the next whole object of the buffer, or NULL. */
static json_t *next_object(struct client *c)
{
	json_error_t error;
	size_t skip, used;
	json_t *o;

	if (!c->len)
		return NULL;
	skip = strspn(c->buf, " \t\r\n");
	o = json_loadb(c->buf + skip, c->len - skip, JSON_DISABLE_EOF_CHECK, &error);
	if (!o)
		return NULL;
	used = skip + (size_t)error.position;
	memmove(c->buf, c->buf + used, c->len - used);
	c->len -= used;
	c->buf[c->len] = 0;
	return o;
}

static int client_read_more(struct client *c, s64 until)
{
	ssize_t n;
	int ret;

	if (c->len + 65536 > c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 131072;
		char *bigger = cap <= ANSWER_MAX ? realloc(c->buf, cap) : NULL;

		if (!bigger)
			return -EMSGSIZE;
		c->buf = bigger;
		c->cap = cap;
	}
	for (;;) {
		n = recv(c->fd, c->buf + c->len, c->cap - c->len - 1, 0);
		if (n > 0) {
			c->len += (size_t)n;
			c->buf[c->len] = 0;
			return 0;
		}
		if (n < 0 && errno == EAGAIN) {
			ret = wait_until(c->fd, POLLIN, until);
			if (ret)
				return ret;
		} else if (!n || errno != EINTR) {
			return -ENOTCONN;
		}
	}
}

/* Receives the next object that is an answer (events are put aside) or, with @event, an event. */
static int client_receive(struct client *c, bool event, s64 until, json_t **out)
{
	for (bool first = true;; first = false) {
		json_t *o = next_object(c);
		bool is_event;
		int ret;

		if (!o) {
			/* A VMM that sends events without end has not answered, either. */
			if (!first && until >= 0 && now_ms() > until)
				return -ETIMEDOUT;
			ret = client_read_more(c, until);
			if (ret)
				return ret;
			continue;
		}
		is_event = json_object_get(o, "event");
		if (event ? is_event
			  : json_object_get(o, "return") || json_object_get(o, "error")) {
			*out = o;
			return 0;
		}
		if (is_event && json_array_size(c->events) < 1000)
			json_array_append(c->events, o);
		json_decref(o);
	}
}

static int client_explain(const struct client *c, int ret, struct err *e)
{
	if (ret == -ETIMEDOUT)
		return err_set(e, ret,
			       "guest %s: its vmm does not answer; `vmm kill %s` ends it, without "
			       "care for its disks",
			       c->name, c->name);
	if (ret == -ENOTCONN)
		return err_set(e, ret, "guest %s ended before it answered", c->name);
	return err_set(e, ret, "guest %s: %s", c->name, strerror(-ret));
}

static int client_call_with(struct client *c, const char *command, json_t *args, int pass,
			    json_t **out, struct err *e)
{
	json_t *o = json_pack("{s:s, s:o*}", "execute", command, "arguments", args);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	const char *desc;
	int ret = text ? client_send_all(c, text, strlen(text), pass) : -ENOMEM;

	json_decref(o);
	free(text);
	o = NULL;
	if (!ret)
		ret = client_receive(c, false, deadline_ms(c->timeout_ms), &o);
	if (ret)
		return client_explain(c, ret, e);
	if (json_object_get(o, "error")) {
		const json_t *error = json_object_get(o, "error");
		const char *class = json_string_value(json_object_get(error, "class"));

		desc = json_string_value(json_object_get(error, "desc"));
		if (class && !strcmp(class, "CommandNotFound") && !strncmp(command, "umbra-", 6))
			ret = err_set(e, -EREMOTEIO,
				      "guest %s was started without sessions; it has some with "
				      "`vmm run --policy FILE` or `--driver ...`",
				      c->name);
		else
			ret = err_set(e, -EREMOTEIO, "%s",
				      desc ? desc : "the guest refused without a reason");
	} else if (out) {
		*out = json_incref(json_object_get(o, "return"));
	}
	json_decref(o);
	return ret;
}

int client_call(struct client *c, const char *command, json_t *args, json_t **out, struct err *e)
{
	return client_call_with(c, command, args, -1, out, e);
}

int client_give_fd(struct client *c, const char *fdname, int fd, struct err *e)
{
	return client_call_with(c, "getfd", json_pack("{s:s}", "fdname", fdname), fd, NULL, e);
}

int client_event(struct client *c, int timeout_ms, json_t **out)
{
	if (json_array_size(c->events)) {
		*out = json_incref(json_array_get(c->events, 0));
		json_array_remove(c->events, 0);
		return 0;
	}
	return client_receive(c, true, deadline_ms(timeout_ms), out);
}

int client_open(struct client **out, const char *name, int timeout_ms, struct err *e)
{
	struct client *c = NULL;
	int ret = client_dial(&c, name, e);

	if (ret || !c)
		return ret ? ret : -ENOMEM;
	/* The greeting has a limit also if the commands have none. */
	c->timeout_ms = timeout_ms < 0 ? CLIENT_TIMEOUT_MS : timeout_ms;
	ret = client_call(c, "qmp_capabilities", NULL, NULL, e);
	if (ret) {
		client_close(c);
		return ret;
	}
	c->timeout_ms = timeout_ms;
	*out = c;
	return 0;
}

int client_call_once_file(const char *name, const char *command, json_t *args,
			  const struct client_file *file, json_t **out, struct err *e)
{
	struct client *c = NULL;
	int fd = sealed_file_copy(file->fd, file->path, CLIENT_FILE_MAX, e);
	int ret = fd < 0 ? fd : client_open(&c, name, -1, e);

	if (!ret)
		ret = client_give_fd(c, "file", fd, e);
	if (fd >= 0)
		close(fd);
	if (ret) {
		json_decref(args);
	} else {
		json_object_set_new(args, "path", json_string(file->path));
		json_object_set_new(args, "fd", json_string("file"));
		ret = client_call(c, command, args, out, e);
	}
	client_close(c);
	return ret;
}

int client_call_once(const char *name, const char *command, json_t *args, json_t **out,
		     struct err *e)
{
	struct client *c = NULL;
	int ret = client_open(&c, name, -1, e);

	if (ret)
		json_decref(args);
	else
		ret = client_call(c, command, args, out, e);
	client_close(c);
	return ret;
}
