/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hostile driver for any virtio device: the input is what it negotiates and what it puts into
 * memory, for all queues; in some runs it also changes memory while the device reads it.
 *
 * Queue i has its rings in page 1 + i: descriptors, at 0x400 the avail ring, at 0x600 the used ring.
 */
#ifndef UMBRA_TESTS_FUZZ_FUZZ_DEV_DRIVER_H
#define UMBRA_TESTS_FUZZ_FUZZ_DEV_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <sched.h>

#include "devices/virtio.h"
#include "tests/unit/devices/fake_host.h"

#define FUZZ_RINGS 0x1000ULL
#define FUZZ_SIZE  16

struct fuzz_input {
	u32 features;
	u8 flags; /* 1: change memory meanwhile, 2: ring again, 4: reset while it works */
	u8 config_at, config_len, config_value;
};

static inline void fuzz_put(struct virtio *v, u64 reg, u64 value, unsigned len)
{
	virtio_common_io(v, reg, &value, len, true);
}

static inline u16 fuzz_used(const struct fake_host *f, unsigned queue)
{
	u16 n;

	memcpy(&n, f->ram + FUZZ_RINGS * (queue + 1) + 0x602, sizeof(n));
	return n;
}

static inline void fuzz_start(struct virtio *v, u64 features)
{
	unsigned n = virtio_type(v)->queues;

	features |= 1ULL << VIRTIO_F_VERSION_1;
	fuzz_put(v, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	fuzz_put(v, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	for (u32 i = 0; i < 2; i++) {
		fuzz_put(v, VIRTIO_PCI_COMMON_GFSELECT, i, 4);
		fuzz_put(v, VIRTIO_PCI_COMMON_GF, (u32)(features >> 32 * i), 4);
	}
	fuzz_put(v, VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
	for (unsigned i = 0; i < n; i++) {
		u64 page = FUZZ_RINGS * (i + 1);

		fuzz_put(v, VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
		fuzz_put(v, VIRTIO_PCI_COMMON_Q_SIZE, FUZZ_SIZE, 2);
		fuzz_put(v, VIRTIO_PCI_COMMON_Q_DESCLO, page, 8);
		fuzz_put(v, VIRTIO_PCI_COMMON_Q_AVAILLO, page + 0x400, 8);
		fuzz_put(v, VIRTIO_PCI_COMMON_Q_USEDLO, page + 0x600, 8);
		fuzz_put(v, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	}
	fuzz_put(v, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
}

/* One life of @v: negotiate, ring, wait a little, reset. */
static inline void fuzz_drive(struct fake_host *f, struct virtio *v, const u8 *data, size_t size)
{
	struct fuzz_input in;
	unsigned n = virtio_type(v)->queues;
	u64 word = 0;

	if (size < sizeof(in) + 1)
		return;
	memcpy(&in, data, sizeof(in));
	data += sizeof(in);
	size -= sizeof(in);
	memset(f->ram, 0, sizeof(f->ram));
	memcpy(f->ram + FUZZ_RINGS, data,
	       size < FAKE_RAM - FUZZ_RINGS ? size : FAKE_RAM - FUZZ_RINGS);
	/* Only what the device offers, or it would never start. */
	fuzz_start(v, (in.features & virtio_type(v)->features) | (u64)(in.features >> 30) << 28);
	virtio_config_io(v, in.config_at, &word, 1U << (in.config_len & 3), false);
	word = in.config_value;
	virtio_config_io(v, in.config_at, &word, 1U << (in.config_len & 3), true);
	for (unsigned round = 0; round < (in.flags & 2 ? 2 : 1); round++) {
		for (unsigned i = 0; i < n; i++)
			virtio_notify(v, i);
		for (unsigned i = 0; i < 40 && !(in.flags & 4); i++) {
			if (in.flags & 1)
				f->ram[FUZZ_RINGS + data[i % size] * 61U] ^= data[(i + 1) % size];
			sched_yield();
		}
	}
	fuzz_put(v, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	/* After a reset nothing is used any more; ASan and the next run would tell. */
	memset(f->ram, 0xcc, 0x4000);
}

#endif
