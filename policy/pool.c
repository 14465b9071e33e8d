// SPDX-License-Identifier: GPL-2.0-only
/* Allocates from blocks that are freed all at once. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/pool.h"

#define BLOCK_SIZE 65536u
#define ALIGNMENT  16u

struct pool_block {
	struct pool_block *next;
	size_t used, size;
	_Alignas(ALIGNMENT) u8 data[];
};

void *pool_alloc(struct pool *p, size_t count, size_t size)
{
	struct pool_block *b = p->head;
	size_t want, block;
	void *mem;

	if (__builtin_mul_overflow(count, size, &want) || want > SIZE_MAX / 2)
		return NULL;
	want = ALIGN_UP(want, (size_t)ALIGNMENT);
	if (!b || b->size - b->used < want) {
		block = want > BLOCK_SIZE ? want : BLOCK_SIZE;
		b = calloc(1, sizeof(*b) + block);
		if (!b)
			return NULL;
		b->size = block;
		b->next = p->head;
		p->head = b;
	}
	mem = b->data + b->used;
	b->used += want;
	return mem;
}

char *pool_strndup(struct pool *p, const char *s, size_t len)
{
	char *copy = pool_alloc(p, len + 1, 1);

	if (copy)
		memcpy(copy, s, len);
	return copy;
}

char *pool_printf(struct pool *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return pool_strndup(p, text, strlen(text));
}

void pool_free(struct pool *p)
{
	struct pool_block *next;

	for (struct pool_block *b = p->head; b; b = next) {
		next = b->next;
		free(b);
	}
	p->head = NULL;
}
