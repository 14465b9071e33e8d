// SPDX-License-Identifier: GPL-2.0-only
/* Keeps what is to be seen of each caller, and turns its entries accordingly. */
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

static int compare_numbers(const void *a, const void *b)
{
	u32 x = ((const struct sight *)a)->as.en.fn, y = ((const struct sight *)b)->as.en.fn;

	return (x > y) - (x < y);
}

struct sight *gate_sight_of(const struct gate_caller *c, u32 fn)
{
	const struct sight key = { .as.en.fn = fn };

	return c->n_sights ? bsearch(&key, c->sights, c->n_sights, sizeof(key), compare_numbers)
			   : NULL;
}

static const char *sight_name(const struct gate *g, const struct sight *s)
{
	const struct seen_fn *fn = gate_seen_of(g, s->as.en.fn);
	size_t n;

	return fn ? fn->row.name : catalog_all(&n)[s->as.en.fn].name;
}

void gate_sight_turn(struct gate *g, struct sight *s)
{
	const bool local = !s->as.critical && !s->as.each && gate_seen_of(g, s->as.en.fn);

	if (s->as.closed)
		gate_own_entry_lead(&s->as.en, s->as.closed);
	else if (s->as.critical || gate_sight_is_wanted(s))
		gate_own_entry_turn(g, &s->as.en,
				    local && atomic_load(&s->told) ? ENTRY_RING : ENTRY_EXIT);
	else if (!s->as.stays)
		gate_own_entry_turn(g, &s->as.en, ENTRY_KERNEL);
}

/* Finds out who follows it; the next call is the first one again, which leaves the guest. */
static void sight_begin(struct gate *g, const struct gate_caller *c, struct sight *s)
{
	s->traces = g->traces ? gate_traces_of(g, c, sight_name(g, s)) : 0;
	g->n_sights += gate_sight_is_wanted(s);
	if (gate_sight_is_wanted(s))
		gate_row_prepare(g, s->as.en.fn);
	atomic_store(&s->told, false);
	gate_sight_turn(g, s);
}

void gate_sights_free(struct gate *g, struct gate_caller *c)
{
	for (size_t i = 0; i < c->n_sights; i++)
		g->n_sights -= gate_sight_is_wanted(&c->sights[i]);
	free(c->sights);
	c->sights = NULL;
	c->n_sights = 0;
}

void gate_sights_set(struct gate *g, struct gate_caller *c, struct sight *list, size_t n)
{
	gate_sights_free(g, c);
	if (n)
		qsort(list, n, sizeof(*list), compare_numbers);
	c->sights = list;
	c->n_sights = n;
	for (size_t i = 0; i < n; i++)
		sight_begin(g, c, &list[i]);
}

void gate_sight_change(struct gate *g, struct gate_caller *c, const struct gate_sight *as)
{
	struct sight *s = gate_sight_of(c, as->en.fn);

	if (!s)
		return;
	g->n_sights -= gate_sight_is_wanted(s);
	s->as = *as;
	sight_begin(g, c, s);
}

void gate_sights_retrace(struct gate *g)
{
	for (unsigned i = 0; i < UMBRA_CALLERS; i++) {
		struct gate_caller *c = g->callers[i];

		for (size_t k = 0; c && k < c->n_sights; k++) {
			struct sight *s = &c->sights[k];

			if (gate_traces_of(g, c, sight_name(g, s)) == s->traces)
				continue;
			g->n_sights -= gate_sight_is_wanted(s);
			sight_begin(g, c, s);
		}
	}
}
