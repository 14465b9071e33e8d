/* SPDX-License-Identifier: GPL-2.0-only */
/* What a disk has done since it was created: one record for each queue, so that no thread waits. */
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
	u64 highest; /* end of the write that reached furthest, in bytes */
};

struct blk_request;

/* Count a finished request; only the record's own thread. */
void blk_stats_count(struct blk_stats *s, const struct blk_request *r);
/* Add @from, which may be counting, to @sum, which is the caller's. */
void blk_stats_add(struct blk_stats *sum, const struct blk_stats *from);

#endif
