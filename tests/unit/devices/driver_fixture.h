/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small virtio driver for tests of devices: all queues, one buffer for each descriptor or short
 * chains, memory laid out as in struct driver's comments.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_DRIVER_FIXTURE_H
#define UMBRA_TESTS_UNIT_DEVICES_DRIVER_FIXTURE_H

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <time.h>

#include "devices/virtio.h"
#include "tests/unit/devices/fake_host.h"

#define DRIVER_SIZE 16

/* Queue i: descriptors at 0x1000 * (i + 1), avail at + 0x400, used at + 0x600. */
struct driver {
	struct fake_host *f;
	struct virtio *v;
	u16 next[VIRTIO_MAX_QUEUES];   /* descriptor */
	u16 served[VIRTIO_MAX_QUEUES]; /* of the used ring */
};

static inline void driver_put(struct driver *d, u64 reg, u64 value, unsigned len)
{
	virtio_common_io(d->v, reg, &value, len, true);
}

static inline u32 driver_get(struct driver *d, u64 reg, unsigned len)
{
	u32 v = 0;

	virtio_common_io(d->v, reg, &v, len, false);
	return v;
}

static inline u8 *driver_page(struct driver *d, unsigned queue)
{
	return d->f->ram + 0x1000UL * (queue + 1);
}

static inline void driver_start(struct driver *d, u64 features)
{
	features |= 1ULL << VIRTIO_F_VERSION_1;
	driver_put(d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	memset(d->next, 0, sizeof(d->next));
	memset(d->served, 0, sizeof(d->served));
	memset(d->f->ram, 0, FAKE_RAM);
	driver_put(d, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	for (u32 i = 0; i < 2; i++) {
		driver_put(d, VIRTIO_PCI_COMMON_GFSELECT, i, 4);
		driver_put(d, VIRTIO_PCI_COMMON_GF, (u32)(features >> 32 * i), 4);
	}
	driver_put(d, VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
	for (unsigned i = 0; i < virtio_type(d->v)->queues; i++) {
		u64 page = 0x1000ULL * (i + 1);

		driver_put(d, VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
		driver_put(d, VIRTIO_PCI_COMMON_Q_SIZE, DRIVER_SIZE, 2);
		driver_put(d, VIRTIO_PCI_COMMON_Q_DESCLO, page, 8);
		driver_put(d, VIRTIO_PCI_COMMON_Q_AVAILLO, page + 0x400, 8);
		driver_put(d, VIRTIO_PCI_COMMON_Q_USEDLO, page + 0x600, 8);
		driver_put(d, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	}
	driver_put(d, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
}

/* One buffer of @len bytes at @addr. */
static inline void driver_add(struct driver *d, unsigned queue, u64 addr, u32 len, bool writable)
{
	u16 i = d->next[queue]++ % DRIVER_SIZE;
	struct vring_desc *desc = (struct vring_desc *)(void *)driver_page(d, queue) + i;
	u16 *avail = (u16 *)(void *)(driver_page(d, queue) + 0x400);

	*desc = (struct vring_desc){ addr, len, writable ? VRING_DESC_F_WRITE : 0, 0 };
	avail[2 + avail[1] % DRIVER_SIZE] = i;
	__atomic_store_n(&avail[1], (u16)(avail[1] + 1), __ATOMIC_RELEASE);
	virtio_notify(d->v, queue);
}

/* Has something of @queue come back? Its length goes into *len. */
static inline bool driver_take(struct driver *d, unsigned queue, u32 *len)
{
	u16 *used = (u16 *)(void *)(driver_page(d, queue) + 0x600);
	struct vring_used_elem *e = (struct vring_used_elem *)(void *)(used + 2);

	if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == d->served[queue])
		return false;
	*len = e[d->served[queue]++ % DRIVER_SIZE].len;
	return true;
}

static inline bool driver_broken(struct driver *d)
{
	return driver_get(d, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static inline void driver_nap(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

/* Waits for it, up to 5 s; -1: nothing came, or the device wants a reset. */
static inline s64 driver_wait(struct driver *d, unsigned queue)
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
