// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps what is to be seen of each caller, turns its entries accordingly, and puts calls that are
 * over into the record: those that the shim tells by an exit, and those of the rings (see_ring.c).
 *
 * The first call of each function by each caller leaves the guest: its line is the host's own word
 * that the driver uses the function. The host then has the entry lead to the ring. What comes from
 * there is the guest's word, as what its kernel says of itself always is: a driver that has taken
 * the kernel over can leave calls out, or put down some that were not made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"
#include "vmm/machine/machine.h"

#define CALL_TEXT 1024 /* bytes of the arguments, as text */
#define DATA_MAX  (SEEN_TEXTS * UMBRA_TEXT_MAX)

static int compare_numbers(const void *a, const void *b)
{
	u32 x = ((const struct sight *)a)->as.en.fn, y = ((const struct sight *)b)->as.en.fn;

	return (x > y) - (x < y);
}

/* Returns what is to be seen of a function by its number; callers_lock is held. NULL: nothing. */
static struct sight *sight_of(const struct gate_caller *c, u32 fn)
{
	const struct sight key = { .as.en.fn = fn };

	return c->n_sights ? bsearch(&key, c->sights, c->n_sights, sizeof(key), compare_numbers)
			   : NULL;
}

static bool is_wanted(const struct sight *s)
{
	return s->as.rule;
}

/* Turns the entry as it is to be now; callers_lock is held. */
static void sight_turn(struct gate *g, struct sight *s)
{
	const bool local = !s->as.critical && !s->as.each && gate_seen_of(g, s->as.en.fn);

	if (s->as.critical || is_wanted(s))
		gate_own_entry_turn(g, &s->as.en,
				    local && atomic_load(&s->told) ? ENTRY_RING : ENTRY_EXIT);
	else if (!s->as.stays)
		gate_own_entry_turn(g, &s->as.en, ENTRY_KERNEL);
}

void gate_sights_free(struct gate *g, struct gate_caller *c)
{
	for (size_t i = 0; i < c->n_sights; i++)
		g->n_sights -= is_wanted(&c->sights[i]);
	free(c->sights);
	c->sights = NULL;
	c->n_sights = 0;
}

int gate_caller_see(struct gate *g, unsigned caller, const struct gate_sight *list, size_t n)
{
	struct sight *sights = n ? calloc(n, sizeof(*sights)) : NULL;
	struct gate_caller *c;

	if (n && !sights)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sights[i].as = list[i];
	if (n)
		qsort(sights, n, sizeof(*sights), compare_numbers);
	gate_drain(g);
	pthread_rwlock_wrlock(&g->callers_lock);
	c = gate_caller_of(g, UMBRA_ID(caller, 0));
	if (c) {
		gate_sights_free(g, c);
		c->sights = sights;
		c->n_sights = n;
		sights = NULL;
	}
	for (size_t i = 0; c && i < n; i++) {
		g->n_sights += is_wanted(&c->sights[i]);
		sight_turn(g, &c->sights[i]);
	}
	pthread_rwlock_unlock(&g->callers_lock);
	free(sights);
	gate_drain_arm(g);
	return 0;
}

void gate_caller_see_anew(struct gate *g, unsigned caller, const struct gate_sight *as)
{
	struct gate_caller *c;
	struct sight *s;

	pthread_rwlock_wrlock(&g->callers_lock);
	c = gate_caller_of(g, UMBRA_ID(caller, 0));
	s = c ? sight_of(c, as->en.fn) : NULL;
	if (s) {
		g->n_sights -= is_wanted(s);
		s->as = *as;
		g->n_sights += is_wanted(s);
		/* The next call is the first one by this policy. */
		atomic_store(&s->told, false);
		sight_turn(g, s);
	}
	pthread_rwlock_unlock(&g->callers_lock);
	gate_drain_arm(g);
}

/* Makes the line, by a policy's line; callers_lock is held. False: it is not to be there. */
static bool seen_record(struct gate *g, struct gate_caller *caller, const struct sight *s,
			const struct policy_request *r, const struct seen_call *c,
			struct record_line *line)
{
	struct decision d;

	memset(&d, 0, offsetof(struct decision, root));
	d.root[0] = d.name[0] = '\0';
	d.verdict = VERDICT_PASS;
	d.record = true;
	d.rule = s->as.rule;
	return !record_add(g->rec,
			   &(struct record_call){ .time_ns = c->time_ns,
						  .session = caller->session,
						  .driver = caller->driver,
						  .req = r,
						  .d = &d,
						  .first = c->by_exit && !atomic_load(&s->told) },
			   line) &&
	       line->len;
}

/*
 * Puts the line into the record: that of a first call may wait for room, so no lock is held
 * meanwhile. Others are lost where there is none, and counted. callers_lock is held.
 */
static void seen_put_line(struct gate *g, struct gate_caller *caller, struct sight *s,
			  const struct seen_call *c, struct record_line *line)
{
	const u64 serial = caller->serial;
	int ret = 0;

	if (line->len) {
		pthread_rwlock_unlock(&g->callers_lock);
		ret = record_write(g->rec, line);
		pthread_rwlock_rdlock(&g->callers_lock);
		caller = gate_caller_of(g, c->id);
		s = caller && caller->serial == serial ? sight_of(caller, UMBRA_ID_FN((u32)c->id))
						       : NULL;
	}
	if (ret || !c->by_exit || !s || atomic_exchange(&s->told, true))
		return;
	sight_turn(g, s);
}

s64 gate_seen_put(struct gate *g, const struct seen_call *c)
{
	const struct seen_fn *fn = c->id <= UINT32_MAX ? gate_seen_of(g, c->id) : NULL;
	char call[CALL_TEXT], result[100];
	struct record_line line = { .buf = NULL };
	struct gate_caller *caller;
	struct policy_request r;
	struct sight *s;

	if (!fn)
		return -EINVAL;
	r = (struct policy_request){ .fn = &fn->row,
				     .vcpu = c->vcpu,
				     .pid = c->pid,
				     .command = c->command,
				     .duration_ns = c->duration_ns,
				     .guest_ns = c->guest_ns,
				     .atomic = !c->may_wait };
	memcpy(r.args, c->args, sizeof(r.args));
	pthread_rwlock_rdlock(&g->callers_lock);
	caller = gate_caller_of(g, c->id);
	s = caller ? sight_of(caller, UMBRA_ID_FN((u32)c->id)) : NULL;
	/* A policy that came meanwhile may not want to see it. */
	if (s && is_wanted(s)) {
		if (record_has_lines(g->rec)) {
			kernel_call_text(g->k, fn->type, r.args, c->texts, call, sizeof(call));
			kernel_result_text(g->k, fn->type, c->ret, result, sizeof(result));
			r.call = call;
			r.result = result;
		}
		atomic_fetch_add_explicit(&caller->calls, 1, memory_order_relaxed);
		seen_record(g, caller, s, &r, c, &line);
		seen_put_line(g, caller, s, c, &line);
	}
	pthread_rwlock_unlock(&g->callers_lock);
	return caller ? 0 : -EINVAL;
}

s64 gate_seen(struct gate *g, unsigned vcpu, u64 idx, u64 id, u64 ret)
{
	struct umbra_frame f; /* the head and some bytes behind it: the one copy (G4) */
	struct seen_call c = { .id = id, .vcpu = vcpu, .ret = ret, .by_exit = true };
	u32 used;

	if (idx >= UMBRA_FRAMES || id > UINT32_MAX || UMBRA_ID_CALLER(id) >= UMBRA_CALLERS)
		return -EINVAL;
	atomic_fetch_add_explicit(&g->calls, 1, memory_order_relaxed);
	memcpy(&f, &g->frames[idx], offsetof(struct umbra_frame, data) + DATA_MAX);
	used = f.used < DATA_MAX ? f.used : DATA_MAX;
	for (unsigned i = 0; i < UMBRA_ARGS; i++) {
		const struct umbra_str s = f.text[i];

		if (!s.len || s.len > used || s.off > used - s.len)
			continue;
		f.data[s.off + s.len - 1] = '\0';
		c.texts[i] = f.data + s.off;
	}
	memcpy(c.args, f.args, sizeof(c.args));
	f.command[sizeof(f.command) - 1] = '\0';
	c.command = f.command[0] ? f.command : NULL;
	c.pid = f.pid;
	c.duration_ns = f.old;
	c.guest_ns = f.time;
	c.site = f.site;
	c.may_wait = !(f.flags & UMBRA_FRAME_ATOMIC);
	c.time_ns = g->now(g->m);
	atomic_store_explicit(&g->guest_skew, (s64)(c.time_ns - f.time - f.old),
			      memory_order_relaxed);
	return gate_seen_put(g, &c);
}
