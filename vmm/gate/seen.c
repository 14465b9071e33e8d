// SPDX-License-Identifier: GPL-2.0-only
/*
 * Describes functions that are no row of the catalogue, so that calls of them can be seen: a
 * descriptor for the shim, which it follows as it does those of the catalogue, and a row for the
 * record. Descriptors are made when a driver that imports the function is loaded, behind the
 * catalogue's in the info page, and stay until the guest ends: any driver may use them.
 *
 * The shim calls the function first and tells afterwards, with the result, into its CPU's ring
 * (see_ring.c) or, the first one of each driver, by an exit. None waits for the host to decide.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

_Static_assert(KERNEL_CALL_ARGS <= UMBRA_ARGS, "a frame has the arguments of a call that is seen");

int gate_seen_init(struct gate *g)
{
	return strmap_init(&g->seen.by_name, SEEN_MAX);
}

void gate_seen_forget(struct gate *g)
{
	for (size_t i = 0; i < g->seen.n; i++)
		free((void *)(uintptr_t)g->seen.list[i].row.name);
	free(g->seen.list);
	strmap_free(&g->seen.by_name);
	memset(&g->seen, 0, sizeof(g->seen));
}

/* Returns room for one more, NULL: there is none. */
static struct seen_fn *seen_room(struct gate *g)
{
	if (!g->seen.list)
		g->seen.list = calloc(SEEN_MAX, sizeof(*g->seen.list));
	return g->seen.list && g->seen.n < SEEN_MAX ? &g->seen.list[g->seen.n] : NULL;
}

int gate_see(struct gate *g, const char *symbol, u64 real, u32 *fn, const char **why)
{
	struct kernel_call call;
	struct seen_fn *s;
	struct umbra_fn *d;
	char *name;
	size_t first;
	int ret;

	catalog_all(&first);
	if (strmap_find(&g->seen.by_name, symbol, fn)) {
		*fn += (u32)first;
		return 0;
	}
	ret = kernel_call_shape(g->k, symbol, &call, why);
	if (ret)
		return ret;
	*why = "the guest's table of functions is full";
	s = seen_room(g);
	if (!s && !g->seen.full_told) {
		g->seen.full_told = true;
		record_event(g->rec, g->now(g->m), "not seen",
			     "the guest's table of functions is full: calls of others that are "
			     "loaded from now on cannot be seen");
	}
	name = s ? strdup(symbol) : NULL;
	if (!name)
		return -ENOSPC;
	*s = (struct seen_fn){ .row = { .name = name,
					.args = call.args,
					.refusal = REFUSE_NEVER /* it has returned */ },
			       .callee = kernel_callee(g->k, name) };
	d = &g->info->fns[first + g->seen.n];
	*d = (struct umbra_fn){
		.real = real, .nargs = call.args, .texts = call.texts, .how = UMBRA_HOW_SEE
	};
	*fn = (u32)g->seen.n++;
	strmap_add(&g->seen.by_name, name, *fn);
	*fn += (u32)first;
	*why = NULL;
	return 0;
}

const struct seen_fn *gate_seen_of(const struct gate *g, u64 id)
{
	size_t first;

	catalog_all(&first);
	return UMBRA_ID_FN(id) - first < g->seen.n ? &g->seen.list[UMBRA_ID_FN(id) - first] : NULL;
}
