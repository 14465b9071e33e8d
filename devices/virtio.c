// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements the common configuration of a virtio device: registers, status, interrupts, start and
 * reset.
 */
#include "devices/virtio.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/eventfd.h"

#define RING_FEATURES                                                       \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ULL << VIRTIO_RING_F_EVENT_IDX)
#define STATUS_BITS                                                                         \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK | \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)
#define ISR_QUEUE  1
#define ISR_CONFIG 2

struct virtio {
	struct host *h;
	const struct virtio_type *type;
	void *arg;
	struct virtio_transport transport;
	pthread_mutex_t lock; /* registers; never taken by a queue's thread */
	bool running;
	u8 status;	   /* atomic: a queue's thread may set NEEDS_RESET */
	u8 isr;		   /* atomic */
	u8 generation;	   /* atomic */
	u16 config_vector; /* atomic */
	u32 device_select, driver_select;
	u16 queue_select;
	u64 features; /* accepted by the driver */
	struct virtqueue queues[VIRTIO_MAX_QUEUES];
	u16 vectors[VIRTIO_MAX_QUEUES]; /* atomic */
	int kicks[VIRTIO_MAX_QUEUES];
	int calls[VIRTIO_MAX_QUEUES];
};

static u64 virtio_offered(const struct virtio *v)
{
	return v->type->features | (RING_FEATURES & ~v->type->without);
}

static void virtio_set_vector(struct virtio *v, unsigned i, u16 vector)
{
	__atomic_store_n(&v->vectors[i], vector, __ATOMIC_RELAXED);
	if (v->calls[i] >= 0 && v->transport.call)
		v->transport.call(v->transport.arg, vector, v->calls[i]);
}

/*
 * Stops the device and resets its queues and registers. The caller holds the lock, or no other
 * thread knows @v yet.
 */
static void virtio_reset_locked(struct virtio *v)
{
	/* (Q2) of virtqueue.h: the queues are the device's until it has stopped. */
	if (v->running) {
		v->running = false;
		v->type->stop(v->arg);
	}
	for (unsigned i = 0; i < v->type->queues; i++) {
		virtqueue_reset(&v->queues[i]);
		virtio_set_vector(v, i, VIRTIO_NO_VECTOR);
	}
	v->device_select = v->driver_select = 0;
	v->queue_select = 0;
	v->features = 0;
	__atomic_store_n(&v->config_vector, VIRTIO_NO_VECTOR, __ATOMIC_RELAXED);
	__atomic_store_n(&v->isr, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&v->status, 0, __ATOMIC_RELEASE);
}

int virtio_create(struct virtio **out, struct host *h, const struct virtio_type *type, void *arg)
{
	struct virtio *v;

	if (!type->queues || type->queues > VIRTIO_MAX_QUEUES || type->queue_size > VIRTQUEUE_MAX)
		return -EINVAL; /* (Q1) */
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	pthread_mutex_init(&v->lock, NULL);
	v->h = h;
	v->type = type;
	v->arg = arg;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		v->kicks[i] = v->calls[i] = -1;
		v->queues[i].max = i < type->queues ? type->queue_size : 0;
	}
	virtio_reset_locked(v);
	*out = v;
	return 0;
}

void virtio_destroy(struct virtio *v)
{
	if (!v)
		return;
	virtio_reset_locked(v);
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		if (v->kicks[i] >= 0)
			close(v->kicks[i]);
		if (v->calls[i] >= 0)
			close(v->calls[i]);
	}
	pthread_mutex_destroy(&v->lock);
	free(v);
}

void virtio_reset(struct virtio *v)
{
	pthread_mutex_lock(&v->lock);
	virtio_reset_locked(v);
	pthread_mutex_unlock(&v->lock);
}

void virtio_set_transport(struct virtio *v, const struct virtio_transport *t)
{
	assert(!v->transport.interrupt || !t->interrupt);
	v->transport = *t;
}

struct host *virtio_host(const struct virtio *v)
{
	return v->h;
}

const struct virtio_type *virtio_type(const struct virtio *v)
{
	return v->type;
}

struct virtqueue *virtio_queue(struct virtio *v, unsigned index)
{
	return index < v->type->queues && v->queues[index].enabled ? &v->queues[index] : NULL;
}

int virtio_kick(const struct virtio *v, unsigned index)
{
	return v->kicks[index];
}

void virtio_kick_clear(int fd)
{
	eventfd_t count;

	/* If the counter is 0 already, this fails and the result is the same. */
	(void)eventfd_read(fd, &count);
}

int virtio_call(struct virtio *v, unsigned index)
{
	if (v->calls[index] < 0) {
		v->calls[index] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->calls[index] < 0)
			return -errno;
		virtio_set_vector(v, index, v->vectors[index]);
	}
	return v->calls[index];
}

static void virtio_interrupt(struct virtio *v, u8 isr, u16 vector)
{
	__atomic_fetch_or(&v->isr, isr, __ATOMIC_ACQ_REL);
	if (v->transport.interrupt)
		v->transport.interrupt(v->transport.arg, vector);
}

void virtio_queue_done(struct virtio *v, unsigned index)
{
	/* (Q10): the device has published, and asks before it sleeps. */
	if (virtqueue_wants_interrupt(&v->queues[index]))
		virtio_interrupt(v, ISR_QUEUE,
				 __atomic_load_n(&v->vectors[index], __ATOMIC_RELAXED));
}

void virtio_config_changed(struct virtio *v)
{
	__atomic_fetch_add(&v->generation, 1, __ATOMIC_ACQ_REL);
	/* 2.4.1: no notification before DRIVER_OK. */
	if (__atomic_load_n(&v->status, __ATOMIC_ACQUIRE) & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_interrupt(v, ISR_CONFIG,
				 __atomic_load_n(&v->config_vector, __ATOMIC_RELAXED));
}

void virtio_config_update(struct virtio *v, bool (*fn)(void *arg), void *arg)
{
	/*
	 * The driver's reads of the generation take this lock, so none falls between change and
	 * number.
	 */
	pthread_mutex_lock(&v->lock);
	if (fn(arg))
		virtio_config_changed(v);
	pthread_mutex_unlock(&v->lock);
}

bool virtio_config_update_try(struct virtio *v, bool (*fn)(void *arg), void *arg)
{
	if (pthread_mutex_trylock(&v->lock))
		return false;
	if (fn(arg))
		virtio_config_changed(v);
	pthread_mutex_unlock(&v->lock);
	return true;
}

void virtio_needs_reset(struct virtio *v)
{
	u8 old = __atomic_fetch_or(&v->status, VIRTIO_CONFIG_S_NEEDS_RESET, __ATOMIC_ACQ_REL);

	/* 2.1.2: the interrupt only after DRIVER_OK; once is enough. */
	if ((old & VIRTIO_CONFIG_S_DRIVER_OK) && !(old & VIRTIO_CONFIG_S_NEEDS_RESET))
		virtio_config_changed(v);
}

static void virtio_write_status(struct virtio *v, u8 value)
{
	u8 old = __atomic_load_n(&v->status, __ATOMIC_ACQUIRE);
	u8 added = (u8)(value & STATUS_BITS & ~old);

	if (!value) {
		virtio_reset_locked(v);
		return;
	}
	/* Bits are only ever added (2.1.1); FEATURES_OK and DRIVER_OK only where they are due. */
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    ((v->features & ~virtio_offered(v)) || !(v->features >> VIRTIO_F_VERSION_1 & 1)))
		added &= (u8)~VIRTIO_CONFIG_S_FEATURES_OK;
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) && !((old | added) & VIRTIO_CONFIG_S_FEATURES_OK))
		added &= (u8)~VIRTIO_CONFIG_S_DRIVER_OK;
	__atomic_fetch_or(&v->status, added, __ATOMIC_ACQ_REL);
	if (!(added & VIRTIO_CONFIG_S_DRIVER_OK) || (old & VIRTIO_CONFIG_S_NEEDS_RESET))
		return;
	if (v->type->start(v->arg, v->features))
		virtio_needs_reset(v);
	else
		v->running = true;
}

static bool virtio_features_open(const struct virtio *v)
{
	return !(__atomic_load_n(&v->status, __ATOMIC_ACQUIRE) & VIRTIO_CONFIG_S_FEATURES_OK);
}

static void virtio_enable_queue(struct virtio *v, unsigned i)
{
	struct virtqueue *q = &v->queues[i];

	if (q->enabled || v->running)
		return; /* (Q1) and (Q2) */
	q->event_idx = v->features >> VIRTIO_RING_F_EVENT_IDX & 1;
	q->indirect = v->features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	if (v->kicks[i] < 0) {
		v->kicks[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->kicks[i] >= 0 && v->transport.kick_ready)
			v->transport.kick_ready(v->transport.arg, i, v->kicks[i]);
	}
	if (v->kicks[i] < 0 || virtqueue_enable(q, v->h))
		virtio_needs_reset(v);
}

static void register_set_half(u64 *field, bool high, u32 value)
{
	if (high)
		*field = (*field & 0xffffffffULL) | (u64)value << 32;
	else
		*field = (*field & ~0xffffffffULL) | value;
}

/* Writes a register of the selected queue. */
static void virtio_write_queue(struct virtio *v, u64 offset, u32 value, unsigned len)
{
	unsigned i = v->queue_select;
	struct virtqueue *q;

	if (i >= v->type->queues)
		return;
	q = &v->queues[i];
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX && len == 2) {
		virtio_set_vector(v, i, value <= v->type->queues ? (u16)value : VIRTIO_NO_VECTOR);
		return;
	}
	if (q->enabled)
		return; /* (Q1) */
	if (offset == VIRTIO_PCI_COMMON_Q_SIZE && len == 2) {
		if (value && value <= q->max && !(value & (value - 1)))
			q->size = (u16)value;
	} else if (offset == VIRTIO_PCI_COMMON_Q_ENABLE && len == 2) {
		if (value == 1)
			virtio_enable_queue(v, i);
	} else if (len == 4 && offset % 4 == 0 && offset >= VIRTIO_PCI_COMMON_Q_DESCLO &&
		   offset <= VIRTIO_PCI_COMMON_Q_USEDHI) {
		u64 *field[] = { &q->desc, &q->avail, &q->used };
		u64 word = (offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 4;

		register_set_half(field[word / 2], word % 2, value);
	}
}

static void virtio_write_common(struct virtio *v, u64 offset, u32 value, unsigned len)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		if (len == 4)
			v->device_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		if (len == 4)
			v->driver_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		if (len == 4 && v->driver_select < 2 && virtio_features_open(v))
			register_set_half(&v->features, v->driver_select, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		if (len == 2)
			__atomic_store_n(&v->config_vector,
					 value <= v->type->queues ? (u16)value : VIRTIO_NO_VECTOR,
					 __ATOMIC_RELAXED);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		if (len == 1)
			virtio_write_status(v, (u8)value);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		if (len == 2)
			v->queue_select = (u16)value;
		break;
	default:
		virtio_write_queue(v, offset, value, len);
		break;
	}
}

/* Fills in all registers as the driver sees them now. */
static void virtio_fill_common(struct virtio *v, struct virtio_pci_common_cfg *c)
{
	unsigned i = v->queue_select;
	const struct virtqueue *q = i < v->type->queues ? &v->queues[i] : NULL;

	memset(c, 0, sizeof(*c));
	c->device_feature_select = v->device_select;
	if (v->device_select < 2)
		c->device_feature = (u32)(virtio_offered(v) >> 32 * v->device_select);
	c->guest_feature_select = v->driver_select;
	if (v->driver_select < 2)
		c->guest_feature = (u32)(v->features >> 32 * v->driver_select);
	c->msix_config = __atomic_load_n(&v->config_vector, __ATOMIC_RELAXED);
	c->num_queues = (u16)v->type->queues;
	c->device_status = __atomic_load_n(&v->status, __ATOMIC_ACQUIRE);
	c->config_generation = __atomic_load_n(&v->generation, __ATOMIC_ACQUIRE);
	c->queue_select = v->queue_select;
	if (!q)
		return;
	c->queue_size = q->size;
	c->queue_msix_vector = __atomic_load_n(&v->vectors[i], __ATOMIC_RELAXED);
	c->queue_enable = q->enabled;
	c->queue_notify_off = (u16)i;
	c->queue_desc_lo = (u32)q->desc;
	c->queue_desc_hi = (u32)(q->desc >> 32);
	c->queue_avail_lo = (u32)q->avail;
	c->queue_avail_hi = (u32)(q->avail >> 32);
	c->queue_used_lo = (u32)q->used;
	c->queue_used_hi = (u32)(q->used >> 32);
}

void virtio_common_io(struct virtio *v, u64 offset, void *data, unsigned len, bool write)
{
	struct virtio_pci_common_cfg c;
	u32 word[2] = { 0, 0 };

	if (len > 8)
		return;
	pthread_mutex_lock(&v->lock);
	if (write && len == 8) {
		memcpy(word, data, 8);
		virtio_write_common(v, offset, word[0], 4);
		virtio_write_common(v, offset + 4, word[1], 4);
	} else if (write) {
		memcpy(word, data, len);
		virtio_write_common(v, offset, word[0], len);
	} else {
		memset(data, 0, len);
		virtio_fill_common(v, &c);
		if (offset < sizeof(c))
			memcpy(data, (u8 *)&c + offset,
			       len < sizeof(c) - offset ? len : sizeof(c) - offset);
	}
	pthread_mutex_unlock(&v->lock);
}

void virtio_config_io(struct virtio *v, u64 offset, void *data, unsigned len, bool write)
{
	if (!write)
		memset(data, 0, len);
	if (offset < 4096)
		v->type->config(v->arg, (u32)offset, data, len, write);
}

u8 virtio_isr(struct virtio *v)
{
	return __atomic_exchange_n(&v->isr, 0, __ATOMIC_ACQ_REL);
}

void virtio_notify(struct virtio *v, u64 index)
{
	int fd = -1;

	pthread_mutex_lock(&v->lock);
	if (v->running && index < v->type->queues)
		fd = v->kicks[index];
	if (fd >= 0)
		eventfd_signal(fd);
	pthread_mutex_unlock(&v->lock);
}
