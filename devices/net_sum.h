/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Computes the Internet's checksum (RFC 1071) over a frame that comes in pieces of any length and
 * alignment.
 */
#ifndef UMBRA_DEVICES_NET_SUM_H
#define UMBRA_DEVICES_NET_SUM_H

#include "base/types.h"

struct net_sum {
	u64 sum;
	bool odd; /* an odd number of bytes was added */
};

/* Adds the next @len bytes; *s is {0} before the first. */
void net_sum_add(struct net_sum *s, const void *data, size_t len);
/*
 * Returns the checksum, to be stored as it is. Never 0, which in UDP means that there is none; ffff
 * is the same number.
 */
u16 net_sum_checksum(const struct net_sum *s);

#endif
