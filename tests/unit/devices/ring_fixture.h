/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a split ring in the RAM of a fake host, for tests: a struct virtqueue on it, and the
 * driver's side of it by the book (virtio 1.2, 2.7.13 and 2.7.14).
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_RING_FIXTURE_H
#define UMBRA_TESTS_UNIT_DEVICES_RING_FIXTURE_H

#include <linux/virtio_ring.h>

#include "devices/virtqueue.h"
#include "tests/unit/devices/fake_host.h"
#include "tests/unit/devices/virtio_registers.h"

#define DESC  0x1000ULL
#define AVAIL 0x2000ULL
#define USED  0x3000ULL
#define DATA  0x8000ULL

/* Resets *q and enables it at @place, with the ring features among @features. */
static inline int ring_enable(struct virtqueue *q, struct fake_host *f,
			      const struct queue_place *place, u64 features)
{
	virtqueue_reset(q);
	q->event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	q->indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	q->size = place->size;
	q->desc = place->desc;
	q->avail = place->avail;
	q->used = place->used;
	return virtqueue_enable(q, &f->host);
}

/* The driver's side. */
struct ring_driver {
	u8 *avail, *used;
	u16 size;
	bool event_idx;
};

static inline struct ring_driver ring_driver_at(struct fake_host *f, u16 size, bool event_idx)
{
	return (struct ring_driver){ f->ram + AVAIL, f->ram + USED, size, event_idx };
}

static inline u16 ring_load(const u8 *p)
{
	return __atomic_load_n((const u16 *)(const void *)p, __ATOMIC_ACQUIRE);
}

static inline void ring_store(u8 *p, u16 value)
{
	__atomic_store_n((u16 *)(void *)p, value, __ATOMIC_RELEASE);
}

/* Makes the chain at @head available, as the one at @index. */
static inline void ring_add(const struct ring_driver *r, u16 index, u16 head)
{
	ring_store(r->avail + 4 + 2 * (index % r->size), head);
	ring_store(r->avail + 2, (u16)(index + 1));
}

/*
 * Returns true if the device is to be notified, after the available index went from @old to @now.
 */
static inline bool ring_must_notify(const struct ring_driver *r, u16 now, u16 old)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return r->event_idx ? vring_need_event(ring_load(r->used + 4 + 8 * r->size), now, old)
			    : !(ring_load(r->used) & VRING_USED_F_NO_NOTIFY);
}

static inline u16 ring_used_index(const struct ring_driver *r)
{
	return ring_load(r->used + 2);
}

/* Asks for an interrupt for the chain that is used at @index; true: it is used already. */
static inline bool ring_ask_for_interrupt(const struct ring_driver *r, u16 index)
{
	if (r->event_idx)
		ring_store(r->avail + 4 + 2 * r->size, index);
	else
		ring_store(r->avail, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ring_used_index(r) != index;
}

/* Asks for no interrupts; with the event index none comes before it is asked for. */
static inline void ring_ask_for_none(const struct ring_driver *r)
{
	if (!r->event_idx)
		ring_store(r->avail, VRING_AVAIL_F_NO_INTERRUPT);
}

#endif
