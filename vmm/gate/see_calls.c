// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts seen calls that are over into the record, and tells those who follow: calls that the shim
 * tells by an exit, and those of the rings (see_ring.c).
 *
 * The first call of each function by each caller leaves the guest: its line is the host's own word
 * that the driver uses the function. The host then has the entry lead to the ring. What comes from
 * there is the guest's word, as what its kernel says of itself always is: a driver that has taken
 * the kernel over can leave calls out, or put down some that were not made.
 */
#include <errno.h>
#include <string.h>

#include "vmm/gate/gate_int.h"
#include "vmm/machine/machine.h"

#define DATA_MAX (SEEN_TEXTS * UMBRA_TEXT_MAX)

/* Makes the record's line, by the policy's; tells those who follow. callers_lock is held. */
static void seen_tell(struct gate *g, struct gate_caller *caller, struct sight *s,
		      const struct policy_request *r, const struct told_call *c, bool failed,
		      struct record_line *line)
{
	struct decision d;
	const struct record_call call = { .time_ns = c->time_ns,
					  .session = caller->session,
					  .driver = caller->driver,
					  .req = r,
					  .d = &d,
					  .first = c->by_exit && !atomic_load(&s->told),
					  .row = &s->row };

	memset(&d, 0, offsetof(struct decision, root));
	d.root[0] = d.name[0] = '\0';
	d.verdict = VERDICT_PASS;
	d.record = true;
	d.rule = s->as.rule;
	if (s->as.rule)
		record_add(g->rec, &call, line);
	d.rule = "vmm trace";
	if (s->traces)
		gate_trace_call(g, s->traces, &call, failed);
}

/*
 * Puts the line into the record: that of a first call may wait for room, so no lock is held
 * meanwhile. Others are lost where there is none, and counted. callers_lock is held.
 */
static void seen_put_line(struct gate *g, struct gate_caller *caller, struct sight *s,
			  const struct told_call *c, struct record_line *line)
{
	const u64 serial = caller->serial;
	int ret = 0;

	if (line->len) {
		pthread_rwlock_unlock(&g->callers_lock);
		ret = record_write(g->rec, line);
		pthread_rwlock_rdlock(&g->callers_lock);
		caller = gate_caller_of(g, c->id);
		s = caller && caller->serial == serial
			    ? gate_sight_of(caller, UMBRA_ID_FN((u32)c->id))
			    : NULL;
	}
	if (ret || !c->by_exit || !s || atomic_exchange(&s->told, true))
		return;
	gate_sight_turn(g, s);
}

s64 gate_seen_put(struct gate *g, const struct told_call *c)
{
	const struct seen_fn *fn = c->id <= UINT32_MAX ? gate_seen_of(g, c->id) : NULL;
	char call[CALL_TEXT], result[RESULT_TEXT], site[SITE_TEXT];
	struct record_line line = { .buf = NULL };
	struct gate_caller *caller;
	struct policy_request r;
	struct sight *s;

	if (!fn)
		return c->by_exit ? -EINVAL : gate_decided_end(g, c);
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
	s = caller ? gate_sight_of(caller, UMBRA_ID_FN((u32)c->id)) : NULL;
	/*
	 * Each call of a witness leaves the guest, so what a ring says of one is no line: it was
	 * made up, or began before the policy that wants a witness.
	 */
	if (s && s->as.each && !c->by_exit) {
		record_lose(g->rec, c->time_ns, caller->session, 1);
		gate_trace_lose(g, caller->session, 1);
	} else if (s && gate_sight_is_wanted(s)) {
		/* A policy that came meanwhile may not want to see it. */
		if ((s->as.rule && record_has_lines(g->rec)) ||
		    gate_trace_wants_lines(g, s->traces)) {
			kernel_call_text(g->k, &fn->callee, r.args, c->texts, call, sizeof(call));
			kernel_result_text(g->k, &fn->callee, c->ret, result, sizeof(result));
			r.call = call;
			r.result = result;
			r.site = gate_site_text(g, caller, c->site, c->by_exit, site, sizeof(site));
		}
		atomic_fetch_add_explicit(&caller->calls, 1, memory_order_relaxed);
		seen_tell(g, caller, s, &r, c, kernel_call_failed(g->k, &fn->callee, c->ret),
			  &line);
		seen_put_line(g, caller, s, c, &line);
	}
	pthread_rwlock_unlock(&g->callers_lock);
	return caller ? 0 : -EINVAL;
}

s64 gate_seen(struct gate *g, unsigned vcpu, u64 idx, u64 id, u64 ret)
{
	struct umbra_frame f; /* the head and some bytes behind it: the one copy (G4) */
	struct told_call c = { .id = id, .vcpu = vcpu, .ret = ret, .by_exit = true };
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
