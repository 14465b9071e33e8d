// SPDX-License-Identifier: GPL-2.0-only
/* Keeps lent strings in chunks of the arena, found by a hash of their text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "policy/lent_names.h"

#define CHUNK	64
#define BUCKETS 4096
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
	unsigned owners;
	u32 *taken;    /* chunks by owner */
	size_t common; /* free chunks that are not set aside for an owner */
};

static size_t text_hash(const char *text)
{
	return fnv_string(FNV_START, text) % BUCKETS;
}

int lent_names_create(struct lent_names **out, unsigned owners, char *arena, size_t size)
{
	struct lent_names *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->arena = arena;
	n->chunks = size / CHUNK;
	n->owners = owners;
	n->used = calloc(n->chunks, 1);
	n->taken = calloc(owners, sizeof(*n->taken));
	if (!n->used || !n->taken) {
		lent_names_destroy(n);
		return -ENOMEM;
	}
	if (n->chunks - 1 > (size_t)LENT_NAMES_OWN * owners)
		n->common = n->chunks - 1 - (size_t)LENT_NAMES_OWN * owners;
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
	free(n->taken);
	free(n);
}

/* Returns the first run of @want free chunks, from the hint on, then from the start. */
static size_t chunks_find_run(const struct lent_names *n, size_t want)
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

/* Returns how many chunks of the common part an owner of @taken chunks has. */
static size_t common_chunks_of(size_t taken)
{
	return taken > LENT_NAMES_OWN ? taken - LENT_NAMES_OWN : 0;
}

/*
 * Returns true if @owner may have @want more chunks. Its part of the common ones never exceeds
 * those that stay free, so that something is left for the next owner.
 */
static bool share_allows(const struct lent_names *n, unsigned owner, size_t want)
{
	size_t all = n->taken[owner] + want, left = n->common + common_chunks_of(n->taken[owner]);

	return all <= (n->chunks + SHARE - 1) / SHARE && 2 * common_chunks_of(all) <= left;
}

static void share_set(struct lent_names *n, unsigned owner, size_t taken)
{
	n->common += common_chunks_of(n->taken[owner]);
	n->taken[owner] = (u32)taken;
	n->common -= common_chunks_of(taken);
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
	if (!share_allows(n, owner, want))
		return -ENOSPC;
	at = chunks_find_run(n, want);
	if (!at)
		return -ENOSPC;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	memset(n->used + at, 1, want);
	share_set(n, owner, n->taken[owner] + want);
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
	share_set(n, e->owner, n->taken[e->owner] - e->chunks);
	if (e->off / CHUNK < n->hint)
		n->hint = e->off / CHUNK;
	free(e);
}

/* Returns where the name at @off hangs in its bucket; NULL: there is none. */
static struct lent **lent_find(struct lent_names *n, u32 off)
{
	struct lent **at = &n->bucket[text_hash(n->arena + off)];

	while (*at && (*at)->off != off)
		at = &(*at)->next;
	return *at ? at : NULL;
}

void lent_names_put(struct lent_names *n, u32 off)
{
	struct lent **at = off ? lent_find(n, off) : NULL;

	if (at && !--(*at)->refs)
		lent_free(n, at);
}

bool lent_names_give(struct lent_names *n, u32 off, unsigned heir)
{
	struct lent **at = off ? lent_find(n, off) : NULL, *e;
	bool allowed;

	if (!at || (*at)->owner == heir)
		return true;
	e = *at;
	share_set(n, e->owner, n->taken[e->owner] - e->chunks);
	allowed = share_allows(n, heir, e->chunks);
	if (allowed)
		e->owner = heir;
	share_set(n, e->owner, n->taken[e->owner] + e->chunks);
	return allowed;
}
