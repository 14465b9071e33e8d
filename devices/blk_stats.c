// SPDX-License-Identifier: GPL-2.0-only
/* Counts the finished requests of a queue, and adds up the counts of several. */
#include "devices/blk_stats.h"

#include <linux/virtio_blk.h>

#include "devices/blk_request.h"

static void counter_add(u64 *to, u64 n)
{
	__atomic_store_n(to, *to + n, __ATOMIC_RELAXED);
}

static u64 counter_get(const u64 *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

void blk_stats_count(struct blk_stats *s, const struct blk_request *r)
{
	enum blk_kind kind;
	u64 end;

	switch (r->type) {
	case VIRTIO_BLK_T_IN:
		kind = BLK_KIND_READ;
		break;
	case VIRTIO_BLK_T_OUT:
		kind = BLK_KIND_WRITE;
		break;
	case VIRTIO_BLK_T_FLUSH:
		kind = BLK_KIND_FLUSH;
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		kind = BLK_KIND_UNMAP;
		break;
	default:
		return;
	}
	if (r->failed) {
		counter_add(&s->of[kind].failed, 1);
		return;
	}
	counter_add(&s->of[kind].done, 1);
	counter_add(&s->of[kind].bytes, r->bytes);
	end = r->start + r->bytes;
	if (kind == BLK_KIND_WRITE && end > s->highest)
		__atomic_store_n(&s->highest, end, __ATOMIC_RELAXED);
}

void blk_stats_add(struct blk_stats *sum, const struct blk_stats *from)
{
	u64 highest = counter_get(&from->highest);

	for (unsigned i = 0; i < BLK_KINDS; i++) {
		sum->of[i].done += counter_get(&from->of[i].done);
		sum->of[i].failed += counter_get(&from->of[i].failed);
		sum->of[i].bytes += counter_get(&from->of[i].bytes);
	}
	if (highest > sum->highest)
		sum->highest = highest;
}
