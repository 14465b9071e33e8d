// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes seen calls out of the guest's rings (guest-shim/abi.h): on a vCPU's thread when a ring is
 * half full, and on the loop's every DRAIN_MS as long as anything is seen, before what is seen
 * changes, and at the guest's end.
 *
 * Why a ring that is full loses calls rather than that they wait: who calls may be an interrupt's
 * handler or hold any lock of the guest's kernel, so it cannot wait for anything but the host's
 * drain, which it has just asked for by its doorbell. That made room, unless a call that is not
 * whole yet lies at the tail, interrupted by this very one: a wait would be for ever. The kernel's
 * function tracer does not wait either (it overwrites the oldest, or drops the newest where the
 * reader is a consumer), perf counts what it drops and says so where it would stand, and LTTng
 * drops the newest and counts by default, and lets only user space wait, for a time. Here the
 * newest is dropped, as a record is read from its start, and each caller's losses are counted, so
 * that its session's lines tell how many are missing where they would stand. It is next to never: a
 * line that the record has no room for (record.h) is what a flood of calls loses, of its own
 * session.
 *
 * All that is read is the guest's word. The host counts the tail by itself, reads no index, copies
 * each slot once, and a drain ends after as many slots as a ring has, whatever the guest writes
 * meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "vmm/gate/gate_int.h"
#include "vmm/machine/machine.h"

#define DRAIN_MS 100
#define KHZ_MAX	 100000000u

void gate_rings_init(struct gate *g)
{
	for (unsigned i = 0; i < UMBRA_SEEN_CPUS; i++)
		pthread_mutex_init(&g->rings[i].lock, NULL);
	g->drain_timer = -1;
}

void gate_rings_destroy(struct gate *g)
{
	for (unsigned i = 0; i < UMBRA_SEEN_CPUS; i++)
		pthread_mutex_destroy(&g->rings[i].lock);
}

void gate_rings_forget(struct gate *g)
{
	for (unsigned i = 0; i < UMBRA_SEEN_CPUS; i++) {
		struct seen_ring *r = &g->rings[i];

		r->tail = r->khz = 0;
		r->n_texts = 0;
		r->pid = 0;
	}
	memset(g->seen_lost, 0, sizeof(g->seen_lost));
	g->drained = false;
	g->guest_skew = 0;
}

union seen_slot {
	struct umbra_seen call;
	struct umbra_seen_text text;
	struct umbra_seen_clock clock;
};

/* Copies the slot at position @tail, if it is whole. */
static bool slot_copy(const struct umbra_seen_ring *ring, u64 tail, union seen_slot *out)
{
	const struct umbra_seen *s = &ring->slots[tail / UMBRA_SEEN_SLOT % UMBRA_SEEN_SLOTS];

	if (__atomic_load_n(&s->end, __ATOMIC_ACQUIRE) != tail + UMBRA_SEEN_SLOT)
		return false;
	memcpy(out, s, sizeof(*out));
	return true;
}

static void ring_keep_text(struct seen_ring *r, const struct umbra_seen_text *t)
{
	if (r->n_texts == SEEN_TEXTS || t->number >= UMBRA_ARGS)
		return;
	r->text_arg[r->n_texts] = (u8)t->number;
	memcpy(r->text[r->n_texts], t->text, UMBRA_TEXT_MAX);
	r->text[r->n_texts++][UMBRA_TEXT_MAX - 1] = '\0';
}

static void ring_set_task(struct seen_ring *r, const struct umbra_seen_text *t)
{
	r->pid = t->number;
	memcpy(r->command, t->text, sizeof(r->command));
	r->command[sizeof(r->command) - 1] = '\0';
}

static void ring_set_clock(struct seen_ring *r, const struct umbra_seen_clock *c)
{
	r->tsc = c->tsc;
	r->ns = c->ns;
	r->khz = c->khz <= KHZ_MAX ? c->khz : 0;
	r->interrupt = c->interrupt;
}

/* Returns what @ticks of the guest's time-stamp counter are in ns; 0: it is not known. */
static u64 ticks_ns(const struct seen_ring *r, u64 ticks)
{
	return r->khz ? (u64)((unsigned __int128)ticks * NS_PER_MS / r->khz) : 0;
}

/* Sets when the call was made: the host's time lies between this drain and the one before. */
static void ring_set_times(struct gate *g, const struct seen_ring *r, const struct umbra_seen *slot,
			   struct told_call *c, u64 now)
{
	s64 since = (s64)(slot->start - r->tsc);
	u64 at;

	c->time_ns = now;
	c->duration_ns = ticks_ns(r, slot->stop - slot->start);
	if (!r->khz)
		return;
	c->guest_ns =
		since < 0 ? r->ns - ticks_ns(r, -(u64)since) : r->ns + ticks_ns(r, (u64)since);
	at = c->guest_ns + (u64)atomic_load_explicit(&g->guest_skew, memory_order_relaxed);
	if (at < now)
		c->time_ns = at > r->drained_ns ? at : r->drained_ns;
}

static void ring_put(struct gate *g, struct seen_ring *r, const struct umbra_seen *slot, u64 now)
{
	struct told_call c = { .id = slot->id,
			       .vcpu = (unsigned)(r - g->rings),
			       .ret = slot->ret,
			       .site = slot->site,
			       .number = slot->number,
			       .pid = slot->context & r->interrupt ? 0 : slot->pid };

	atomic_fetch_add_explicit(&g->calls, 1, memory_order_relaxed);
	ring_set_times(g, r, slot, &c, now);
	for (unsigned i = 0; i < r->n_texts; i++)
		c.texts[r->text_arg[i]] = r->text[i];
	r->n_texts = 0;
	memcpy(c.args, slot->args, sizeof(c.args));
	/* Of another task the name was not said, or lost. */
	c.command = c.pid && c.pid == r->pid && r->command[0] ? r->command : NULL;
	gate_seen_put(g, &c);
}

/* Takes what is there, with the ring's lock; returns how many slots. */
static unsigned ring_take(struct gate *g, struct seen_ring *r)
{
	struct umbra_seen_ring *from = &g->seen_area->rings[r - g->rings];
	const u64 now = g->now(g->m);
	union seen_slot slot;
	unsigned n;

	for (n = 0; n < UMBRA_SEEN_SLOTS && slot_copy(from, r->tail, &slot); n++) {
		r->tail += UMBRA_SEEN_SLOT;
		/* Each at once, so that an interrupt of the guest's finds room. */
		__atomic_store_n(&from->tail, r->tail, __ATOMIC_RELEASE);
		if (slot.call.id == UMBRA_SEEN_TEXT)
			ring_keep_text(r, &slot.text);
		else if (slot.call.id == UMBRA_SEEN_TASK)
			ring_set_task(r, &slot.text);
		else if (slot.call.id == UMBRA_SEEN_CLOCK)
			ring_set_clock(r, &slot.clock);
		else
			ring_put(g, r, &slot.call, now);
	}
	r->drained_ns = now;
	return n;
}

s64 gate_drain_ring(struct gate *g, u64 cpu)
{
	struct seen_ring *r = &g->rings[cpu % UMBRA_SEEN_CPUS];

	if (cpu >= UMBRA_SEEN_CPUS)
		return -EINVAL;
	pthread_mutex_lock(&r->lock);
	ring_take(g, r);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

/* Has the record tell what the guest says that it had no slots for. */
static void drain_losses(struct gate *g)
{
	pthread_rwlock_rdlock(&g->callers_lock);
	for (unsigned i = 0; i < UMBRA_CALLERS; i++) {
		u32 lost = __atomic_load_n(&g->seen_area->lost[i], __ATOMIC_RELAXED);

		if (lost == g->seen_lost[i])
			continue;
		if (g->callers[i]) {
			record_lose(g->rec, g->now(g->m), g->callers[i]->session,
				    lost - g->seen_lost[i]);
			gate_trace_lose(g, g->callers[i]->session, lost - g->seen_lost[i]);
		}
		g->seen_lost[i] = lost;
	}
	pthread_rwlock_unlock(&g->callers_lock);
}

void gate_drain(struct gate *g)
{
	if (!g->seen_area || g->drained)
		return;
	for (unsigned i = 0; i < UMBRA_SEEN_CPUS; i++)
		gate_drain_ring(g, i);
	drain_losses(g);
}

/* Drains by the timer: no ring that a vCPU drains, and no more than one ring's worth of all. */
static void drain_tick(void *arg, u32 events)
{
	struct gate *g = arg;
	unsigned n = 0;

	(void)events;
	if (g->drained)
		return;
	for (unsigned i = 0; i < UMBRA_SEEN_CPUS && n < UMBRA_SEEN_SLOTS; i++) {
		struct seen_ring *r = &g->rings[g->drain_at];
		unsigned taken = 0;

		g->drain_at = (g->drain_at + 1) % UMBRA_SEEN_CPUS;
		if (pthread_mutex_trylock(&r->lock))
			continue;
		taken = ring_take(g, r);
		/* Time goes on: whoever is next says what it is. A vCPU may overwrite this. */
		if (taken)
			__atomic_store_n(&g->seen_area->rings[r - g->rings].room, 0,
					 __ATOMIC_RELAXED);
		pthread_mutex_unlock(&r->lock);
		n += taken;
	}
	drain_losses(g);
}

void gate_drain_arm(struct gate *g)
{
	if (!g->loop)
		return;
	if (g->drain_timer < 0)
		g->drain_timer = loop_timer(g->loop, 0, 0, drain_tick, g);
	if (g->drain_timer >= 0)
		loop_timer_set(g->loop, g->drain_timer, g->n_sights ? DRAIN_MS * NS_PER_MS : 0,
			       DRAIN_MS * NS_PER_MS);
}
