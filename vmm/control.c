// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/control.h"
#include "vmm/loop.h"

#define CLIENTS_MAX 16
#define INPUT_MAX   (1u << 20)
#define OUTPUT_MAX  (8u << 20)

struct client {
	struct control *c;
	int fd;
	bool negotiated;
	char *in;
	size_t in_len;
	char *out;
	size_t out_len, out_done;
	struct control_request *requests; /* not answered yet */
};

struct control_request {
	struct control_request *next;
	struct client *client; /* NULL: gone */
	json_t *id;
};

struct control {
	struct loop *loop;
	const struct control_command *commands;
	void *arg;
	char *path;
	int fd;
	struct client *clients[CLIENTS_MAX];
};

static void client_free(struct client *cl)
{
	struct control *c = cl->c;
	struct control_request *r;
	size_t i;

	for (r = cl->requests; r; r = r->next)
		r->client = NULL;
	for (i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i] == cl)
			c->clients[i] = NULL;
	loop_del(c->loop, cl->fd);
	close(cl->fd);
	free(cl->in);
	free(cl->out);
	free(cl);
}

/* 0, or -errno: the client must go. */
static int flush(struct client *cl)
{
	while (cl->out_done < cl->out_len) {
		ssize_t n = send(cl->fd, cl->out + cl->out_done, cl->out_len - cl->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return loop_mod(cl->c->loop, cl->fd, EPOLLIN | EPOLLOUT);
		if (n <= 0)
			return -EPIPE;
		cl->out_done += (size_t)n;
	}
	cl->out_len = cl->out_done = 0;
	return loop_mod(cl->c->loop, cl->fd, EPOLLIN);
}

/* Steals @o. */
static int say(struct client *cl, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL, *bigger;
	size_t len = text ? strlen(text) : 0;
	int ret = -ENOMEM;

	json_decref(o);
	if (!text)
		return -ENOMEM;
	if (cl->out_len + len + 2 > OUTPUT_MAX) {
		ret = -EMSGSIZE;
		goto out;
	}
	bigger = realloc(cl->out, cl->out_len + len + 2);
	if (!bigger)
		goto out;
	cl->out = bigger;
	memcpy(cl->out + cl->out_len, text, len);
	memcpy(cl->out + cl->out_len + len, "\r\n", 2);
	cl->out_len += len + 2;
	ret = flush(cl);
out:
	free(text);
	return ret;
}

static int say_error(struct client *cl, const char *class, const char *line, json_t *id)
{
	json_t *o = json_pack("{s:{s:s, s:s}}", "error", "class", class, "desc", line);

	if (o && id)
		json_object_set(o, "id", id);
	return say(cl, o);
}

static void request_free(struct control_request *r)
{
	struct control_request **at;

	if (r->client) {
		for (at = &r->client->requests; *at && *at != r; at = &(*at)->next)
			;
		if (*at)
			*at = r->next;
	}
	json_decref(r->id);
	free(r);
}

void control_reply(struct control_request *r, json_t *value)
{
	struct client *cl = r->client;
	json_t *o;

	if (!value)
		value = json_object();
	if (cl) {
		o = json_pack("{s:O}", "return", value);
		if (o && r->id)
			json_object_set(o, "id", r->id);
		if (say(cl, o))
			shutdown(cl->fd, SHUT_RDWR); /* its event frees it */
	}
	json_decref(value);
	request_free(r);
}

void control_fail(struct control_request *r, const char *line)
{
	if (r->client && say_error(r->client, "GenericError", line, r->id))
		shutdown(r->client->fd, SHUT_RDWR);
	request_free(r);
}

/* One command; -errno: the client must go. */
static int execute(struct client *cl, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "execute"));
	json_t *id = json_object_get(o, "id"), *args = json_object_get(o, "arguments");
	const struct control_command *c;
	struct control_request *r;
	json_t *none;

	if (!name)
		return say_error(cl, "GenericError", "QMP input lacks member 'execute'", id);
	if (args && !json_is_object(args))
		return say_error(cl, "GenericError",
				 "QMP input member 'arguments' must be an object", id);
	if (!strcmp(name, "qmp_capabilities")) {
		json_t *done = json_pack("{s:{}}", "return");

		cl->negotiated = true;
		if (done && id)
			json_object_set(done, "id", id);
		return say(cl, done);
	}
	if (!cl->negotiated)
		return say_error(cl, "CommandNotFound",
				 "Expecting capabilities negotiation with 'qmp_capabilities'", id);
	for (c = cl->c->commands; c->name && strcmp(c->name, name) != 0; c++)
		;
	if (!c->name) {
		char line[128];

		snprintf(line, sizeof(line), "The command %.64s has not been found", name);
		return say_error(cl, "CommandNotFound", line, id);
	}
	r = calloc(1, sizeof(*r));
	none = json_object();
	if (!r || !none) {
		free(r);
		json_decref(none);
		return -ENOMEM;
	}
	r->client = cl;
	r->id = json_incref(id);
	r->next = cl->requests;
	cl->requests = r;
	c->fn(cl->c->arg, r, args ? args : none);
	json_decref(none);
	return 0;
}

/* Take whole objects off the input. QMP has no framing but the JSON itself. */
static int parse(struct client *cl)
{
	json_error_t error;
	json_t *o;
	size_t skip, left;
	int ret;

	for (;;) {
		skip = strspn(cl->in, " \t\r\n");
		o = json_loadb(cl->in + skip, cl->in_len - skip, JSON_DISABLE_EOF_CHECK, &error);
		if (!o) {
			if (cl->in_len == skip ||
			    json_error_code(&error) == json_error_premature_end_of_input)
				return cl->in_len < INPUT_MAX ? 0 : -EMSGSIZE;
			say_error(cl, "GenericError", "Invalid JSON syntax", NULL);
			return -EINVAL;
		}
		left = cl->in_len - skip - (size_t)error.position;
		memmove(cl->in, cl->in + skip + error.position, left);
		cl->in_len = left;
		cl->in[left] = 0;
		if (json_is_object(o))
			ret = execute(cl, o);
		else
			ret = say_error(cl, "GenericError", "QMP input must be a JSON object",
					NULL);
		json_decref(o);
		if (ret)
			return ret;
	}
}

static void client_event(void *arg, u32 events)
{
	struct client *cl = arg;
	int ret = 0;
	ssize_t n;

	if (events & EPOLLOUT)
		ret = flush(cl);
	if (!ret && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = recv(cl->fd, cl->in + cl->in_len, INPUT_MAX - cl->in_len, MSG_DONTWAIT);
		if (n > 0) {
			cl->in_len += (size_t)n;
			cl->in[cl->in_len] = 0;
			ret = parse(cl);
		} else if (!n || (errno != EAGAIN && errno != EINTR)) {
			ret = -EPIPE;
		}
	}
	if (ret)
		client_free(cl);
}

static void accept_event(void *arg, u32 events)
{
	struct control *c = arg;
	struct client *cl;
	size_t i;
	int fd;

	(void)events;
	fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (i = 0; i < CLIENTS_MAX && c->clients[i]; i++)
		;
	cl = i < CLIENTS_MAX ? calloc(1, sizeof(*cl)) : NULL;
	if (!cl) {
		close(fd);
		return;
	}
	cl->c = c;
	cl->fd = fd;
	cl->in = malloc(INPUT_MAX + 1);
	if (!cl->in || loop_add(c->loop, fd, EPOLLIN, client_event, cl)) {
		free(cl->in);
		free(cl);
		close(fd);
		return;
	}
	cl->in[0] = 0;
	c->clients[i] = cl;
	if (say(cl,
		json_pack("{s:{s:{s:{s:i,s:i,s:i},s:s},s:[]}}", "QMP", "version", "qemu", "major",
			  7, "minor", 2, "micro", 0, "package", "umbra", "capabilities")))
		client_free(cl);
}

/* Another VMM's socket, or a leftover? Only a leftover is removed. */
static int take_path(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ret = 0;

	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)sa, sizeof(*sa)))
		ret = -EADDRINUSE;
	else if (errno == ECONNREFUSED)
		unlink(sa->sun_path);
	close(fd);
	return ret;
}

int control_create(struct control **out, struct loop *l, const char *path,
		   const struct control_command *commands, void *arg, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct control *c;
	mode_t old;
	int ret;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "control socket %s: longer than %zu bytes; use a shorter "
			       "--name",
			       path, sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	ret = take_path(&sa);
	if (ret)
		return err_set(e, ret, "control socket %s: %s", path,
			       ret == -EADDRINUSE
				       ? "a guest of this name runs already; use another --name"
				       : strerror(-ret));
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(e, -ENOMEM, "no memory for the control socket");
	c->loop = l;
	c->commands = commands;
	c->arg = arg;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		ret = -errno;
		goto fail;
	}
	old = umask(0177);
	ret = bind(c->fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
	umask(old);
	if (ret)
		goto fail;
	c->path = strdup(path);
	if (!c->path || listen(c->fd, 8)) {
		ret = c->path ? -errno : -ENOMEM;
		unlink(path);
		goto fail;
	}
	ret = loop_add(l, c->fd, EPOLLIN, accept_event, c);
	if (ret)
		goto fail;
	*out = c;
	return 0;
fail:
	err_set(e, ret, "control socket %s: %s", path, strerror(-ret));
	if (c->path)
		unlink(c->path);
	free(c->path);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
	return ret;
}

void control_destroy(struct control *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i])
			client_free(c->clients[i]);
	loop_del(c->loop, c->fd);
	close(c->fd);
	unlink(c->path);
	free(c->path);
	free(c);
}
