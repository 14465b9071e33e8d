/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plays a hostile driver for any virtio device: the input is what it negotiates and what it puts
 * into memory, for all queues; in some runs it also changes memory while the device reads it.
 *
 * Queue i has its rings in QUEUE_PAGE(i) (virtio_registers.h).
 */
#ifndef UMBRA_TESTS_FUZZ_FUZZ_DEV_DRIVER_H
#define UMBRA_TESTS_FUZZ_FUZZ_DEV_DRIVER_H

#include <sched.h>

#include "tests/unit/devices/fake_host.h"
#include "tests/unit/devices/virtio_registers.h"

#define FUZZ_RINGS QUEUE_PAGE(0)
#define FUZZ_SIZE  16

struct fuzz_input {
	u32 features;
	u8 flags; /* 1: change memory meanwhile, 2: ring again, 4: reset while it works */
	u8 config_at, config_len, config_value;
};

static inline u16 fuzz_used(const struct fake_host *f, unsigned queue)
{
	u16 n;

	memcpy(&n, f->ram + QUEUE_PAGE(queue) + QUEUE_USED + 2, sizeof(n));
	return n;
}

static inline void fuzz_start(struct virtio *v, u64 features)
{
	registers_reset(v);
	registers_negotiate(v, features);
	registers_enable_pages(v, virtio_type(v)->queues, FUZZ_SIZE);
	registers_driver_ok(v);
}

/* Drives one life of @v: negotiates, rings, waits a little, resets. */
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
	registers_reset(v);
	/* After a reset nothing is used any more; ASan and the next run would tell. */
	memset(f->ram, 0xcc, 0x4000);
}

#endif
