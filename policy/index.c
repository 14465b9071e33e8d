// SPDX-License-Identifier: GPL-2.0-only
/* Finds the rules that may fit a name, by a hash of how it begins. */
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "policy/index.h"

int index_init(struct index *ix, struct pool *p, u32 max)
{
	u32 size = 16;

	memset(ix, 0, sizeof(*ix));
	while (size < max && size < 1u << 30)
		size *= 2;
	ix->entries = pool_alloc(p, max ? max : 1, sizeof(*ix->entries));
	ix->buckets = pool_alloc(p, size, sizeof(*ix->buckets));
	if (!ix->entries || !ix->buckets)
		return -ENOMEM;
	ix->max = max;
	ix->mask = size - 1;
	return 0;
}

u64 index_hash_start(u32 tag)
{
	return fnv_step(FNV_START, tag);
}

static u32 bucket_of(const struct index *ix, u64 hash)
{
	return (u32)(hash ^ hash >> 32) & ix->mask;
}

void index_add(struct index *ix, u32 tag, const char *key, u32 len, u32 id)
{
	struct index_entry *e;
	u32 *head;

	if (ix->count >= ix->max || len >= INDEX_KEY_MAX)
		return;
	e = &ix->entries[ix->count++];
	e->hash = index_hash_start(tag);
	for (u32 i = 0; i < len; i++)
		e->hash = index_hash_step(e->hash, key[i]);
	e->key = key;
	e->len = len;
	e->tag = tag;
	e->id = id;
	head = &ix->buckets[bucket_of(ix, e->hash)];
	e->next = *head;
	*head = ix->count;
	ix->lengths[len / 64] |= 1ull << (len % 64);
}

static const struct index_entry *chain_find(const struct index *ix, u32 from, u64 hash, u32 tag,
					    const char *key, size_t len)
{
	for (u32 n = from; n; n = ix->entries[n - 1].next) {
		const struct index_entry *e = &ix->entries[n - 1];

		if (e->hash == hash && e->tag == tag && e->len == len && !memcmp(e->key, key, len))
			return e;
	}
	return NULL;
}

const struct index_entry *index_find(const struct index *ix, u64 hash, u32 tag, const char *key,
				     size_t len)
{
	if (!ix->count)
		return NULL;
	return chain_find(ix, ix->buckets[bucket_of(ix, hash)], hash, tag, key, len);
}

const struct index_entry *index_next(const struct index *ix, const struct index_entry *prev)
{
	return chain_find(ix, prev->next, prev->hash, prev->tag, prev->key, prev->len);
}

size_t glob_literal(const char *pattern)
{
	return strcspn(pattern, "*?[\\");
}

bool glob_match(const char *pattern, const char *name)
{
	return fnmatch(pattern, name, 0) == 0;
}
