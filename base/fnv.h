/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hashes bytes one after the other: FNV-1a, 64 bits. The value is the same in each run, so it
 * can be a part of a name. A table whose keys a guest or a file chooses, and that has no bound of
 * its own, begins with a random number instead of FNV_START, or is a strmap (base/strmap.h).
 */
#ifndef UMBRA_BASE_FNV_H
#define UMBRA_BASE_FNV_H

#include "base/types.h"

#define FNV_START 0xcbf29ce484222325ull

/* Goes on from @hash with @x: a byte, or a number above 255 that no byte can be taken for. */
static inline u64 fnv_step(u64 hash, u64 x)
{
	return (hash ^ x) * 0x100000001b3ull;
}

/* Goes on with all bytes of @s before its NUL. */
static inline u64 fnv_string(u64 hash, const char *s)
{
	for (; *s; s++)
		hash = fnv_step(hash, (u8)*s);
	return hash;
}

#endif
