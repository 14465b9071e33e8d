// SPDX-License-Identifier: GPL-2.0-only
/* Finds rows of the catalogue. */
#include <pthread.h>
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

static u64 undone_spaces[CATALOG_MAX]; /* of each row: a bit for each space of what it undoes */

_Static_assert(SPACES <= 64, "a bit for each space");

static void find_undone_spaces(void)
{
	for (size_t i = 0; i < catalog_n_rows; i++) {
		const struct catalog_fn *fn = &catalog_rows[i];
		const struct catalog_fn *undo = fn->undo ? catalog_find(fn->undo) : NULL;

		if (undo)
			undone_spaces[catalog_index(undo)] |= 1ULL << fn->space;
	}
}

bool catalog_undoes_in(const struct catalog_fn *undo, enum name_space space)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find_undone_spaces);
	return undone_spaces[catalog_index(undo)] & 1ULL << space;
}

unsigned catalog_index(const struct catalog_fn *fn)
{
	return (unsigned)(fn - catalog_rows);
}
