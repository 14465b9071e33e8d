/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The split virtqueue (virtio 1.2, 2.7): the only code that reads descriptors. No device does.
 *
 * A chain is walked once: each descriptor is copied to host memory once and only the copy is
 * checked and used, so a guest that changes the ring meanwhile gains nothing. What comes out is a
 * list of host pointers, all inside guest RAM, readable ones first. The *contents* of the buffers
 * are still hostile: copy what you decide on (iov_read()).
 *
 * Limits: a chain has at most as many descriptors as the queue can have at most (its max), by
 * indirection too; that bounds every loop here. A queue that was found malformed is broken: pop
 * gives -EIO until it is set up again, and the device says DEVICE_NEEDS_RESET.
 *
 * Threads: setup and reset while nobody pops; pop, push and the notify functions by one thread.
 */
#ifndef UMBRA_DEVICES_VIRTQUEUE_H
#define UMBRA_DEVICES_VIRTQUEUE_H

#include <sys/uio.h>

#include "base/types.h"
#include "devices/host.h"

#define VIRTQUEUE_MAX 256 /* largest queue, and thus longest chain */

/* Set by the transport before virtqueue_enable(); all zero after a reset but @max. */
struct virtqueue {
	u16 max;  /* largest size offered; a power of two, <= VIRTQUEUE_MAX; 0: no queue */
	u16 size; /* what the driver chose */
	u64 desc, avail, used;
	bool event_idx, indirect; /* negotiated */

	/* Owned by virtqueue.c. */
	bool enabled, broken;
	struct host *host;
	u8 *desc_ring, *avail_ring, *used_ring;
	u16 next_avail, next_used, signalled_used;
	bool signalled; /* signalled_used is valid */
	u16 unpopped;	/* so many chains are there, and are too few */
};

/* One request: iov[0 .. n_out) is for the device to read, iov[n_out .. n_out + n_in) to write. */
struct vq_chain {
	u16 head;
	unsigned n_out, n_in;
	u64 out_len, in_len; /* bytes */
	struct iovec iov[VIRTQUEUE_MAX];
};

void virtqueue_reset(struct virtqueue *q);
/*
 * Check size and ring addresses and make the queue ready. -EINVAL: not a power of two, too large,
 * misaligned, or a ring that is not in RAM.
 */
int virtqueue_enable(struct virtqueue *q, struct host *h);

/* 1: *c is the next chain; 0: none is available; -EIO: malformed, the queue is broken now. */
int virtqueue_pop(struct virtqueue *q, struct vq_chain *c);
/* Give a chain back, @written bytes were stored into its writable part. */
void virtqueue_push(struct virtqueue *q, u16 head, u32 written);
/*
 * The same for several chains that belong together, which the driver must see at once: the @nth of
 * them, from 0 on, then all @n.
 */
void virtqueue_fill(struct virtqueue *q, unsigned nth, u16 head, u32 written);
void virtqueue_publish(struct virtqueue *q, unsigned n);
/*
 * Give the last @n chains back to where they were popped from: they will be popped again. Until then
 * virtqueue_listen() is about what comes after them.
 */
void virtqueue_unpop(struct virtqueue *q, unsigned n);
/* After pushes: does the driver want an interrupt for them? */
bool virtqueue_wants_interrupt(struct virtqueue *q);
/* Is there something to pop? For who looks again and again: no more than one load. */
bool virtqueue_waiting(const struct virtqueue *q);
/*
 * Ask the driver for notifications, or for none. Switching on returns true if something is available
 * after all: then serve that first, since no kick may come for it.
 */
bool virtqueue_listen(struct virtqueue *q, bool on);

/*
 * For a queue that another process served, which is gone: where in the available ring its successor
 * goes on, if it can go on there: nothing is unanswered, or all that was asked before that index was
 * answered. The rings show that for as long as they are. Over some stretch up to the index, longer
 * than half of that, exactly the requests that were asked must have been answered, in any order. A
 * request that has been waiting for more than that many others escapes this. False: it is not known.
 */
bool virtqueue_resume_at(const struct virtqueue *q, u16 *index);

/*
 * Copy out of, or into, a list of buffers from byte @offset on. Returns how many bytes it had,
 * which is less than @len at the list's end.
 */
size_t iov_read(const struct iovec *iov, unsigned n, u64 offset, void *to, size_t len);
size_t iov_write(const struct iovec *iov, unsigned n, u64 offset, const void *from, size_t len);
/* Drop the first @skip bytes and all behind the next @len; returns the number of entries left. */
unsigned iov_cut(struct iovec *iov, unsigned n, u64 skip, u64 len);

#endif
