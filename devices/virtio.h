/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of a virtio 1.2 device that is the same for every type and transport: status, feature
 * negotiation, queue set-up, notification in both directions. A device type fills struct
 * virtio_type; a transport (virtio_pci.h) forwards the driver's register accesses.
 *
 * Life of a device: created -> the driver negotiates -> start() at DRIVER_OK -> stop() at a reset
 * or at the end -> ... Between start and stop the type owns its queues (one thread for each) and
 * waits for their kicks, which are eventfds: KVM signals them without an exit (ioeventfd).
 */
#ifndef UMBRA_DEVICES_VIRTIO_H
#define UMBRA_DEVICES_VIRTIO_H

#include "devices/host.h"
#include "devices/virtqueue.h"

#define VIRTIO_MAX_QUEUES 16
#define VIRTIO_NO_VECTOR  0xffff

struct virtio;

struct virtio_type {
	u16 id;	      /* virtio device id, e.g. 2 for block */
	u32 class;    /* PCI class code */
	u64 features; /* what the type offers; ring features and VERSION_1 are added */
	u64 without;  /* those ring features that who serves the queues does not know */
	unsigned queues;
	u16 queue_size; /* largest */
	/*
	 * The driver is ready, @features are in force and the enabled queues valid. -errno: the
	 * device will ask for a reset.
	 */
	int (*start)(void *arg, u64 features);
	/* Return when nothing of the guest's memory is in use any more. Only after start(). */
	void (*stop)(void *arg);
	/* Device-specific configuration. @data of a read is zero beforehand. Any thread. */
	void (*config)(void *arg, u32 offset, void *data, unsigned len, bool write);
};

/* How the core reaches the driver; set by the transport. */
struct virtio_transport {
	/* Any thread. @vector may be VIRTIO_NO_VECTOR. */
	void (*interrupt)(void *arg, u16 vector);
	/* @fd is the kick of queue @index from now on: the driver's notification signals it. */
	void (*kick_ready)(void *arg, unsigned index, int fd);
	/* Signals of @fd raise @vector from now on; VIRTIO_NO_VECTOR: none, @fd may be closed. */
	void (*call)(void *arg, u16 vector, int fd);
	void *arg;
};

int virtio_create(struct virtio **out, struct host *h, const struct virtio_type *type, void *arg);
/* Stops the device first. NULL allowed. */
void virtio_destroy(struct virtio *v);
/* As the driver can do it, by writing 0 to the status (2.4). Any thread but a queue's. */
void virtio_reset(struct virtio *v);
void virtio_set_transport(struct virtio *v, const struct virtio_transport *t);
/* The host that @v was created with. */
struct host *virtio_host(const struct virtio *v);
const struct virtio_type *virtio_type(const struct virtio *v);

/* --- for the type, between start and stop -------------------------------------------------- */

/* NULL if the driver did not enable it. */
struct virtqueue *virtio_queue(struct virtio *v, unsigned index);
/* The eventfd that the driver's notifications of queue @index signal; -1: never enabled. */
int virtio_kick(const struct virtio *v, unsigned index);
/* Makes the eventfd @fd, a kick or a device's own, not readable again. */
void virtio_kick_clear(int fd);
/*
 * For a queue that another process serves: an eventfd whose signal interrupts the driver, at the
 * vector that the driver chose and as long as it is not masked, without passing here. Only from
 * start(); lives until virtio_destroy(). -errno.
 */
int virtio_call(struct virtio *v, unsigned index);
/* Something was pushed: interrupt if the driver wants it. */
void virtio_queue_done(struct virtio *v, unsigned index);
/* The driver broke the rules: DEVICE_NEEDS_RESET, with a configuration interrupt. */
void virtio_needs_reset(struct virtio *v);
/* A single field, no wider than four bytes, of the device-specific configuration changed. */
void virtio_config_changed(struct virtio *v);
/*
 * Change wider fields: @fn does so and says whether anything is different now. The driver reads
 * the old value, the new one, or another generation (2.5.1). Not from a queue's thread.
 */
void virtio_config_update(struct virtio *v, bool (*fn)(void *arg), void *arg);
/*
 * The same where a start or stop, which hold the core's lock, may be waiting for the caller: false, and
 * nothing was done, if it would have to wait.
 */
bool virtio_config_update_try(struct virtio *v, bool (*fn)(void *arg), void *arg);

/* --- for the transport --------------------------------------------------------------------- */

/* struct virtio_pci_common_cfg (virtio 1.2, 4.1.4.3). */
void virtio_common_io(struct virtio *v, u64 offset, void *data, unsigned len, bool write);
void virtio_config_io(struct virtio *v, u64 offset, void *data, unsigned len, bool write);
/* Reading clears. Bit 0: queue, bit 1: configuration. */
u8 virtio_isr(struct virtio *v);
/* The driver notified queue @index by a write that was an exit. Unknown or disabled: nothing. */
void virtio_notify(struct virtio *v, u64 index);

#endif
