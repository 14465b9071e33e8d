/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs one thread that serves all queues of a device, for devices that need little throughput.
 *
 * It waits for the kicks of the enabled queues and for descriptors of the device's own.
 */
#ifndef UMBRA_DEVICES_VQ_WORKER_H
#define UMBRA_DEVICES_VQ_WORKER_H

#include <poll.h>

#include "devices/virtio.h"

#define VQ_WORKER_FDS 4 /* of the device's own */

struct vq_worker;

struct vq_worker_ops {
	const char *name; /* of the thread; at most 15 bytes */
	/*
	 * Serves all that can be served without waiting; called first, and after every wake-up. A
	 * driver may add faster than it is served, or more than a second's work: so every loop over
	 * its chains ends when vq_worker_ending() is true. False: the driver broke the rules, and
	 * the thread ends.
	 */
	bool (*serve)(void *arg, const struct vq_worker *w);
	/*
	 * Adds descriptors of the device's own to wait for: fills in up to VQ_WORKER_FDS entries of
	 * @p and returns their number. *timeout_ms is -1 beforehand. May be NULL.
	 */
	unsigned (*watch)(void *arg, struct pollfd *p, int *timeout_ms);
};

/* Starts the thread for @v's queues; to be called by start() of @v's type. -errno. */
int vq_worker_start(struct vq_worker **out, struct virtio *v, const struct vq_worker_ops *ops,
		    void *arg);
/* Returns true if the thread is to end. On the worker's thread. */
bool vq_worker_ending(const struct vq_worker *w);
/*
 * Returns true if a descriptor of the device's own was ready when the thread woke up, and before it
 * has slept at all. On the worker's thread.
 */
bool vq_worker_own_ready(const struct vq_worker *w);
/* Has serve() called soon. Any thread, between start and stop. */
void vq_worker_wake(struct vq_worker *w);
/* Ends the thread, waits for it, and frees @w. NULL allowed. */
void vq_worker_stop(struct vq_worker *w);

#endif
