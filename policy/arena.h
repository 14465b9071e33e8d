/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocates memory that lives and dies with its owner: a policy has 100,000 small strings and
 * rules, none of which is ever freed alone, so that error paths have one thing to free.
 */
#ifndef UMBRA_POLICY_ARENA_H
#define UMBRA_POLICY_ARENA_H

#include "base/types.h"

struct arena_block;

/* All zero is an empty arena. */
struct arena {
	struct arena_block *head;
};

/* Zeroed memory for @count times @size bytes, aligned for any type; NULL if there is none. */
void *arena_alloc(struct arena *a, size_t count, size_t size);
/* Copies with a NUL at the end; NULL if out of memory. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __printf(2, 3);
/* Free everything that came from @a, which is then empty. */
void arena_free(struct arena *a);

#endif
