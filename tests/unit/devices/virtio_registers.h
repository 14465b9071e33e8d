/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes the common registers of a virtio device as a driver does, for tests and fuzzers:
 * negotiation and the set-up of queues. Nothing here asserts anything.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_VIRTIO_REGISTERS_H
#define UMBRA_TESTS_UNIT_DEVICES_VIRTIO_REGISTERS_H

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "devices/virtio.h"

/* A queue's page: descriptors at 0, the available ring and the used ring at these offsets. */
#define QUEUE_PAGE(i) (0x1000ULL * ((i) + 1))
#define QUEUE_AVAIL   0x400ULL
#define QUEUE_USED    0x600ULL

/* Where the rings of a queue are, guest-physical. */
struct queue_place {
	u16 size;
	u64 desc, avail, used;
};

static inline void registers_write(struct virtio *v, u64 reg, u64 value, unsigned len)
{
	virtio_common_io(v, reg, &value, len, true);
}

static inline u32 registers_read(struct virtio *v, u64 reg, unsigned len)
{
	u32 value = 0;

	virtio_common_io(v, reg, &value, len, false);
	return value;
}

static inline void registers_reset(struct virtio *v)
{
	registers_write(v, VIRTIO_PCI_COMMON_STATUS, 0, 1);
}

/* Accepts @features, and VERSION_1, of a device that was reset. */
static inline void registers_negotiate(struct virtio *v, u64 features)
{
	features |= 1ULL << VIRTIO_F_VERSION_1;
	registers_write(v, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	for (u32 i = 0; i < 2; i++) {
		registers_write(v, VIRTIO_PCI_COMMON_GFSELECT, i, 4);
		registers_write(v, VIRTIO_PCI_COMMON_GF, (u32)(features >> 32 * i), 4);
	}
	registers_write(v, VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
}

static inline void registers_enable_queue(struct virtio *v, unsigned index,
					  const struct queue_place *q)
{
	registers_write(v, VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
	registers_write(v, VIRTIO_PCI_COMMON_Q_SIZE, q->size, 2);
	registers_write(v, VIRTIO_PCI_COMMON_Q_DESCLO, q->desc, 8);
	registers_write(v, VIRTIO_PCI_COMMON_Q_AVAILLO, q->avail, 8);
	registers_write(v, VIRTIO_PCI_COMMON_Q_USEDLO, q->used, 8);
	registers_write(v, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

/* Enables the first @n queues, each of @size and in its own page. */
static inline void registers_enable_pages(struct virtio *v, unsigned n, u16 size)
{
	for (unsigned i = 0; i < n; i++) {
		const struct queue_place q = { size, QUEUE_PAGE(i), QUEUE_PAGE(i) + QUEUE_AVAIL,
					       QUEUE_PAGE(i) + QUEUE_USED };

		registers_enable_queue(v, i, &q);
	}
}

static inline void registers_driver_ok(struct virtio *v)
{
	registers_write(v, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
}

#endif
