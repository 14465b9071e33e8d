// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serves the clients of `vmm trace`: their begin and end, and the sending of what trace_lines.c has
 * for them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "vmm/gate/trace_int.h"

static void trace_free(struct gate_trace *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->functions && i < t->n; i++)
		free(t->functions[i]);
	free(t->functions);
	free(t->session);
	free(t->driver);
	free(t->buf);
	free(t->counts);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* --- its end --------------------------------------------------------------------------------- */

static void trace_add_counts(struct gate_trace *t)
{
	char line[320];

	for (size_t i = 0; i < t->n_counts; i++) {
		const struct trace_count *c = &t->counts[i];
		int len = snprintf(
			line, sizeof(line),
			"{\"function\":\"%s\",\"calls\":%llu,\"errors\":%llu,\"ns\":%llu}\n",
			c->function, (unsigned long long)c->calls, (unsigned long long)c->errors,
			(unsigned long long)c->ns);

		if (len > 0 && (size_t)len < sizeof(line))
			gate_trace_add(t, line, (size_t)len, 0);
	}
}

static void trace_add_end(struct gate_trace *t, const char *why)
{
	struct record_line line = { .buf = NULL };
	const u64 now = t->g->now(t->g->m);

	record_event_json(&line, now, t->session, RECORD_TRACE_ENDED, why);
	if (line.len)
		gate_trace_add(t, line.buf, line.len, now);
	line_free(&line);
}

/*
 * Takes it out of those that see; no thread puts anything into it any more. @why it ends, if not by
 * its client.
 */
static void trace_stop(struct gate_trace *t, const char *why)
{
	struct gate *g = t->g;
	struct gate_trace **at;

	if (t->ending)
		return;
	gate_drain(g);
	pthread_rwlock_wrlock(&g->callers_lock);
	gate_decided_tell_open(g, 1U << t->bit);
	for (at = &g->traces; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	g->trace_bits &= ~(1U << t->bit);
	gate_sights_retrace(g);
	pthread_rwlock_unlock(&g->callers_lock);
	gate_drain_arm(g);
	t->next = g->traces_ending;
	g->traces_ending = t;
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	gate_trace_tell_loss(t);
	if (t->count)
		trace_add_counts(t);
	if (why)
		trace_add_end(t, why);
	pthread_mutex_unlock(&t->lock);
}

static void trace_close(struct gate_trace *t)
{
	struct gate_trace **at;

	trace_stop(t, NULL);
	for (at = &t->g->traces_ending; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	if (t->g->loop)
		loop_del(t->g->loop, t->fd);
	close(t->fd);
	trace_free(t);
}

/* Sends what the socket takes. False: nobody is there. */
static bool trace_send(struct gate_trace *t)
{
	ssize_t n = 0;

	pthread_mutex_lock(&t->lock);
	while (t->at < t->len) {
		n = send(t->fd, t->buf + t->at, t->len - t->at < 65536 ? t->len - t->at : 65536,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		t->at += (size_t)n;
	}
	if (t->at == t->len) {
		t->at = t->len = 0;
		gate_trace_tell_loss(t);
	}
	if (t->at == t->len)
		loop_mod(t->g->loop, t->fd, EPOLLIN | EPOLLRDHUP);
	pthread_mutex_unlock(&t->lock);
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static void trace_event(void *arg, u32 events)
{
	struct gate_trace *t = arg;
	char unused[256];
	bool gone = events & (EPOLLHUP | EPOLLERR);

	if (!gone && events & (EPOLLIN | EPOLLRDHUP) && !t->ending &&
	    recv(t->fd, unused, sizeof(unused), MSG_DONTWAIT) == 0) {
		trace_stop(t, NULL);
		loop_mod(t->g->loop, t->fd, EPOLLOUT);
	}
	if (!gone && events & EPOLLOUT)
		gone = !trace_send(t);
	if (gone || (t->ending && t->at == t->len))
		trace_close(t);
	else if (t->ending)
		loop_mod(t->g->loop, t->fd, EPOLLOUT);
}

void gate_traces_end(struct gate *g, const char *why)
{
	while (g->traces)
		trace_stop(g->traces, why);
	while (g->traces_ending) {
		trace_send(g->traces_ending);
		trace_close(g->traces_ending);
	}
}

/* --- its begin ------------------------------------------------------------------------------- */

static struct gate_trace *trace_make(const struct gate_trace_request *r)
{
	struct gate_trace *t = calloc(1, sizeof(*t));
	bool whole;

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->n = r->n;
	t->count = r->count;
	t->errors = r->errors;
	t->session = strdup(r->session);
	t->driver = r->driver ? strdup(r->driver) : NULL;
	t->functions = calloc(r->n + 1, sizeof(*t->functions));
	t->buf = malloc(GATE_TRACE_BUFFER);
	t->counts = r->count ? calloc(COUNTS_MAX, sizeof(*t->counts)) : NULL;
	whole = t->session && (t->driver || !r->driver) && t->functions && t->buf &&
		(t->counts || !r->count);
	for (size_t i = 0; whole && i < r->n; i++) {
		t->functions[i] = strdup(r->functions[i]);
		whole = t->functions[i];
	}
	if (whole)
		return t;
	trace_free(t);
	return NULL;
}

static bool is_stream_socket(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM;
}

int gate_trace_begin(struct gate *g, const struct gate_trace_request *r, int fd, struct err *e)
{
	struct gate_trace *t;
	int ret;

	if (!is_stream_socket(fd))
		return err_set(e, -ENOTSOCK, "the descriptor for the lines is no stream socket");
	if (g->trace_bits == (1U << GATE_TRACES_MAX) - 1)
		return err_set(e, -EBUSY, "%d others follow calls of this guest already",
			       GATE_TRACES_MAX);
	t = trace_make(r);
	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	t->g = g;
	t->fd = fd;
	while (g->trace_bits & 1U << t->bit)
		t->bit++;
	ret = loop_add(g->loop, fd, EPOLLIN | EPOLLRDHUP, trace_event, t);
	if (ret) {
		trace_free(t);
		return err_set(e, ret, "event loop: %s", strerror(-ret));
	}
	g->trace_bits |= 1U << t->bit;
	gate_drain(g); /* so that no call can claim to be older than the timer's last run */
	pthread_rwlock_wrlock(&g->callers_lock);
	t->next = g->traces;
	g->traces = t;
	gate_sights_retrace(g);
	pthread_rwlock_unlock(&g->callers_lock);
	gate_drain_arm(g);
	return 0;
}
