/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts a disk's finished requests since it was created; each queue has its own counts, without a
 * lock.
 */
#ifndef UMBRA_DEVICES_BLK_STATS_H
#define UMBRA_DEVICES_BLK_STATS_H

#include "base/types.h"

enum blk_kind {
	BLK_KIND_READ,
	BLK_KIND_WRITE,
	BLK_KIND_FLUSH,
	BLK_KIND_UNMAP, /* discard, and zeroing */
	BLK_KINDS,
};

struct blk_stats {
	struct {
		u64 done, failed, bytes; /* bytes: of those that were done */
	} of[BLK_KINDS];
	u64 highest; /* furthest end of a write, in bytes */
};

struct blk_request;

/* Counts a finished request. On the queue's thread only. */
void blk_stats_count(struct blk_stats *s, const struct blk_request *r);
/* Adds @from, whose thread may be counting, to @sum, which is the caller's. */
void blk_stats_add(struct blk_stats *sum, const struct blk_stats *from);

#endif
