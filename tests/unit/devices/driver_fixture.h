/* SPDX-License-Identifier: GPL-2.0-only */
/* Plays a small virtio driver for tests of devices: all queues, one buffer for each descriptor. */
#ifndef UMBRA_TESTS_UNIT_DEVICES_DRIVER_FIXTURE_H
#define UMBRA_TESTS_UNIT_DEVICES_DRIVER_FIXTURE_H

#include <linux/virtio_ring.h>
#include <time.h>

#include "tests/unit/devices/fake_host.h"
#include "tests/unit/devices/virtio_registers.h"

#define DRIVER_SIZE 16

/* Queue i has its rings in QUEUE_PAGE(i). */
struct fixture_driver {
	struct fake_host *f;
	struct virtio *v;
	u16 next[VIRTIO_MAX_QUEUES];   /* descriptor */
	u16 served[VIRTIO_MAX_QUEUES]; /* of the used ring */
};

static inline void driver_put(struct fixture_driver *d, u64 reg, u64 value, unsigned len)
{
	registers_write(d->v, reg, value, len);
}

static inline u32 driver_get(struct fixture_driver *d, u64 reg, unsigned len)
{
	return registers_read(d->v, reg, len);
}

static inline u8 *driver_page(struct fixture_driver *d, unsigned queue)
{
	return d->f->ram + QUEUE_PAGE(queue);
}

static inline void driver_start(struct fixture_driver *d, u64 features)
{
	registers_reset(d->v);
	memset(d->next, 0, sizeof(d->next));
	memset(d->served, 0, sizeof(d->served));
	memset(d->f->ram, 0, FAKE_RAM);
	registers_negotiate(d->v, features);
	registers_enable_pages(d->v, virtio_type(d->v)->queues, DRIVER_SIZE);
	registers_driver_ok(d->v);
}

/* Offers one buffer of @len bytes at @addr. */
static inline void driver_offer(struct fixture_driver *d, unsigned queue, u64 addr, u32 len,
				bool writable)
{
	u16 i = d->next[queue]++ % DRIVER_SIZE;
	struct vring_desc *desc = (struct vring_desc *)(void *)driver_page(d, queue) + i;
	u16 *avail = (u16 *)(void *)(driver_page(d, queue) + QUEUE_AVAIL);

	*desc = (struct vring_desc){ addr, len, writable ? VRING_DESC_F_WRITE : 0, 0 };
	__atomic_store_n(&avail[2 + avail[1] % DRIVER_SIZE], i, __ATOMIC_RELAXED);
	__atomic_store_n(&avail[1], (u16)(avail[1] + 1), __ATOMIC_RELEASE);
	virtio_notify(d->v, queue);
}

/* Returns true if a buffer of @queue was given back; *len is how many bytes were written. */
static inline bool driver_take(struct fixture_driver *d, unsigned queue, u32 *len)
{
	u16 *used = (u16 *)(void *)(driver_page(d, queue) + QUEUE_USED);
	struct vring_used_elem *e = (struct vring_used_elem *)(void *)(used + 2);

	if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == d->served[queue])
		return false;
	*len = e[d->served[queue]++ % DRIVER_SIZE].len;
	return true;
}

static inline bool driver_broken(struct fixture_driver *d)
{
	return driver_get(d, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static inline void driver_nap(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

/*
 * Waits for that up to 5 s and returns the length; -1: none was given back, or the device wants a
 * reset.
 */
static inline s64 driver_wait(struct fixture_driver *d, unsigned queue)
{
	u32 len;

	for (unsigned i = 0; i < 5000; i++) {
		if (driver_take(d, queue, &len))
			return len;
		if (driver_broken(d))
			return -1;
		driver_nap();
	}
	return -1;
}

#endif
