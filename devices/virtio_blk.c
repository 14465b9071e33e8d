// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements the virtio side of a disk: features, configuration, and start and stop of its queues.
 */
#include "devices/virtio_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/blk_queue.h"
#include "devices/blk_request.h"

#define QUEUE_SIZE   256
#define PCI_CLASS    0x010000
#define PHYSICAL_EXP 3 /* 512 << 3: file systems and disks use blocks of 4 KiB */

struct virtio_blk {
	struct blk_image image;
	char id[BLK_ID_BYTES];
	struct virtio_type type;
	struct virtio *v;
	struct blk_queue *queues[VIRTIO_MAX_QUEUES];
	struct blk_stats stats[VIRTIO_MAX_QUEUES];
};

void virtio_blk_stop_begin(struct virtio_blk *b)
{
	for (unsigned i = 0; i < b->type.queues; i++)
		blk_queue_stop_begin(b->queues[i]);
}

static void virtio_blk_stop(void *arg)
{
	struct virtio_blk *b = arg;

	virtio_blk_stop_begin(b);
	for (unsigned i = 0; i < b->type.queues; i++)
		blk_queue_stop_wait(b->queues[i]);
}

static int virtio_blk_start(void *arg, u64 features)
{
	bool durable = !(features >> VIRTIO_BLK_F_FLUSH & 1);
	struct virtio_blk *b = arg;
	int ret = virtio_queue(b->v, 0) ? 0 : -EINVAL;

	for (unsigned i = 0; i < b->type.queues && !ret; i++)
		if (virtio_queue(b->v, i))
			ret = blk_queue_start(b->queues[i], b->v, durable);
	if (ret)
		virtio_blk_stop(b);
	return ret;
}

static void virtio_blk_config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	const struct virtio_blk *b = arg;
	struct virtio_blk_config c = {
		.capacity = __atomic_load_n(&b->image.sectors, __ATOMIC_ACQUIRE),
		.seg_max = QUEUE_SIZE - 2,
		.blk_size = BLK_SECTOR,
		.physical_block_exp = PHYSICAL_EXP,
		.min_io_size = 1U << PHYSICAL_EXP,
		.num_queues = (u16)b->type.queues,
		.max_discard_sectors = BLK_MAX_DISCARD,
		.max_discard_seg = BLK_MAX_RANGES,
		.discard_sector_alignment = 1U << PHYSICAL_EXP,
		.max_write_zeroes_sectors = BLK_MAX_ZERO,
		.max_write_zeroes_seg = BLK_MAX_RANGES,
		.write_zeroes_may_unmap = 1,
	};

	if (write || offset >= sizeof(c))
		return;
	memcpy(data, (u8 *)&c + offset, len < sizeof(c) - offset ? len : sizeof(c) - offset);
}

/* Warns if the image's tail seems to be missing, which the guest would notice much later. */
static void note_cut(const struct virtio_blk_params *c, const struct blk_image *im)
{
	char line[400];

	if (!c->note)
		return;
	if (im->cut_bytes) {
		snprintf(
			line, sizeof(line),
			"--disk %.200s: its last %u bytes are no whole sector of 512 and are not part of "
			"the disk; was the file cut short?",
			c->path, im->cut_bytes);
		c->note(c->arg, line);
	}
	if (im->cut_sectors) {
		snprintf(
			line, sizeof(line),
			"--disk %.200s: its partition table reaches to sector %llu, but the file ends at "
			"%llu; was it cut short?",
			c->path, (unsigned long long)im->cut_sectors,
			(unsigned long long)im->sectors);
		c->note(c->arg, line);
	}
}

int virtio_blk_create(struct virtio_blk **out, const struct virtio_blk_params *c, struct err *e)
{
	struct virtio_blk *b = calloc(1, sizeof(*b));
	u64 features = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
		       1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_TOPOLOGY;
	unsigned queues = c->queues ? c->queues : 1;
	int ret;

	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	ret = blk_image_open(&b->image, c->path, c->readonly, c->direct, e);
	if (ret) {
		free(b);
		return ret;
	}
	if (queues > VIRTIO_MAX_QUEUES)
		queues = VIRTIO_MAX_QUEUES;
	features |= queues > 1 ? 1ULL << VIRTIO_BLK_F_MQ : 0;
	features |= c->readonly ? 1ULL << VIRTIO_BLK_F_RO
				: 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	/* Not NUL-terminated if it has all 20 bytes (5.2.6). */
	memcpy(b->id, c->id, strnlen(c->id, sizeof(b->id)));
	b->type = (struct virtio_type){
		.id = VIRTIO_ID_BLOCK,
		.class = PCI_CLASS,
		.features = features,
		.queues = queues,
		.queue_size = QUEUE_SIZE,
		.start = virtio_blk_start,
		.stop = virtio_blk_stop,
		.config = virtio_blk_config,
	};
	for (unsigned i = 0; i < queues && !ret; i++) {
		struct blk_queue_config qc = {
			.image = &b->image,
			.stats = &b->stats[i],
			.id = b->id,
			.index = i,
			.queues = queues,
			.aio = c->aio,
		};

		ret = blk_queue_create(&b->queues[i], &qc);
	}
	if (ret) {
		virtio_blk_destroy(b);
		return err_set(e, ret, "out of memory");
	}
	*out = b;
	return 0;
}

int virtio_blk_check(struct virtio_blk *b, const struct virtio_blk_params *c, struct err *e)
{
	int ret = blk_image_check(&b->image, c->path, e);

	if (!ret)
		note_cut(c, &b->image);
	return ret;
}

void virtio_blk_destroy(struct virtio_blk *b)
{
	if (!b)
		return;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		blk_queue_destroy(b->queues[i]);
	blk_image_close(&b->image);
	free(b);
}

const struct virtio_type *virtio_blk_type(const struct virtio_blk *b)
{
	return &b->type;
}

void virtio_blk_attach(struct virtio_blk *b, struct virtio *v)
{
	b->v = v;
}

static bool refresh_image(void *arg)
{
	struct virtio_blk *b = arg;

	return blk_image_refresh(&b->image);
}

struct blk_resize {
	struct virtio_blk *b;
	u64 bytes;
	int result;
};

static bool resize_image(void *arg)
{
	struct blk_resize *r = arg;
	u64 old = virtio_blk_size(r->b);

	r->result = blk_image_resize(&r->b->image, r->bytes);
	return !r->result && virtio_blk_size(r->b) != old;
}

int virtio_blk_resize(struct virtio_blk *b, u64 bytes)
{
	struct blk_resize r = { .b = b, .bytes = bytes };

	virtio_config_update(b->v, resize_image, &r);
	return r.result;
}

u64 virtio_blk_refresh(struct virtio_blk *b)
{
	virtio_config_update(b->v, refresh_image, b);
	return __atomic_load_n(&b->image.sectors, __ATOMIC_ACQUIRE) * BLK_SECTOR;
}

u64 virtio_blk_size(const struct virtio_blk *b)
{
	return __atomic_load_n(&b->image.sectors, __ATOMIC_ACQUIRE) * BLK_SECTOR;
}

s64 virtio_blk_held_ms(const struct virtio_blk *b)
{
	s64 most = 0;

	for (unsigned i = 0; i < b->type.queues; i++) {
		s64 ms = blk_queue_held_ms(b->queues[i]);

		most = ms > most ? ms : most;
	}
	return most;
}

void virtio_blk_stats(const struct virtio_blk *b, struct blk_stats *out)
{
	*out = (struct blk_stats){ .highest = 0 };
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		blk_stats_add(out, &b->stats[i]);
}
