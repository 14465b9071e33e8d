// SPDX-License-Identifier: GPL-2.0-only
/* Creates and ends the gate, and hands out its pages. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/little_endian.h"
#include "guest-shim/gate_blob.h"
#include "vmm/gate/gate_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine.h"

_Static_assert(UMBRA_GPA == LAYOUT_UMBRA && UMBRA_GPA_END == LAYOUT_UMBRA_END, "one layout");
_Static_assert(UMBRA_PORT == LAYOUT_PORT_DOORBELL, "one port");

_Static_assert(UMBRA_SEEN_CPUS >= LAYOUT_MAX_CPUS, "a ring for every CPU");
_Static_assert(UMBRA_FRAMES >= UMBRA_CONTEXTS * LAYOUT_MAX_CPUS,
	       "a frame for every context of every CPU (G5)");

#define PAGES (UMBRA_PAGES_SIZE / 4096)

static int gate_add_slots(struct gate *g, struct err *e)
{
	const struct {
		u64 gpa;
		size_t len;
		bool writable;
		void **hva;
	} slots[] = {
		{ UMBRA_INFO_GPA, UMBRA_INFO_SIZE, false, (void **)&g->info },
		{ UMBRA_GATE_GPA, UMBRA_GATE_SIZE, false, (void **)&g->page },
		{ UMBRA_SEEN_GPA, UMBRA_SEEN_SIZE, true, (void **)&g->seen_area },
		{ UMBRA_FRAME_GPA, UMBRA_FRAMES_SIZE, true, (void **)&g->frames },
		{ UMBRA_ANSWER_GPA, UMBRA_FRAMES_SIZE, false, (void **)&g->answers },
		{ UMBRA_ARENA_GPA, UMBRA_ARENA_SIZE, false, (void **)&g->arena },
		{ UMBRA_MAILBOX_GPA, UMBRA_MAILBOX_SIZE, false, (void **)&g->mailbox },
		{ UMBRA_PAGES_GPA, UMBRA_PAGES_SIZE, false, (void **)&g->pages },
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		ret = machine_add_slot(g->m, slots[i].gpa, slots[i].len, slots[i].writable,
				       slots[i].hva, e);
		if (ret)
			return ret;
	}
	return 0;
}

/* Makes page 0 the trap page; all others are free. */
static void trap_page_fill(struct gate *g)
{
	memset(g->page_used, 0, PAGES);
	memset(g->pages, 0xcc, 4096);
	g->page_used[0] = 1;
	g->page_hint = 1;
}

int gate_create(struct gate **out, struct machine *m, struct kernel *k, u64 kaslr,
		struct record *rec, struct err *e)
{
	struct gate *g = calloc(1, sizeof(*g));
	int ret = -ENOMEM;

	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	g->m = m;
	g->k = k;
	g->kaslr = kaslr;
	g->rec = rec;
	g->now = machine_time_ns;
	g->event = -1;
	g->tail = &g->head;
	gate_callers_init(g);
	gate_rings_init(g);
	gate_decided_init(g);
	pthread_mutex_init(&g->done_lock, NULL);
	g->page_used = calloc(PAGES, 1);
	if (!g->page_used || gate_seen_init(g)) {
		err_set(e, ret, "out of memory");
		goto fail;
	}
	ret = gate_add_slots(g, e);
	if (ret)
		goto fail;
	ret = ledger_create(&g->ledger, UMBRA_CALLERS, g->arena, UMBRA_ARENA_SIZE);
	if (ret) {
		err_set(e, ret, "out of memory");
		goto fail;
	}
	trap_page_fill(g);
	ret = gate_fill_info(g, e);
	if (ret)
		goto fail;
	g->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->event < 0) {
		ret = err_set(e, -errno, "eventfd: %s", strerror(errno));
		goto fail;
	}
	ret = gate_doorbell_init(g, e);
	if (ret)
		goto fail;
	*out = g;
	return 0;
fail:
	gate_destroy(g);
	return ret;
}

void gate_destroy(struct gate *g)
{
	if (!g)
		return;
	if (g->loop)
		loop_del(g->loop, g->event);
	if (g->event >= 0)
		close(g->event);
	g->drained = true;
	gate_traces_end(g, NULL);
	if (g->drain_timer >= 0)
		loop_timer_del(g->loop, g->drain_timer);
	gate_callers_destroy(g);
	gate_rings_destroy(g);
	gate_decided_destroy(g);
	gate_row_types_forget(g);
	gate_mailbox_free_all(g);
	gate_seen_forget(g);
	gate_watched_forget(g);
	ledger_destroy(g->ledger);
	free(g->page_used);
	pthread_mutex_destroy(&g->done_lock);
	free(g);
}

void gate_end_calls(struct gate *g, const char *why)
{
	if (!g)
		return;
	gate_drain(g);
	gate_traces_end(g, why);
	g->drained = true;
}

void gate_forget_commands(struct gate *g)
{
	pthread_mutex_lock(&g->done_lock);
	gate_mailbox_free_all(g);
	pthread_mutex_unlock(&g->done_lock);
}

int gate_reset(struct gate *g, struct err *e)
{
	static const u64 slots[] = { UMBRA_INFO_GPA,   UMBRA_GATE_GPA,	UMBRA_FRAME_GPA,
				     UMBRA_ANSWER_GPA, UMBRA_ARENA_GPA, UMBRA_MAILBOX_GPA,
				     UMBRA_PAGES_GPA,  UMBRA_SEEN_GPA };
	int ret = 0;

	g->drained = true;
	gate_traces_end(g, NULL);
	gate_forget_commands(g);
	gate_callers_forget(g);
	gate_rings_forget(g);
	gate_decided_forget(g);
	gate_row_types_forget(g);
	gate_drain_arm(g);
	gate_seen_forget(g);
	gate_watched_forget(g);
	/* Before what it has lent is cleared. */
	ledger_destroy(g->ledger);
	g->ledger = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(slots) && !ret; i++)
		ret = machine_clear_slot(g->m, slots[i]);
	if (ret)
		return err_set(e, ret, "cannot clear the gate's memory: %s", strerror(-ret));
	if (ledger_create(&g->ledger, UMBRA_CALLERS, g->arena, UMBRA_ARENA_SIZE) ||
	    gate_seen_init(g))
		return err_set(e, -ENOMEM, "out of memory");
	atomic_store(&g->gate_va, 0); /* (G3): another hello may come */
	g->exports_live = 0;
	g->hello = NULL;
	g->sections = NULL;
	g->coming = NULL;
	g->hello_told = g->full = g->gone_seen = g->taken = g->gone = false;
	g->seq = 0;
	g->k = NULL;
	return 0;
}

int gate_restart(struct gate *g, struct kernel *k, u64 kaslr, struct err *e)
{
	g->k = k;
	g->kaslr = kaslr;
	trap_page_fill(g);
	gate_doorbell_fill(g);
	return gate_fill_info(g, e);
}

int gate_start(struct gate *g, struct loop *l)
{
	int ret;

	assert(!g->loop);
	ret = loop_add(l, g->event, EPOLLIN, gate_mailbox_event, g);
	if (!ret)
		g->loop = l;
	return ret;
}

void gate_set_hello_hook(struct gate *g, gate_hello_fn *fn, void *arg)
{
	assert(!g->hello);
	g->hello = fn;
	g->hello_arg = arg;
}

void gate_set_coming_hook(struct gate *g, gate_coming_fn *fn, void *arg)
{
	assert(!g->coming);
	g->coming = fn;
	g->coming_arg = arg;
}

int gate_page_alloc(struct gate *g, u64 *gpa, u8 **hva)
{
	size_t n, i = g->page_hint;

	for (n = 0; n < PAGES; n++, i++) {
		if (i >= PAGES)
			i = 1;
		if (!g->page_used[i])
			break;
	}
	if (n == PAGES)
		return -ENOSPC;
	g->page_used[i] = 1;
	g->page_hint = i + 1;
	*gpa = UMBRA_PAGES_GPA + i * 4096;
	*hva = g->pages + i * 4096;
	memset(*hva, 0xcc, 4096);
	return 0;
}

void gate_page_free(struct gate *g, u64 gpa)
{
	size_t i = (gpa - UMBRA_PAGES_GPA) / 4096;

	if (i && i < PAGES) {
		g->page_used[i] = 0;
		memset(g->pages + i * 4096, 0xcc, 4096);
	}
}

void gate_record_event(struct gate *g, const char *kind, const char *text)
{
	record_event(g->rec, g->now(g->m), kind, text);
}

void gate_stats(struct gate *g, struct gate_stats *out)
{
	out->calls = atomic_load(&g->calls);
	out->results = atomic_load(&g->results);
	out->refused_doorbells = atomic_load(&g->refused);
	out->blocked_writes = atomic_load(&g->blocked);
	out->lost = atomic_load(&g->lost);
	out->nested = atomic_load(&g->nested);
	out->gate = atomic_load(&g->gate_va);
}
