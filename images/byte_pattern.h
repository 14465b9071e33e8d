/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the pattern that a guest process holds in memory and that a dump of this memory must
 * contain.
 *
 * PATTERN_PAGES pages, each computed from (seed, number) alone, because physical memory scatters
 * them. The seed travels to the guest, so it is itself in the dump; the pages are nowhere but in
 * the process that made them.
 */
#ifndef UMBRA_IMAGES_PATTERN_H
#define UMBRA_IMAGES_PATTERN_H

#include <stdint.h>

#define PATTERN_PAGE  4096
#define PATTERN_PAGES 256 /* 1 MiB */
#define PATTERN_WORDS (PATTERN_PAGE / sizeof(uint64_t))

/* Returns a word of splitmix64 (Steele, Lea, Flood 2014): any two states give unrelated words. */
static inline uint64_t pattern_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static inline void pattern_page(uint64_t seed, unsigned page, uint64_t words[PATTERN_WORDS])
{
	uint64_t base = pattern_mix(seed ^ pattern_mix(page + 1));
	unsigned i;

	for (i = 0; i < PATTERN_WORDS; i++)
		words[i] = pattern_mix(base + i);
}

#endif
