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
#include <time.h>

#include "base/clock.h"
#include "devices/blk_queue.h"
#include "devices/blk_request.h"

#define QUEUE_SIZE	256
#define PCI_CLASS	0x010000
#define UPDATE_PAUSE_NS 5000000
#define UPDATE_MS	800
#define PHYSICAL_EXP	3 /* 512 << 3: file systems and disks use blocks of 4 KiB */

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
	enum blk_storage storage = BLK_STORAGE_DEVICE;
	int ret;

	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	ret = blk_image_open(&b->image, c->path, c->readonly, c->direct, e);
	if (ret) {
		free(b);
		return ret;
	}
	if (c->aio == BLK_AIO_AUTO && !c->direct)
		storage = blk_image_storage(&b->image);
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
			.storage = storage,
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

void virtio_blk_close(struct virtio_blk *b)
{
	blk_image_close(&b->image);
}

const struct virtio_type *virtio_blk_type(const struct virtio_blk *b)
{
	return &b->type;
}

void virtio_blk_attach(struct virtio_blk *b, struct virtio *v)
{
	b->v = v;
}

struct size_change {
	struct virtio_blk *b;
	u64 bytes;
};

static bool size_store(void *arg)
{
	const struct size_change *c = arg;
	u64 sectors = c->bytes / BLK_SECTOR;

	return __atomic_exchange_n(&c->b->image.sectors, sectors, __ATOMIC_ACQ_REL) != sectors;
}

static void size_update(struct virtio_blk *b, u64 bytes)
{
	struct size_change c = { b, bytes };

	virtio_config_update(b->v, size_store, &c);
}

/*
 * Does size_update(), but does not wait for a vCPU that resets the device, which has the lock until
 * the host's kernel has given all requests back. Any other holder lets go at once. -EBUSY.
 */
static int size_update_soon(struct virtio_blk *b, u64 bytes)
{
	static const struct timespec pause = { .tv_nsec = UPDATE_PAUSE_NS };
	struct size_change c = { b, bytes };
	s64 until = now_ms() + UPDATE_MS;

	while (!virtio_config_update_try(b->v, size_store, &c)) {
		if (now_ms() > until)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int virtio_blk_resize(struct virtio_blk *b, u64 bytes)
{
	u64 old = virtio_blk_size(b);
	int ret = blk_image_check_size(&b->image, bytes);

	/*
	 * Requests behind a nearer end are refused before the file is truncated. Of any other
	 * change only the lock is tried.
	 */
	if (!ret)
		ret = size_update_soon(b, bytes && bytes < old && !b->image.device ? bytes : old);
	if (ret)
		return ret;
	/* Not under the lock, for which vCPUs would wait as long as the storage does not answer. */
	ret = blk_image_truncate(&b->image, bytes, &bytes);
	size_update(b, ret ? old : bytes);
	return ret;
}

u64 virtio_blk_refresh(struct virtio_blk *b)
{
	u64 bytes;

	if (!blk_image_measure(&b->image, &bytes))
		size_update(b, bytes);
	return virtio_blk_size(b);
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
