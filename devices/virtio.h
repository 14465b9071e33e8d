/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Implements the core of a virtio 1.2 device, the same for every type and transport: status,
 * feature negotiation, queue set-up, notification in both directions.
 *
 * A device type fills in struct virtio_type; a transport (virtio_pci.h) forwards the driver's
 * register accesses.
 *
 * Life of a device: created -> the driver negotiates -> start() at DRIVER_OK -> stop() at a reset
 * or at the end -> ... Between start() and stop() the type owns its queues by (Q2) of virtqueue.h
 * and waits for their kicks. A kick is the eventfd that a notification of the driver signals; KVM
 * does so without an exit (ioeventfd).
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
	u64 features; /* offered by the type; ring features and VERSION_1 are added */
	u64 without;  /* ring features not to be offered: a vhost-user back end may lack them */
	unsigned queues;
	u16 queue_size; /* largest */
	/*
	 * Begins to serve the enabled queues: the driver is ready, and @features are in force.
	 * -errno: the device asks for a reset.
	 */
	int (*start)(void *arg, u64 features);
	/*
	 * Ends that; returns when none of the guest's memory is in use any more. Only after
	 * start().
	 */
	void (*stop)(void *arg);
	/*
	 * Access the device-specific configuration. @data of a read is zero beforehand. Any thread.
	 */
	void (*config)(void *arg, u32 offset, void *data, unsigned len, bool write);
};

/* How the core reaches the driver; set by the transport. */
struct virtio_transport {
	/* Interrupts the driver. @vector may be VIRTIO_NO_VECTOR. Any thread. */
	void (*interrupt)(void *arg, u16 vector);
	/* Has the driver's notifications of queue @index signal @fd, its kick, from now on. */
	void (*kick_ready)(void *arg, unsigned index, int fd);
	/*
	 * Has signals of @fd raise @vector from now on; VIRTIO_NO_VECTOR: none, @fd may be closed.
	 */
	void (*call)(void *arg, u16 vector, int fd);
	void *arg;
};

/*
 * Makes a device. @type and @arg are borrowed. -EINVAL: no queue, too many, or too large; -ENOMEM.
 */
int virtio_create(struct virtio **out, struct host *h, const struct virtio_type *type, void *arg);
/* Stops the device first. NULL allowed. */
void virtio_destroy(struct virtio *v);
/* Resets it, as the driver does by writing 0 to the status (2.4). Any thread but a queue's. */
void virtio_reset(struct virtio *v);
/* Sets the transport, of one owner at a time; one without interrupt() gives it back. */
void virtio_set_transport(struct virtio *v, const struct virtio_transport *t);
/* Returns the host that @v was created with. */
struct host *virtio_host(const struct virtio *v);
const struct virtio_type *virtio_type(const struct virtio *v);

/* --- for the type, between start and stop -------------------------------------------------- */

/* Returns queue @index; NULL if the driver did not enable it. */
struct virtqueue *virtio_queue(struct virtio *v, unsigned index);
/* Returns the kick of queue @index; -1: it was never enabled. */
int virtio_kick(const struct virtio *v, unsigned index);
/* Makes the eventfd @fd, a kick or one of the device's own, unreadable until its next signal. */
void virtio_kick_clear(int fd);
/*
 * Returns the call of queue @index, which another process serves: an eventfd whose signals raise
 * the vector that the driver chose, while it is not masked, without a system call of this process.
 * To be called by start() only; it lives until virtio_destroy(). -errno.
 */
int virtio_call(struct virtio *v, unsigned index);
/*
 * Interrupts the driver if it wants that for the chains that were published. On the queue's thread.
 */
void virtio_queue_done(struct virtio *v, unsigned index);
/*
 * Sets DEVICE_NEEDS_RESET, with a configuration interrupt: the driver broke the rules. Any thread.
 */
void virtio_needs_reset(struct virtio *v);
/*
 * Tells the driver that a field of the configuration has changed, which is at most four bytes wide.
 */
void virtio_config_changed(struct virtio *v);
/*
 * Changes wider fields by @fn, which returns true if anything is different now, and tells the
 * driver. The driver reads the old value, the new one, or another generation (2.5.1). Not from a
 * queue's thread.
 */
void virtio_config_update(struct virtio *v, bool (*fn)(void *arg), void *arg);
/*
 * Does the same for a thread for which start() or stop() may be waiting with the core's lock held:
 * returns false, and nothing was done, if the lock is taken.
 */
bool virtio_config_update_try(struct virtio *v, bool (*fn)(void *arg), void *arg);

/* --- for the transport --------------------------------------------------------------------- */

/*
 * Accesses struct virtio_pci_common_cfg (virtio 1.2, 4.1.4.3), or the device-specific
 * configuration.
 */
void virtio_common_io(struct virtio *v, u64 offset, void *data, unsigned len, bool write);
void virtio_config_io(struct virtio *v, u64 offset, void *data, unsigned len, bool write);
/* Reads and clears the ISR status. Bit 0: queue, bit 1: configuration. */
u8 virtio_isr(struct virtio *v);
/*
 * Signals the kick of queue @index, after a notification that was an exit. Does nothing if the
 * queue is not served.
 */
void virtio_notify(struct virtio *v, u64 index);

#endif
