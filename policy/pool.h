/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocates memory that lives and dies with its owner: a policy has 100,000 small strings and
 * rules, none of which is ever freed alone, so that error paths have one thing to free.
 */
#ifndef UMBRA_POLICY_POOL_H
#define UMBRA_POLICY_POOL_H

#include "base/types.h"

struct pool_block;

/* All zero is an empty pool. */
struct pool {
	struct pool_block *head;
};

/* Allocates zeroed memory for @count times @size bytes, aligned for any type; NULL: none left. */
void *pool_alloc(struct pool *p, size_t count, size_t size);
/* Copies with a NUL at the end; NULL if out of memory. */
char *pool_strndup(struct pool *p, const char *s, size_t len);
char *pool_printf(struct pool *p, const char *fmt, ...) __printf(2, 3);
/* Frees everything that came from @p, which is then empty. */
void pool_free(struct pool *p);

#endif
