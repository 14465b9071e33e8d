// SPDX-License-Identifier: GPL-2.0-only
/* Speaks QMP on the control socket, as docs/interop/qmp-spec and the schema of QEMU 7.2 have it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/version.h"
#include "vmm/control/control_int.h"

#define REQUESTS_MAX 64 /* of one client, not answered yet */

/* --- answers ------------------------------------------------------------------------------- */

int qmp_say(struct qmp_client *q, const json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT), *line;
	size_t len = text ? strlen(text) : 0;
	int ret = -ENOMEM;

	line = text ? realloc(text, len + 2) : NULL;
	if (line) {
		memcpy(line + len, "\r\n", 2);
		ret = peer_send(&q->peer, line, len + 2);
		text = line;
	}
	free(text);
	return ret;
}

/* Does qmp_say() and steals @o; NULL: there was no memory for it. */
static int qmp_say_new(struct qmp_client *q, json_t *o)
{
	int ret = o ? qmp_say(q, o) : -ENOMEM;

	json_decref(o);
	return ret;
}

static int qmp_say_error(struct qmp_client *q, const char *class, const char *line, json_t *id)
{
	json_t *o = json_pack("{s:{s:s, s:s}}", "error", "class", class, "desc", line);

	/* @line may quote a user's text that is no UTF-8, which JSON cannot hold. */
	if (!o)
		o = json_pack("{s:{s:s, s:s}}", "error", "class", class, "desc",
			      "it failed, and the reason is not UTF-8");
	if (o && id)
		json_object_set(o, "id", id);
	return qmp_say_new(q, o);
}

static int qmp_say_return(struct qmp_client *q, json_t *value, json_t *id)
{
	json_t *o = json_pack("{s:O}", "return", value);

	if (o && id)
		json_object_set(o, "id", id);
	return qmp_say_new(q, o);
}

static void request_free(struct control_request *r)
{
	struct control_request **at;

	if (r->client) {
		for (at = &r->client->requests; *at && *at != r; at = &(*at)->next)
			;
		if (*at)
			*at = r->next;
		r->client->n_requests--;
	}
	json_decref(r->id);
	free(r);
}

void control_reply(struct control_request *r, json_t *value)
{
	if (!value)
		value = json_object();
	if (r->client && qmp_say_return(r->client, value, r->id))
		peer_hang_up(&r->client->peer); /* the loop's event of the end frees the client */
	json_decref(value);
	request_free(r);
}

void control_fail_class(struct control_request *r, const char *class, const char *line)
{
	if (r->client && qmp_say_error(r->client, class, line, r->id))
		peer_hang_up(&r->client->peer);
	request_free(r);
}

void control_fail(struct control_request *r, const char *line)
{
	control_fail_class(r, "GenericError", line);
}

json_t *control_version(void)
{
	return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "major", 7, "minor", 2, "micro", 0,
			 "package", "Umbra " VMM_VERSION " (vmm), not QEMU");
}

int qmp_greet(struct qmp_client *q)
{
	return qmp_say_new(q, json_pack("{s:{s:o,s:[]}}", "QMP", "version", control_version(),
					"capabilities"));
}

void qmp_drop_fds(struct qmp_client *q)
{
	for (size_t i = 0; i < NAMED_FDS; i++) {
		if (q->named[i].fd >= 0)
			peer_drop_fd(&q->peer, q->named[i].fd);
		q->named[i].fd = -1;
	}
}

void qmp_forget(struct qmp_client *q)
{
	for (struct control_request *r = q->requests; r; r = r->next)
		r->client = NULL;
	q->requests = NULL;
	qmp_drop_fds(q);
}

/* --- descriptors --------------------------------------------------------------------------- */

static struct named_fd *named_fd_find(struct qmp_client *q, const char *name)
{
	for (size_t i = 0; i < NAMED_FDS; i++)
		if (q->named[i].fd >= 0 && !strcmp(q->named[i].name, name))
			return &q->named[i];
	return NULL;
}

/* Keeps @fd under @name. NULL, or the error's text. */
static const char *named_fd_add(struct qmp_client *q, const char *name, int fd)
{
	struct named_fd *at;

	if (!name || !*name || strlen(name) >= FDNAME_MAX)
		return "Parameter 'fdname' is missing, or no name of 1 to 63 bytes";
	if (*name >= '0' && *name <= '9')
		return "Parameter 'fdname' expects a name not starting with a digit";
	at = named_fd_find(q, name);
	if (at)
		peer_drop_fd(&q->peer, at->fd);
	for (size_t i = 0; i < NAMED_FDS && !at; i++)
		if (q->named[i].fd < 0)
			at = &q->named[i];
	if (!at)
		return "Too many file descriptors are open by 'getfd'; close some";
	snprintf(at->name, sizeof(at->name), "%s", name);
	at->fd = fd;
	return NULL;
}

static void qmp_getfd(void *arg, struct control_request *r, const json_t *args)
{
	const char *wrong;
	int fd;

	(void)arg;
	/*
	 * The descriptor is taken also if the command fails: it must not become the next command's.
	 */
	fd = peer_take_fd(&r->client->peer);
	if (fd < 0) {
		control_fail(r, "No file descriptor supplied via SCM_RIGHTS");
		return;
	}
	wrong = named_fd_add(r->client, json_string_value(json_object_get(args, "fdname")), fd);
	if (wrong) {
		peer_drop_fd(&r->client->peer, fd);
		control_fail(r, wrong);
		return;
	}
	control_reply(r, NULL);
}

static void qmp_closefd(void *arg, struct control_request *r, const json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "fdname"));
	struct err e;
	int fd = control_take_fd(r, name, &e);

	(void)arg;
	if (fd < 0) {
		control_fail(r, e.text);
		return;
	}
	control_drop_fd(r, fd);
	control_reply(r, NULL);
}

void control_drop_fd(struct control_request *r, int fd)
{
	peer_drop_fd(&r->client->peer, fd);
}

int control_take_fd(struct control_request *r, const char *name, struct err *e)
{
	struct named_fd *at = name && r->client ? named_fd_find(r->client, name) : NULL;
	int fd;

	if (!name)
		return err_set(e, -EINVAL, "A file descriptor's name is missing (see 'getfd')");
	if (!at)
		return err_set(e, -ENOENT, "File descriptor named '%.64s' not found", name);
	fd = at->fd;
	at->fd = -1;
	return fd;
}

/* --- commands ------------------------------------------------------------------------------ */

static void query_commands(void *arg, struct control_request *r, const json_t *args);

static const struct control_command own[] = {
	{ "getfd", qmp_getfd },
	{ "closefd", qmp_closefd },
	{ "query-commands", query_commands },
	{ NULL, NULL },
};

static void list_table(json_t *list, const struct control_command *table)
{
	for (; table->name; table++)
		json_array_append_new(list, json_pack("{s:s}", "name", table->name));
}

static void query_commands(void *arg, struct control_request *r, const json_t *args)
{
	json_t *list = json_array();

	(void)arg;
	(void)args;
	json_array_append_new(list, json_pack("{s:s}", "name", "qmp_capabilities"));
	list_table(list, own);
	for (struct command_table *t = r->client->c->tables; t; t = t->next)
		list_table(list, t->commands);
	control_reply(r, list);
}

static const struct control_command *command_find_in_table(const struct control_command *table,
							   const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

static const struct control_command *find_command(const struct control *c, const char *name,
						  void **arg)
{
	const struct control_command *found = command_find_in_table(own, name);

	*arg = NULL;
	for (struct command_table *t = c->tables; t && !found; t = t->next) {
		found = command_find_in_table(t->commands, name);
		*arg = t->arg;
	}
	return found;
}

bool qmp_has_command(const struct control *c, const char *name)
{
	void *arg;

	return !strcmp(name, "qmp_capabilities") || find_command(c, name, &arg);
}

static int qmp_say_not_found(struct qmp_client *q, const char *name, json_t *id)
{
	const struct control_absence *a = q->c->absences;
	char line[256];

	while (a && a->name && strcmp(a->name, name) != 0)
		a++;
	snprintf(line, sizeof(line), "The command %.64s has not been found%s%s", name,
		 a && a->name ? ": " : "", a && a->name ? a->why : "");
	return qmp_say_error(q, "CommandNotFound", line, id);
}

static int qmp_negotiate(struct qmp_client *q, json_t *id)
{
	json_t *none;
	int ret;

	if (q->negotiated)
		return qmp_say_error(
			q, "CommandNotFound",
			"Capabilities negotiation is already complete, command ignored", id);
	q->negotiated = true;
	none = json_object();
	ret = qmp_say_return(q, none, id);
	json_decref(none);
	return ret;
}

/* Executes one command; -errno: the client must go. */
static int qmp_execute(struct qmp_client *q, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "execute"));
	json_t *id = json_object_get(o, "id"), *args = json_object_get(o, "arguments"), *none;
	const struct control_command *c;
	struct control_request *r;
	void *arg;

	if (!name)
		return qmp_say_error(q, "GenericError", "QMP input lacks member 'execute'", id);
	if (args && !json_is_object(args))
		return qmp_say_error(q, "GenericError",
				     "QMP input member 'arguments' must be an object", id);
	if (*q->c->refusal.text)
		return qmp_say_error(q, "GenericError", q->c->refusal.text, id);
	if (!strcmp(name, "qmp_capabilities"))
		return qmp_negotiate(q, id);
	if (!q->negotiated)
		return qmp_say_error(q, "CommandNotFound",
				     "Expecting capabilities negotiation with 'qmp_capabilities'",
				     id);
	c = find_command(q->c, name, &arg);
	if (!c)
		return qmp_say_not_found(q, name, id);
	if (q->n_requests == REQUESTS_MAX)
		return qmp_say_error(q, "GenericError", "Too many commands wait for an answer", id);
	r = calloc(1, sizeof(*r));
	none = json_object();
	if (!r || !none) {
		free(r);
		json_decref(none);
		return -ENOMEM;
	}
	r->client = q;
	r->id = json_incref(id);
	r->next = q->requests;
	q->requests = r;
	q->n_requests++;
	c->fn(arg, r, args ? args : none);
	json_decref(none);
	return 0;
}

/*
 * Returns where the next line begins, behind one that is no JSON from @at on: the client stays. To
 * libvirt the end of the connection is that of the guest, which it kills then; and a number that is
 * too large is enough of a mistake (virsh blockresize g1 vda 8E).
 */
static size_t skip_line(struct qmp_client *q, size_t at)
{
	const char *end = memchr(q->peer.in + at, '\n', q->peer.in_len - at);

	q->skips = !end;
	return end ? (size_t)(end + 1 - q->peer.in) : q->peer.in_len;
}

/*
 * Returns true if what there is from @at on may be the beginning of an object. Of a word, a number
 * or a character whose end is missing jansson tells as of one that is none.
 */
static bool is_cut(const struct qmp_client *q, size_t at, const json_error_t *error)
{
	size_t left = q->peer.in_len - at, read = (size_t)error->position;

	switch (json_error_code(error)) {
	case json_error_premature_end_of_input:
		return true;
	case json_error_invalid_utf8:
		return read + 3 >= left;
	default:
		return read >= left;
	}
}

/* Tells what is wrong with the line at *at, of which @error tells, and skips it; 1: it goes on. */
static int refuse_line(struct qmp_client *q, size_t *at, const json_error_t *error)
{
	bool cut = *at == q->peer.in_len || is_cut(q, *at, error);
	int fd;

	if (cut && (*at || q->peer.in_len < PEER_INPUT_MAX))
		return 1;
	*at = skip_line(q, *at);
	/* What came with it must not become the next command's. */
	while ((fd = peer_take_fd(&q->peer)) >= 0)
		peer_drop_fd(&q->peer, fd);
	return qmp_say_error(q, "GenericError",
			     cut ? "QMP input is longer than 64 KiB" : "Invalid JSON syntax", NULL);
}

/* Executes the object that the input has at *at, and sets *at behind it. 1: its end is missing. */
static int qmp_take_object(struct qmp_client *q, size_t *at)
{
	const struct peer *p = &q->peer;
	json_error_t error;
	json_t *o;
	int ret;

	while (*at < p->in_len && strchr(" \t\r\n", p->in[*at]) && p->in[*at])
		++*at;
	o = json_loadb(p->in + *at, p->in_len - *at, JSON_DISABLE_EOF_CHECK, &error);
	if (!o)
		return refuse_line(q, at, &error);
	*at += (size_t)error.position;
	ret = json_is_object(o)
		      ? qmp_execute(q, o)
		      : qmp_say_error(q, "GenericError", "QMP input must be a JSON object", NULL);
	json_decref(o);
	return ret;
}

/*
 * Executes the whole objects of the input, one at least, until the client's turn is over: QMP has
 * no framing but the JSON itself. The rest is moved once, not after each command: a client may send
 * a hundred thousand of them in one piece, and others wait meanwhile.
 */
int qmp_input(struct qmp_client *q)
{
	struct peer *p = &q->peer;
	size_t at = q->skips ? skip_line(q, 0) : 0;
	int ret = 0;

	while (!ret) {
		ret = qmp_take_object(q, &at);
		/* A driver's check takes some of it, and a piece has room for a thousand. */
		if (!ret && now_ns() >= q->turn_ends) {
			peer_go_on_later(p);
			break;
		}
	}
	peer_consume(p, at);
	return ret < 0 ? ret : 0;
}
