/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Maps names to numbers by an open-addressing hash table of fixed capacity.
 *
 * The keys are not copied: they live in the image, the module or the BTF that the table indexes and
 * must outlive it. The hash is seeded per table, so that a hostile file cannot be built to make all
 * of its names collide.
 */
#ifndef UMBRA_BASE_STRMAP_H
#define UMBRA_BASE_STRMAP_H

#include "base/types.h"

struct strmap_slot {
	const char *key; /* NULL: free */
	u32 hash;
	u32 value;
};

struct strmap {
	struct strmap_slot *slots;
	u32 mask;
	u32 used;
	u64 seed;
};

/* Makes an empty table that takes at least @expected keys; it does not grow. 0 or -ENOMEM. */
int strmap_init(struct strmap *m, size_t expected);
/* Frees the table; one that is all zero is allowed. */
void strmap_free(struct strmap *m);

/* Adds @key; returns false if it is there already (its value stays) or the table is full. */
bool strmap_add(struct strmap *m, const char *key, u32 value);
/*
 * Finds @key's value; returns false if there is none, as in a table that is all zero. @value may be
 * NULL.
 */
bool strmap_find(const struct strmap *m, const char *key, u32 *value);

#endif
