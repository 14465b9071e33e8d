/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes a gate without a machine, for what calls it as a guest's kernel would. */
#ifndef UMBRA_TESTS_UNIT_VMM_GATE_FIXTURE_H
#define UMBRA_TESTS_UNIT_VMM_GATE_FIXTURE_H

#include <stdlib.h>

#include "vmm/gate/gate_int.h"

static inline u64 gate_fixture_now(const struct machine *m)
{
	(void)m;
	return 0;
}

/* Gives @g, which is zero, its memory, callers, ledger and record; false: that failed. */
static inline bool gate_fixture_make(struct gate *g)
{
	g->now = gate_fixture_now;
	g->frames = calloc(UMBRA_FRAMES, sizeof(*g->frames));
	g->answers = calloc(UMBRA_FRAMES, sizeof(*g->answers));
	g->arena = calloc(1, UMBRA_ARENA_SIZE);
	g->info = calloc(1, sizeof(*g->info));
	g->seen_area = calloc(1, sizeof(*g->seen_area));
	gate_callers_init(g);
	gate_rings_init(g);
	gate_decided_init(g);
	return g->info && g->seen_area && !gate_seen_init(g) && g->frames && g->answers &&
	       g->arena && !ledger_create(&g->ledger, UMBRA_CALLERS, g->arena, UMBRA_ARENA_SIZE) &&
	       !record_create(&g->rec, NULL, NULL);
}

/* Frees what gate_fixture_make() made, and the callers that are left. */
static inline void gate_fixture_free(struct gate *g)
{
	gate_callers_destroy(g);
	record_close(g->rec, NULL);
	ledger_destroy(g->ledger);
	gate_seen_forget(g);
	gate_rings_destroy(g);
	gate_decided_destroy(g);
	gate_row_types_forget(g);
	free(g->seen_area);
	gate_watched_forget(g);
	free(g->info);
	free(g->frames);
	free(g->answers);
	free(g->arena);
}

#endif
