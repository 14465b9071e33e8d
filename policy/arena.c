// SPDX-License-Identifier: GPL-2.0-only
/* Allocates from blocks that are freed all at once. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/arena.h"

#define BLOCK_SIZE 65536u
#define ALIGNMENT  16u

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	_Alignas(ALIGNMENT) u8 data[];
};

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	struct arena_block *b = a->head;
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
		b->next = a->head;
		a->head = b;
	}
	mem = b->data + b->used;
	b->used += want;
	return mem;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_alloc(a, len + 1, 1);

	if (copy)
		memcpy(copy, s, len);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return arena_strndup(a, text, strlen(text));
}

void arena_free(struct arena *a)
{
	struct arena_block *next;

	for (struct arena_block *b = a->head; b; b = next) {
		next = b->next;
		free(b);
	}
	a->head = NULL;
}
