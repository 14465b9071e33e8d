// SPDX-License-Identifier: GPL-2.0-only
/* Finds rows of the catalogue. */
#include <string.h>

#include "policy/catalog_int.h"

const struct catalog_fn *catalog_find(const char *name)
{
	for (size_t i = 0; i < catalog_n_rows; i++) {
		const struct catalog_fn *fn = &catalog_rows[i];

		if (fn->name[0] == name[0] && !strcmp(fn->name, name))
			return fn;
	}
	return NULL;
}

const struct catalog_fn *catalog_all(size_t *count)
{
	*count = catalog_n_rows;
	return catalog_rows;
}

unsigned catalog_index(const struct catalog_fn *fn)
{
	return (unsigned)(fn - catalog_rows);
}
