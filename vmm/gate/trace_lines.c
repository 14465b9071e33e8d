// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has lines, or counts, for the clients of `vmm trace`, on the thread that has the call.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/loop.h"
#include "vmm/gate/trace_int.h"

void gate_trace_add(struct gate_trace *t, const char *line, size_t len, u64 time_ns)
{
	if (t->at && t->len + len > GATE_TRACE_BUFFER) {
		memmove(t->buf, t->buf + t->at, t->len - t->at);
		t->len -= t->at;
		t->at = 0;
	}
	if (t->len + len > GATE_TRACE_BUFFER) {
		t->lost++;
		t->lost_ns = time_ns;
		return;
	}
	if (t->at == t->len && !t->ending)
		loop_mod(t->g->loop, t->fd, EPOLLIN | EPOLLRDHUP | EPOLLOUT);
	memcpy(t->buf + t->len, line, len);
	t->len += len;
}

void gate_trace_tell_loss(struct gate_trace *t)
{
	struct record_line line = { .buf = NULL };
	u64 lost = t->lost;

	if (!lost || t->len + 1024 > GATE_TRACE_BUFFER)
		return;
	record_loss_json(&line, t->lost_ns, t->session, lost);
	if (line.len)
		gate_trace_add(t, line.buf, line.len, t->lost_ns);
	line_free(&line);
	t->lost = 0;
}

static void trace_count(struct gate_trace *t, const char *function, bool failed, u64 ns)
{
	struct trace_count *c = t->counts;

	/* One function has one name, at one place. */
	while (c < t->counts + t->n_counts && c->function != function)
		c++;
	if (c == t->counts + COUNTS_MAX)
		return;
	if (c == t->counts + t->n_counts) {
		*c = (struct trace_count){ .function = function };
		t->n_counts++;
	}
	c->calls++;
	c->errors += failed;
	c->ns += ns;
}

void gate_trace_line(struct gate *g, u32 traces, const struct told_end *told,
		     const struct record_line *line)
{
	for (struct gate_trace *t = g->traces; t; t = t->next) {
		if (!(traces & 1U << t->bit) || (t->errors && !told->failed))
			continue;
		pthread_mutex_lock(&t->lock);
		if (t->count) {
			trace_count(t, told->function, told->failed, told->duration_ns);
		} else if (line->len) {
			gate_trace_tell_loss(t);
			gate_trace_add(t, line->buf, line->len, told->time_ns);
		}
		pthread_mutex_unlock(&t->lock);
	}
}

void gate_trace_call(struct gate *g, u32 traces, const struct record_call *call, bool failed)
{
	const struct told_end told = { .function = call->req->fn->name,
				       .time_ns = call->time_ns,
				       .duration_ns = call->req->duration_ns,
				       .failed = failed };
	struct record_line line = { .buf = NULL };

	for (const struct gate_trace *t = g->traces; t && !line.len; t = t->next)
		if (traces & 1U << t->bit && !t->count && (failed || !t->errors))
			record_call_json(&line, call);
	gate_trace_line(g, traces, &told, &line);
	line_free(&line);
}

void gate_trace_lose(struct gate *g, const char *session, u64 n)
{
	for (struct gate_trace *t = g->traces; t; t = t->next) {
		if (strcmp(t->session, session) != 0)
			continue;
		pthread_mutex_lock(&t->lock);
		t->lost += n;
		t->lost_ns = g->now(g->m);
		pthread_mutex_unlock(&t->lock);
	}
}

/* --- what it is to see ----------------------------------------------------------------------- */

/* Has - be _, but where it is a range. */
static void name_fold(char *to, size_t size, const char *from)
{
	const bool ranges = strchr(from, '[');

	snprintf(to, size, "%s", from);
	for (char *p = to; *p; p++)
		if (*p == '-' && !ranges)
			*p = '_';
}

bool gate_trace_driver(const char *pattern, const char *driver)
{
	char p[128], d[128];

	name_fold(p, sizeof(p), pattern);
	name_fold(d, sizeof(d), driver);
	return !fnmatch(p, d, 0) || !fnmatch(pattern, driver, 0);
}

static bool trace_wants(const struct gate_trace *t, const struct gate_caller *c,
			const char *function)
{
	if (strcmp(t->session, c->session) != 0 ||
	    (t->driver && !gate_trace_driver(t->driver, c->driver)))
		return false;
	for (size_t i = 0; i < t->n; i++)
		if (!fnmatch(t->functions[i], function, 0))
			return true;
	return !t->n;
}

u32 gate_traces_of(const struct gate *g, const struct gate_caller *c, const char *function)
{
	u32 traces = 0;

	for (const struct gate_trace *t = g->traces; t; t = t->next)
		if (trace_wants(t, c, function))
			traces |= 1U << t->bit;
	return traces;
}

bool gate_trace_wants_lines(const struct gate *g, u32 traces)
{
	for (const struct gate_trace *t = g->traces; t; t = t->next)
		if (traces & 1U << t->bit && !t->count)
			return true;
	return false;
}
