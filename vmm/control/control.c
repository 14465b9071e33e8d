// SPDX-License-Identifier: GPL-2.0-only
/* Serves the control socket: lets clients in, drops them, and sends events to all of them. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/socket_file.h"
#include "vmm/control/control_int.h"
#include "vmm/control/socket_dir.h"

/* What all clients together have of one round of the loop; signals, keys and timers have theirs. */
#define TURNS_NS (20 * 1000000ULL)

/* --- a client ------------------------------------------------------------------------------ */

static void client_drop_fds(struct qmp_client *q)
{
	int fd;

	qmp_drop_fds(q);
	while ((fd = peer_take_fd(&q->peer)) >= 0)
		peer_drop_fd(&q->peer, fd);
}

static void client_wants_turn(struct peer *p)
{
	struct qmp_client *q = (struct qmp_client *)p;

	q->waits = true;
	loop_timer_set(q->c->loop, q->c->turns, 1, 0);
}

static int client_input(struct peer *p)
{
	struct qmp_client *q = (struct qmp_client *)p;

	q->last = ++q->c->events;
	return qmp_input(q);
}

static void client_gone(struct peer *p)
{
	struct qmp_client *q = (struct qmp_client *)p;

	qmp_forget(q);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (q->c->clients[i] == q)
			q->c->clients[i] = NULL;
	free(q);
}

static void client_drop(struct peer *p, int fd)
{
	const struct control *c = ((struct qmp_client *)p)->c;

	if (c->close_fd)
		c->close_fd(c->close_arg, fd);
	else
		close(fd);
}

static const struct peer_ops client_ops = {
	.wants_turn = client_wants_turn,
	.input = client_input,
	.gone = client_gone,
	.drop = client_drop,
};

static unsigned count_waiting_clients(const struct control *c)
{
	unsigned n = 0;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		n += c->clients[i] && c->clients[i]->waits;
	return n;
}

/*
 * Gives clients that wait their turns, for TURNS_NS and a command more at most. Each has an equal
 * share, a command at least; when the time is over, the next round goes on where this one stops.
 */
static void on_turns(void *arg, u32 expiries)
{
	struct control *c = arg;
	unsigned waiting = count_waiting_clients(c);
	u64 now = now_ns(), ends = now + TURNS_NS;

	(void)expiries;
	for (size_t i = 0; i < CONTROL_CLIENTS && now < ends; i++) {
		struct qmp_client *q = c->clients[c->next];

		c->next = (c->next + 1) % CONTROL_CLIENTS;
		if (!q || !q->waits)
			continue;
		q->waits = false;
		q->turn_ends = now + TURNS_NS / waiting;
		if (q->turn_ends > ends)
			q->turn_ends = ends;
		peer_go_on(&q->peer);
		now = now_ns();
	}
	if (count_waiting_clients(c))
		loop_timer_set(c->loop, c->turns, 1, 0);
}

/* --- the socket ---------------------------------------------------------------------------- */

/* Returns true if @a is to be dropped before @b; control.h has the order. */
static bool client_goes_before(const struct qmp_client *a, const struct qmp_client *b)
{
	if (a->negotiated != b->negotiated)
		return !a->negotiated;
	if (!a->requests != !b->requests)
		return !a->requests;
	return a->last < b->last;
}

/* Returns the index of the client to be dropped first; CONTROL_CLIENTS: there is no client. */
static size_t most_dispensable(const struct control *c)
{
	size_t worst = CONTROL_CLIENTS;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i] && (worst == CONTROL_CLIENTS ||
				      client_goes_before(c->clients[i], c->clients[worst])))
			worst = i;
	return worst;
}

static size_t control_make_room(struct control *c)
{
	size_t i;

	for (i = 0; i < CONTROL_CLIENTS; i++)
		if (!c->clients[i])
			return i;
	i = most_dispensable(c);
	peer_close(&c->clients[i]->peer);
	return i;
}

/*
 * Drops a client to free descriptors: a connection that cannot be accepted would wake the loop
 * again and again.
 */
static void give_back_descriptors(struct control *c)
{
	size_t i = most_dispensable(c);

	if (i < CONTROL_CLIENTS)
		peer_close(&c->clients[i]->peer);
}

/* Makes a client on @fd, which is the client's then. NULL: no room for it. */
static struct qmp_client *client_create(struct control *c, int fd)
{
	struct qmp_client *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->c = c;
	q->last = ++c->events;
	for (size_t i = 0; i < NAMED_FDS; i++)
		q->named[i].fd = -1;
	if (peer_open(&q->peer, c->loop, fd, &client_ops)) {
		free(q);
		return NULL;
	}
	q->peer.drops = c->drops;
	return q;
}

static void on_control_connection(void *arg, u32 events)
{
	const struct control_listener *l = arg;
	struct control *c = l->c;
	struct qmp_client *q;
	int fd;

	(void)events;
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		give_back_descriptors(c);
	if (fd < 0)
		return;
	q = client_create(c, fd);
	if (!q) {
		close(fd);
		return;
	}
	c->clients[control_make_room(c)] = q;
	if (qmp_greet(q))
		peer_close(&q->peer);
}

/*
 * Binds @fd to the path, in the good case by one system call. A creator that is between its bind()
 * and its listen() looks like a leftover; socket_file_remove_stale() tells by the file's age, so
 * this waits that long at most.
 */
static int take_path(int fd, const struct sockaddr_un *sa)
{
	static const struct timespec nap = { .tv_nsec = 100000000 };

	for (unsigned tries = 0;; tries++) {
		int ret;

		if (!bind(fd, (const struct sockaddr *)sa, sizeof(*sa)))
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
		ret = socket_file_remove_stale(sa->sun_path);
		if (ret == -EBUSY && tries < 20)
			nanosleep(&nap, NULL);
		else if (ret && ret != -ENOENT)
			return ret == -EBUSY ? -EADDRINUSE : ret;
		else if (tries >= 20)
			return -EADDRINUSE;
	}
}

static struct control *control_alloc(struct loop *l)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->loop = l;
	c->own.c = c->given.c = c;
	c->own.fd = c->given.fd = -1;
	c->turns = loop_timer(l, 0, 0, on_turns, c);
	if (c->turns < 0) {
		free(c);
		return NULL;
	}
	return c;
}

/* Frees what control_alloc() made. */
static void control_free(struct control *c)
{
	loop_timer_del(c->loop, c->turns);
	free(c->path);
	free(c);
}

int control_listen_on(struct control **c, struct loop *l, int fd, struct err *e)
{
	bool first = !*c;
	int ret;

	if (first)
		*c = control_alloc(l);
	if (!*c)
		return err_set(e, -ENOMEM, "out of memory");
	ret = loop_add(l, fd, EPOLLIN, on_control_connection, &(*c)->given);
	if (!ret) {
		(*c)->given.fd = fd;
		return 0;
	}
	if (first) {
		control_free(*c);
		*c = NULL;
	}
	return err_set(e, ret, "--control: descriptor %d: %s", fd, strerror(-ret));
}

int control_create(struct control **out, struct loop *l, const char *path, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct control *c;
	int ret;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, -ENAMETOOLONG,
			       "control socket %s: longer than %zu bytes; use a shorter "
			       "--name",
			       path, sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	c = control_alloc(l);
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->own.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The socket's mode becomes the file's at bind(). */
	ret = c->own.fd < 0 || fchmod(c->own.fd, SOCKET_DIR_MODE) ? -errno
								  : take_path(c->own.fd, &sa);
	if (ret)
		goto fail;
	c->path = strdup(path);
	if (!c->path)
		ret = -ENOMEM;
	else if ((ret = socket_file_id(path, &c->id)))
		; /* removed meanwhile */
	else if (listen(c->own.fd, SOMAXCONN))
		ret = -errno;
	else
		ret = loop_add(l, c->own.fd, EPOLLIN, on_control_connection, &c->own);
	if (ret) {
		socket_file_remove(path, &c->id);
		goto fail;
	}
	*out = c;
	return 0;
fail:
	err_set(e, ret, "control socket %s: %s", path,
		ret == -EADDRINUSE  ? "a guest of this name runs already; use another --name"
		: ret == -ETIMEDOUT ? "a process keeps its directory locked; see lslocks(8)"
				    : strerror(-ret));
	if (c->own.fd >= 0)
		close(c->own.fd);
	control_free(c);
	return ret;
}

const char *control_file(const struct control *c)
{
	return c->path;
}

const struct socket_id *control_file_id(const struct control *c)
{
	return c->path ? &c->id : NULL;
}

void control_disown_file(struct control *c)
{
	c->disowned = true;
}

void control_set_closer(struct control *c, control_close_fn *fn, void *arg)
{
	c->close_fd = fn;
	c->close_arg = arg;
}

void control_drop_fds(struct control *c)
{
	c->drops = true;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		if (!c->clients[i])
			continue;
		c->clients[i]->peer.drops = true;
		client_drop_fds(c->clients[i]);
	}
}

int control_add(struct control *c, const struct control_command *table, void *arg)
{
	struct command_table *t;

	if (!c)
		return 0;
	for (const struct control_command *own = table; own->name; own++) {
		assert(!qmp_has_command(c, own->name));
		for (const struct control_command *other = table; other != own; other++)
			assert(strcmp(other->name, own->name) != 0);
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->commands = table;
	t->arg = arg;
	t->next = c->tables;
	c->tables = t;
	return 0;
}

void control_explain(struct control *c, const struct control_absence *table)
{
	if (c)
		c->absences = table;
}

void control_refuse(struct control *c, const struct err *why)
{
	if (c)
		c->refusal = *why;
}

void control_event(struct control *c, const char *name, json_t *data)
{
	struct timespec t;
	json_t *o;

	if (!c) {
		json_decref(data);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &t);
	o = json_pack("{s:{s:I, s:I}, s:s}", "timestamp", "seconds", (json_int_t)t.tv_sec,
		      "microseconds", (json_int_t)(t.tv_nsec / 1000), "event", name);
	if (o && data)
		json_object_set(o, "data", data);
	json_decref(data);
	for (size_t i = 0; i < CONTROL_CLIENTS && o; i++) {
		struct qmp_client *q = c->clients[i];

		if (q && q->negotiated && qmp_say(q, o))
			peer_hang_up(&q->peer);
	}
	json_decref(o);
}

static void listener_close(struct control_listener *l)
{
	if (l->fd < 0)
		return;
	loop_del(l->c->loop, l->fd);
	close(l->fd);
}

/*
 * Lets go the clients that nobody has let in yet, as all others: their sockets, which close(2) of
 * the listener would close, may have descriptors in them. Nobody else has this listener.
 */
static void drop_waiting_clients(struct control *c)
{
	struct qmp_client *q;
	int fd;

	if (c->own.fd < 0)
		return;
	shutdown(c->own.fd, SHUT_RDWR);
	while ((fd = accept4(c->own.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		q = client_create(c, fd);
		if (q)
			peer_close(&q->peer);
		else
			close(fd);
	}
}

void control_destroy(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i])
			peer_close(&c->clients[i]->peer);
	/* Before it stops listening: another VMM would take the file for a leftover. */
	if (c->path && !c->disowned)
		socket_file_remove(c->path, &c->id);
	drop_waiting_clients(c);
	listener_close(&c->own);
	listener_close(&c->given);
	while (c->tables) {
		struct command_table *t = c->tables;

		c->tables = t->next;
		free(t);
	}
	control_free(c);
}
