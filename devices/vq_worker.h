/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One thread that serves all queues of a device, for devices that are not about throughput: it
 * waits for the kicks of the enabled queues and for descriptors of the device's own.
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
	 * Serve all that can be served without waiting; called first, and after every wake-up. A
	 * driver may add faster than it is served, or more than a second's work: so every loop over
	 * what it added ends when vq_worker_ending() says so. False: the driver broke the rules, and
	 * the thread ends.
	 */
	bool (*serve)(void *arg, const struct vq_worker *w);
	/*
	 * What else to wait for: fill in up to VQ_WORKER_FDS entries and return their number;
	 * *timeout_ms is -1 beforehand. May be NULL.
	 */
	unsigned (*watch)(void *arg, struct pollfd *p, int *timeout_ms);
};

int vq_worker_start(struct vq_worker **out, struct virtio *v, const struct vq_worker_ops *ops,
		    void *arg);
/* On the worker's thread: has it been told to stop? */
bool vq_worker_ending(const struct vq_worker *w);
/* Have serve() called soon. Any thread, between start and stop. */
void vq_worker_wake(struct vq_worker *w);
/* Joins the thread; frees. NULL allowed. */
void vq_worker_stop(struct vq_worker *w);

#endif
