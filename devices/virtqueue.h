/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Implements the split virtqueue (virtio 1.2, 2.7), as the only code that reads descriptors. No
 * device does.
 *
 * A chain of descriptors becomes a list of host pointers, all inside guest RAM, readable ones
 * first. The *contents* of these buffers stay hostile and change at any time: a device copies the
 * fields that it decides on (iov_read()).
 *
 * Life of a queue. START and STOP are start() and stop() of the device's struct virtio_type.
 *
 *	              virtqueue_enable()           START
 *	 +----------+                 +---------+         +--------+
 *	 | disabled |---------------->| enabled |-------->| served |
 *	 +----------+                 +---------+         +--------+
 *	  ^    ^   ^    virtqueue_reset()  |                |    |
 *	  |    |   +-----------------------+                |    | virtqueue_pop(): the driver
 *	  |    |            STOP, virtqueue_reset()         |    v broke a rule
 *	  |    +--------------------------------------------+  +--------+
 *	  |                 STOP, virtqueue_reset()            | broken |
 *	  +----------------------------------------------------+--------+
 *
 * If virtqueue_enable() fails the queue stays disabled. A broken queue has @enabled set, too; its
 * device says DEVICE_NEEDS_RESET (virtio_needs_reset()) and serves it no more. So does a device
 * that finds a request malformed: then @broken is not set, but nobody pops any more.
 *
 * Life of a chain. The driver owns its buffers while it is available or used, else the device does.
 *
 *	               virtqueue_pop()               the device's own I/O
 *	 +-----------+                 +-------+                          +-----------+
 *	 | available |---------------->| taken |------------------------->| in flight |
 *	 +-----------+                 +-------+                          +-----------+
 *	   ^   ^   ^ virtqueue_unpop()  |    |                                  |
 *	   |   |   +--------------------+    | virtqueue_fill()                 | virtqueue_fill()
 *	   |   |                             v                                  |
 *	   |   |     virtqueue_unpop() +--------+                               |
 *	   |   +-----------------------| filled |<------------------------------+
 *	   |                           +--------+
 *	   | the driver adds it again      | virtqueue_publish()
 *	   |                               v
 *	   |                            +------+
 *	   +----------------------------| used |
 *	                                +------+
 *
 * virtqueue_push() is virtqueue_fill() and virtqueue_publish() for one chain. A chain that is taken
 * or in flight at STOP, or when the queue is served no more, is dropped without an answer: a reset
 * follows.
 *
 * Invariants. The code of devices/ names them where it keeps them.
 *
 * (Q1)  Shape. While a queue is enabled, @size is a power of two and 1 <= @size <= @max <=
 *       VIRTQUEUE_MAX; each ring lies in RAM, in one piece, with its event word, which belongs to
 *       it whether EVENT_IDX was negotiated or not; and @size, addresses and negotiated bits stay
 *       as they are.
 * (Q2)  Owner. One thread at a time uses a queue: before START any that holds the core's lock
 *       (struct virtio), from START on one thread of the device's, and after STOP again any with
 *       the lock. Other threads only read @enabled and the fields of (Q1).
 * (Q3)  Bounds. Every index into a ring is masked with @size - 1, every index into a table of
 *       descriptors is compared with the number of its entries, and an address becomes a pointer by
 *       host_ops.ram() only. So nothing that the driver writes leads out of RAM.
 * (Q4)  One copy. The driver's bytes are copied before they are checked; only the copy is used: a
 *       driver that changes a ring meanwhile gains nothing.
 * (Q5)  An end. A walk looks at no more than @max descriptors of the queue's table and @max of one
 *       indirect table, and finds no more than VIRTQUEUE_MAX buffers; so a loop of descriptors
 *       ends.
 * (Q6)  Chain. A chain that was popped has at least one buffer, none of its buffers is empty, and
 *       the readable ones come first.
 * (Q7)  Positions. @next_avail and @next_used are this process's own: where it is in the rings it
 *       never reads back from them. Only virtqueue_indices() does, for a queue that another
 *       process serves.
 * (Q8)  Answers. Only a chain that was popped is published, and once at most; in any order. Nothing
 *       is found by a chain's head and no table is made for @size chains, for a hostile driver can
 *       have one head taken twice, and more than @size chains.
 * (Q9)  Order. The available index is loaded, with acquire, before the entries below it; used
 *       entries are stored before the used index above them, which is stored with release.
 * (Q10) No lost wake-up. A full fence stands between publishing and the look whether the driver
 *       wants an interrupt, and between asking for notifications and the look whether there is
 *       something after all. A device that has published asks virtqueue_wants_interrupt() before it
 *       sleeps; and it sleeps only after virtqueue_listen(q, true) gave false, or where something
 *       else than new chains will wake it.
 * (Q11) Broken for good. While @broken is set virtqueue_pop() gives -EIO, and nobody touches the
 *       rings; only virtqueue_reset() clears it.
 */
#ifndef UMBRA_DEVICES_VIRTQUEUE_H
#define UMBRA_DEVICES_VIRTQUEUE_H

#include <sys/uio.h>

#include "base/types.h"
#include "devices/host.h"

#define VIRTQUEUE_MAX 256 /* largest queue, and most buffers of a chain */

/*
 * Set by the transport before virtqueue_enable(); a reset zeroes all but @max, and @size becomes
 * it.
 */
struct virtqueue {
	u16 max;  /* largest size offered; a power of two, <= VIRTQUEUE_MAX; 0: no queue */
	u16 size; /* as the driver chose it */
	u64 desc, avail, used;
	bool event_idx, indirect; /* negotiated */

	/* Owned by virtqueue.c. */
	bool enabled, broken;
	struct host *host;
	u8 *desc_ring, *avail_ring, *used_ring;
	u16 next_avail; /* where the next chain is popped */
	u16 next_used;	/* the used index, as it was published */
	u32 unlooked;	/* chains published since virtqueue_wants_interrupt() last looked */
	bool signalled; /* it has looked before, with event_idx */
	u16 unpopped;	/* chains given back; virtqueue_listen() waits for more than these */
};

/* One request: iov[0 .. n_out) is for the device to read, iov[n_out .. n_out + n_in) to write. */
struct vq_chain {
	u16 head;
	unsigned n_out, n_in;
	u64 out_len, in_len; /* bytes */
	struct iovec iov[VIRTQUEUE_MAX];
};

/* Disables @q and forgets all but @max. No thread serves it (Q2). */
void virtqueue_reset(struct virtqueue *q);
/*
 * Checks size and ring addresses of @q, which was reset, and makes it ready. -EINVAL: not a power
 * of two, too large, misaligned, or a ring that is not in RAM.
 */
int virtqueue_enable(struct virtqueue *q, struct host *h);

/*
 * Takes the next chain. 1: *c is that chain; 0: none is available; -EIO: malformed, the queue is
 * broken now.
 */
int virtqueue_pop(struct virtqueue *q, struct vq_chain *c);
/* Gives a chain back; @written bytes were stored into its writable part. */
void virtqueue_push(struct virtqueue *q, u16 head, u32 written);
/*
 * Does the same for several chains that belong together, which the driver must see at once: fills
 * in the @nth of them, from 0 on; virtqueue_publish() then publishes all @n.
 */
void virtqueue_fill(struct virtqueue *q, unsigned nth, u16 head, u32 written);
void virtqueue_publish(struct virtqueue *q, unsigned n);
/*
 * Gives back the last @n chains, of which none was published: they are popped again next. Until
 * then virtqueue_listen() and virtqueue_waiting() are about those behind them.
 */
void virtqueue_unpop(struct virtqueue *q, unsigned n);
/*
 * Returns true if the driver wants an interrupt for the chains that were published since the last
 * call, however many: a device that is fed without end publishes more of them between two calls
 * than the used index has values. To be called after publishing.
 */
bool virtqueue_wants_interrupt(struct virtqueue *q);
/* Returns true if there is something to pop. For busy polling: no more than one load. */
bool virtqueue_waiting(const struct virtqueue *q);
/*
 * Asks the driver for notifications, or for none. Switching on returns true if something is
 * available after all: then serve that first, since no notification may come for it.
 */
bool virtqueue_listen(struct virtqueue *q, bool on);

/*
 * Reads the indices of both rings of a queue that another process serves. If they are equal nothing
 * was under way when the used one was read. The queue is enabled.
 */
void virtqueue_indices(const struct virtqueue *q, u16 *avail, u16 *used);
/*
 * Returns true if all chains before the used index are answered, and none behind it: so that
 * another process can go on there. @since: an index before which all chains were answered once,
 * when none behind it was. That is exact for a driver that keeps to the rules; false if the rings
 * do not hold all chains and answers from @since on any more, or break a rule. Nobody serves the
 * queue, which is enabled.
 */
bool virtqueue_answered_since(const struct virtqueue *q, u16 since);

/*
 * Copies @len bytes out of, or into, a list of buffers from byte @offset on. Returns how many were
 * copied: fewer where the list ends.
 */
size_t iov_read(const struct iovec *iov, unsigned n, u64 offset, void *to, size_t len);
size_t iov_write(const struct iovec *iov, unsigned n, u64 offset, const void *from, size_t len);
/* Drops the first @skip bytes and all behind the next @len; returns the number of entries left. */
unsigned iov_cut(struct iovec *iov, unsigned n, u64 skip, u64 len);

#endif
