// SPDX-License-Identifier: GPL-2.0-only
/*
 * Types arguments and results of functions of the catalogue, for calls that are seen, too.
 *
 * They are looked up when calls of the function are first to be seen, so that no start waits for
 * those that nobody looks at.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

void gate_row_prepare(struct gate *g, u32 fn)
{
	struct kernel_call call;
	const struct catalog_fn *all;
	const char *why;
	size_t n;

	all = catalog_all(&n);
	if (fn >= n || (g->row_types && g->row_types[fn].name))
		return;
	if (!g->row_types)
		g->row_types = calloc(n, sizeof(*g->row_types));
	if (!g->row_types)
		return; /* their calls are told without types */
	kernel_call_shape(g->k, all[fn].name, &call, &why);
	g->info->fns[fn].texts = call.texts;
	g->row_types[fn] = kernel_callee(g->k, all[fn].name);
}

static struct kernel_callee row_type(const struct gate *g, u32 fn)
{
	return g->row_types ? g->row_types[fn] : (struct kernel_callee){ .name = NULL };
}

void gate_row_text(struct gate *g, u32 fn, const struct told_call *c, char *call, size_t size,
		   char *result, size_t result_size)
{
	const struct kernel_callee f = row_type(g, fn);

	kernel_call_text(g->k, &f, c->args, c->texts, call, size);
	kernel_result_text(g->k, &f, c->ret, result, result_size);
}

bool gate_row_failed(struct gate *g, u32 fn, u64 ret)
{
	const struct kernel_callee f = row_type(g, fn);

	return kernel_call_failed(g->k, &f, ret);
}

void gate_row_types_forget(struct gate *g)
{
	free(g->row_types);
	g->row_types = NULL;
}
