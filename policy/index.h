/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Indexes rules by the literal bytes that a name must begin with.
 *
 * Rules are looked for by the name, not one after the other: a hash is carried along the name byte
 * by byte and looked up at each length that some rule's key has. So a look-up costs the length of
 * the name and the rules that begin like it, whether the policy has ten rules or 100,000. A path
 * table has whole paths as keys; the key of a glob is the text before its first special character.
 *
 * Keys belong to the caller and must outlive the index. @tag separates several sets of keys (one
 * for each function) in one index.
 */
#ifndef UMBRA_POLICY_INDEX_H
#define UMBRA_POLICY_INDEX_H

#include "base/fnv.h"
#include "base/types.h"
#include "policy/pool.h"

#define INDEX_KEY_MAX 4096 /* keys are shorter */

struct index_entry {
	u64 hash;
	const char *key;
	u32 len;
	u32 tag;
	u32 id;
	u32 next; /* in the same bucket: 1 + number of the entry, 0: none */
};

struct index {
	struct index_entry *entries;
	u32 *buckets; /* as index_entry.next */
	u32 count, max, mask;
	u64 lengths[INDEX_KEY_MAX / 64]; /* bit n: some key has length n */
};

/* Makes an empty index of at most @max entries. -ENOMEM. */
int index_init(struct index *ix, struct pool *p, u32 max);
/*
 * Adds an entry whose key has @len bytes, below INDEX_KEY_MAX. Entries that share a key are found
 * in the reverse of the order in which they were added.
 */
void index_add(struct index *ix, u32 tag, const char *key, u32 len, u32 id);

/* These begin and go on with the hash of a key, byte by byte, for index_find(). */
u64 index_hash_start(u32 tag);
static inline u64 index_hash_step(u64 hash, char c)
{
	return fnv_step(hash, (u8)c);
}

static inline bool index_has_length(const struct index *ix, size_t len)
{
	return len < INDEX_KEY_MAX && (ix->lengths[len / 64] >> (len % 64) & 1);
}

/* Returns the first entry with this key, or the one after @prev; NULL: there are no more. */
const struct index_entry *index_find(const struct index *ix, u64 hash, u32 tag, const char *key,
				     size_t len);
const struct index_entry *index_next(const struct index *ix, const struct index_entry *prev);

/* Returns the number of leading bytes of the glob @pattern that have no special meaning. */
size_t glob_literal(const char *pattern);
/*
 * Returns true if @name matches. * and ? match any byte, also a slash: a rule for "/sbin/" and a
 * star covers all that is below.
 */
bool glob_match(const char *pattern, const char *name);

#endif
