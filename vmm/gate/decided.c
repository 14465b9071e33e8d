// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps calls that were decided, and are to be seen, until the guest says in a ring what has come
 * of them.
 *
 * Their end costs no exit: the answer has a number, with which the shim puts the call into its
 * CPU's ring as it does with one that nobody decides. So who asked for what, and what was decided,
 * is the host's word, and the result the guest's. As many calls as can wait have a place by their
 * number; one that is older than DECIDED_MAX others (a thread that sleeps in its call) loses it to
 * the next, and is told without its result.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

#define DECIDED_MAX 1024
/* Of a line that waits, or a driver would choose how much memory of the host all of them take. */
#define DECIDED_LINE_MAX 8192

struct decided {
	u64 number; /* 0: none is here */
	u32 id;
	u64 serial; /* of the caller */
	u64 time_ns;
	const char *function;	 /* lives as long as the catalogue */
	struct record_line line; /* but for its end; no bytes: nobody wants it */
};

void gate_decided_init(struct gate *g)
{
	pthread_mutex_init(&g->decided_lock, NULL);
}

void gate_decided_forget(struct gate *g)
{
	for (size_t i = 0; g->decided && i < DECIDED_MAX; i++)
		line_free(&g->decided[i].line);
	free(g->decided);
	g->decided = NULL;
}

void gate_decided_destroy(struct gate *g)
{
	gate_decided_forget(g);
	pthread_mutex_destroy(&g->decided_lock);
}

u64 gate_decided_number(struct gate *g)
{
	return atomic_fetch_add_explicit(&g->decided_last, 1, memory_order_relaxed) + 1;
}

static void decided_tell(struct gate *g, u32 traces, const struct decided *d, bool failed, u64 ns)
{
	const struct told_end told = {
		.function = d->function, .time_ns = d->time_ns, .duration_ns = ns, .failed = failed
	};

	if (traces)
		gate_trace_line(g, traces, &told, &d->line);
}

static struct gate_caller *caller_of(struct gate *g, const struct decided *d)
{
	struct gate_caller *c = gate_caller_of(g, d->id);

	return c && c->serial == d->serial ? c : NULL;
}

/* Tells of one that has no result: it lasts, or was lost. */
static void decided_give_up(struct gate *g, struct decided *d, u32 traces)
{
	const struct gate_caller *c = caller_of(g, d);
	const struct sight *s = c ? gate_sight_of(c, UMBRA_ID_FN(d->id)) : NULL;

	if (s)
		decided_tell(g, s->traces & traces, d, false, 0);
}

/* Does so for one whose place another call has taken: the record will not have its second line. */
static void decided_lose(struct gate *g, struct decided *d)
{
	const struct gate_caller *c = caller_of(g, d);
	const struct sight *s = c ? gate_sight_of(c, UMBRA_ID_FN(d->id)) : NULL;

	decided_give_up(g, d, UINT32_MAX);
	if (s && s->as.rule && d->line.len)
		record_lose(g->rec, d->time_ns, c->session, 1);
}

/* Takes call @number out, if it is there; *out is the caller's. */
static bool decided_take(struct gate *g, u64 number, u32 id, struct decided *out)
{
	struct decided *d;
	bool there = false;

	pthread_mutex_lock(&g->decided_lock);
	d = g->decided && number ? &g->decided[number % DECIDED_MAX] : NULL;
	if (d && d->number == number && d->id == id) {
		*out = *d;
		*d = (struct decided){ .number = 0 };
		there = true;
	}
	pthread_mutex_unlock(&g->decided_lock);
	return there;
}

bool gate_decided_begin(struct gate *g, u64 number, u32 id, const struct sight *s,
			const struct record_call *call)
{
	const struct gate_caller *caller = gate_caller_of(g, id);
	struct decided d = { .number = number,
			     .id = id,
			     .serial = caller->serial,
			     .time_ns = call->time_ns,
			     .function = call->req->fn->name };
	struct decided before = { .number = 0 };
	bool room;

	if ((s->as.rule && record_has_lines(g->rec)) || gate_trace_wants_lines(g, s->traces))
		record_call_json(&d.line, call);
	if (d.line.len > DECIDED_LINE_MAX) {
		if (s->as.rule && record_has_lines(g->rec))
			record_lose(g->rec, call->time_ns, caller->session, 1);
		if (gate_trace_wants_lines(g, s->traces))
			gate_trace_lose(g, caller->session, 1);
		line_free(&d.line);
	}
	pthread_mutex_lock(&g->decided_lock);
	if (!g->decided)
		g->decided = calloc(DECIDED_MAX, sizeof(*g->decided));
	room = g->decided;
	if (room) {
		before = g->decided[number % DECIDED_MAX];
		g->decided[number % DECIDED_MAX] = d;
	}
	pthread_mutex_unlock(&g->decided_lock);
	if (!room)
		line_free(&d.line);
	if (before.number)
		decided_lose(g, &before);
	line_free(&before.line);
	return room;
}

s64 gate_decided_end(struct gate *g, const struct told_call *c)
{
	const u32 fn = UMBRA_ID_FN((u32)c->id);
	char call[CALL_TEXT], result[RESULT_TEXT];
	const struct gate_caller *caller;
	const struct sight *s;
	struct decided d;
	bool recorded = false;

	if (!decided_take(g, c->number, (u32)c->id, &d))
		return -EINVAL;
	pthread_rwlock_rdlock(&g->callers_lock);
	caller = caller_of(g, &d);
	s = caller ? gate_sight_of(caller, fn) : NULL;
	if (s && gate_sight_is_wanted(s)) {
		if (d.line.len) {
			gate_row_text(g, fn, c, call, sizeof(call), result, sizeof(result));
			record_call_end_json(&d.line, call, result, c->duration_ns);
		}
		decided_tell(g, s->traces, &d, gate_row_failed(g, fn, c->ret), c->duration_ns);
		recorded = s->as.rule && d.line.len && record_has_lines(g->rec);
		if (recorded)
			record_address(g->rec, caller->session, d.time_ns, &d.line);
	}
	pthread_rwlock_unlock(&g->callers_lock);
	if (recorded)
		record_write(g->rec, &d.line);
	line_free(&d.line);
	return 0;
}

void gate_decided_tell_open(struct gate *g, u32 traces)
{
	pthread_mutex_lock(&g->decided_lock);
	for (size_t i = 0; g->decided && i < DECIDED_MAX; i++)
		if (g->decided[i].number)
			decided_give_up(g, &g->decided[i], traces);
	pthread_mutex_unlock(&g->decided_lock);
}
