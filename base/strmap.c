// SPDX-License-Identifier: GPL-2.0-only
/* Implements the hash table from names to numbers: open addressing, linear probing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/strmap.h"

/*
 * Mixes @w into @h by both halves of a product: each bit of @w changes all bits, by carries that
 * the seed decides.
 */
static u64 hash_word(u64 h, u64 w)
{
	__uint128_t product = (__uint128_t)(h ^ w) * 0x9e3779b97f4a7c15ull;

	return (u64)product ^ (u64)(product >> 64);
}

/*
 * Hashes eight bytes at a time: each driver that is linked looks up some hundred names of 20 bytes.
 */
static u32 hash_name(u64 seed, const char *s)
{
	size_t left = strlen(s);
	u64 h = seed ^ left, w;

	for (; left >= sizeof(w); s += sizeof(w), left -= sizeof(w)) {
		memcpy(&w, s, sizeof(w));
		h = hash_word(h, w);
	}
	for (w = 0; left; left--)
		w = w << 8 | (u8)*s++;
	h = hash_word(h, w);
	return (u32)(h ^ (h >> 32));
}

int strmap_init(struct strmap *m, size_t expected)
{
	size_t n = 16;

	memset(m, 0, sizeof(*m));
	if (expected > UINT32_MAX / 4)
		return -ENOMEM;
	while (n < expected * 2)
		n *= 2;
	m->slots = calloc(n, sizeof(*m->slots));
	if (!m->slots)
		return -ENOMEM;
	m->mask = (u32)n - 1;
	if (getrandom(&m->seed, sizeof(m->seed), GRND_NONBLOCK) != (ssize_t)sizeof(m->seed))
		m->seed = 0xcbf29ce484222325ull ^ (uintptr_t)m->slots;
	return 0;
}

void strmap_free(struct strmap *m)
{
	free(m->slots);
	memset(m, 0, sizeof(*m));
}

/*
 * Returns the slot of @key, or the free slot where it belongs. At least half of all slots are free.
 */
static struct strmap_slot *find_slot(const struct strmap *m, const char *key, u32 hash)
{
	u32 i = hash & m->mask;

	while (m->slots[i].key && (m->slots[i].hash != hash || strcmp(m->slots[i].key, key) != 0))
		i = (i + 1) & m->mask;
	return &m->slots[i];
}

bool strmap_add(struct strmap *m, const char *key, u32 value)
{
	u32 hash = hash_name(m->seed, key);
	struct strmap_slot *s;

	if (m->used > m->mask / 2)
		return false;
	s = find_slot(m, key, hash);
	if (s->key)
		return false;
	s->key = key;
	s->hash = hash;
	s->value = value;
	m->used++;
	return true;
}

bool strmap_find(const struct strmap *m, const char *key, u32 *value)
{
	const struct strmap_slot *s;

	if (!m->slots)
		return false;
	s = find_slot(m, key, hash_name(m->seed, key));
	if (!s->key)
		return false;
	if (value)
		*value = s->value;
	return true;
}
