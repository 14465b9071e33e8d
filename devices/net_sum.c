// SPDX-License-Identifier: GPL-2.0-only
/*
 * Adds up words of a frame in the byte order of memory: a ones' complement sum of bytes that are
 * swapped in each word is the sum with its bytes swapped.
 */
#include "devices/net_sum.h"

#include <string.h>

static u16 fold(u64 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

void net_sum_add(struct net_sum *s, const void *data, size_t len)
{
	const u8 *p = data;
	u64 sum = 0;
	u16 piece;

	for (; len >= sizeof(u32); p += sizeof(u32), len -= sizeof(u32)) {
		u32 word;

		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	if (len >= sizeof(u16)) {
		u16 word;

		memcpy(&word, p, sizeof(word));
		sum += word;
		p += sizeof(word);
		len -= sizeof(word);
	}
	/* As if a zero followed, which is the higher byte of this word in memory. */
	if (len)
		sum += *p;
	piece = fold(sum);
	s->sum += s->odd ? __builtin_bswap16(piece) : piece;
	s->odd ^= (p + len - (const u8 *)data) & 1;
}

u16 net_sum_checksum(const struct net_sum *s)
{
	u16 sum = (u16)~fold(s->sum);

	return sum ? sum : 0xffff;
}
