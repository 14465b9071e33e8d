// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds names in a table of them: by a hash table that was made of all, or, in a prepared kernel,
 * by their order, which is in its file. That costs 17 comparisons for a name of 150,000, and no
 * memory; making the hash table costs 4 ms, and memory of its own for each VMM.
 */
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"

bool name_index_find(const struct name_index *x, const struct name_table *t, const char *name,
		     u32 *value)
{
	u32 lo = 0, hi = x->n;

	if (!x->order)
		return strmap_find(&x->map, name, value);
	/* the first that is not less: of several with one name the one that was first */
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (strcmp(t->name(t->of, x->order[mid]), name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == x->n || strcmp(t->name(t->of, x->order[lo]), name) != 0)
		return false;
	*value = x->order[lo];
	return true;
}

void name_index_free(struct name_index *x)
{
	strmap_free(&x->map);
	memset(x, 0, sizeof(*x));
}

static int by_name(const void *pa, const void *pb, void *arg)
{
	const struct name_table *t = arg;
	const u32 a = *(const u32 *)pa, b = *(const u32 *)pb;
	const int ret = strcmp(t->name(t->of, a), t->name(t->of, b));

	if (ret)
		return ret;
	return a < b ? -1 : a > b;
}

void name_index_sort(u32 *order, u32 n, const struct name_table *t)
{
	qsort_r(order, n, sizeof(*order), by_name, (void *)(uintptr_t)t);
}
