// SPDX-License-Identifier: GPL-2.0-only
/* Keeps lent strings in chunks of the arena, found by a hash of their text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lent_names.h"

#define CHUNK	64
#define BUCKETS 4096
#define OWNERS	1024
#define SHARE	16

struct lent {
	struct lent *next;
	u32 off, chunks;
	unsigned owner;
	unsigned refs;
};

struct lent_names {
	char *arena;
	size_t chunks;
	size_t hint;
	u8 *used; /* one byte per chunk */
	struct lent *bucket[BUCKETS];
	u32 taken[OWNERS]; /* chunks by owner; owners that meet here share a share */
};

static size_t text_hash(const char *text)
{
	u32 h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (u8)*text) * 16777619u;
	return h % BUCKETS;
}

int lent_names_create(struct lent_names **out, char *arena, size_t size)
{
	struct lent_names *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->arena = arena;
	n->chunks = size / CHUNK;
	n->used = calloc(n->chunks, 1);
	if (!n->used) {
		free(n);
		return -ENOMEM;
	}
	n->used[0] = 1;
	n->hint = 1;
	*out = n;
	return 0;
}

void lent_names_destroy(struct lent_names *n)
{
	size_t i;

	if (!n)
		return;
	for (i = 0; i < BUCKETS; i++) {
		while (n->bucket[i]) {
			struct lent *next = n->bucket[i]->next;

			free(n->bucket[i]);
			n->bucket[i] = next;
		}
	}
	free(n->used);
	free(n);
}

/* First run of @want free chunks, from the hint on, then from the start. */
static size_t find_run(const struct lent_names *n, size_t want)
{
	size_t from, i, run, pass;

	for (pass = 0; pass < 2; pass++) {
		from = pass ? 1 : n->hint;
		for (i = from, run = 0; i < n->chunks; i++) {
			run = n->used[i] ? 0 : run + 1;
			if (run == want)
				return i + 1 - want;
		}
	}
	return 0;
}

int lent_names_get(struct lent_names *n, unsigned owner, const char *text, u32 *off)
{
	size_t len = strlen(text) + 1, want = (len + CHUNK - 1) / CHUNK, at;
	struct lent **b = &n->bucket[text_hash(text)], *e;

	for (e = *b; e; e = e->next) {
		if (e->owner == owner && !strcmp(n->arena + e->off, text)) {
			e->refs++;
			*off = e->off;
			return 0;
		}
	}
	if (n->taken[owner % OWNERS] + want > (n->chunks + SHARE - 1) / SHARE)
		return -ENOSPC;
	at = find_run(n, want);
	if (!at)
		return -ENOSPC;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	memset(n->used + at, 1, want);
	n->taken[owner % OWNERS] += (u32)want;
	n->hint = at + want;
	e->off = (u32)(at * CHUNK);
	e->chunks = (u32)want;
	e->owner = owner;
	e->refs = 1;
	memcpy(n->arena + e->off, text, len);
	e->next = *b;
	*b = e;
	*off = e->off;
	return 0;
}

static void lent_free(struct lent_names *n, struct lent **at)
{
	struct lent *e = *at;

	*at = e->next;
	memset(n->used + e->off / CHUNK, 0, e->chunks);
	n->taken[e->owner % OWNERS] -= e->chunks;
	if (e->off / CHUNK < n->hint)
		n->hint = e->off / CHUNK;
	free(e);
}

void lent_names_put(struct lent_names *n, u32 off)
{
	struct lent **at;

	if (!off)
		return;
	for (at = &n->bucket[text_hash(n->arena + off)]; *at; at = &(*at)->next) {
		if ((*at)->off != off)
			continue;
		if (!--(*at)->refs)
			lent_free(n, at);
		return;
	}
}

void lent_names_disown(struct lent_names *n, unsigned owner, unsigned heir)
{
	struct lent *e;

	for (size_t i = 0; i < BUCKETS; i++) {
		for (e = n->bucket[i]; e; e = e->next) {
			if (e->owner != owner)
				continue;
			e->owner = heir;
			n->taken[owner % OWNERS] -= e->chunks;
			n->taken[heir % OWNERS] += e->chunks;
		}
	}
}
