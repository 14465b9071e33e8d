/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Paces the thread that serves a queue by adaptive busy polling and interrupt coalescing: how long
 * it polls for more requests before it sleeps, and how many answers share one interrupt.
 *
 * Busy polling. A driver that adds a request while the thread polls need not notify it, which saves
 * the guest an exit. Polling costs CPU time, so the thread polls only if the host has twice as many
 * CPUs as the guest has such threads, and after a poll that found nothing it sleeps at once for the
 * next 2, 4, 8, ... times, 256 at most. A poll that found something sets this back to none.
 *
 * Interrupt coalescing. Answers are published at once; the interrupt for them may come later, while
 * the driver has other requests to add. @batch is for how many answers the interrupt is held back:
 * as many as the driver was seen to do without. It is found by trying twice as many now and then (a
 * probe), up to VQ_PACE_BATCH. If a poll finds no request while an interrupt is held back, the
 * driver has stalled: it needs these answers, so the interrupt is raised, @batch becomes half of
 * them, and the next probe comes after 2, 4, 8, ... interrupts, 256 at most; a probe that succeeds
 * makes that a quarter less.
 *
 * For example a driver that has eight requests at a time: three probes find that it can do without
 * 2, 4 and 8 answers; at the fourth it stalls with all eight answered, and @batch is 4. From there
 * on the probes alternate: one that raises @batch to 8, one that stalls the driver and brings it
 * back to 4.
 */
#ifndef UMBRA_DEVICES_VQ_PACE_H
#define UMBRA_DEVICES_VQ_PACE_H

#include "base/types.h"

#define VQ_PACE_BATCH 16U /* most answers for one interrupt */

struct vq_pace {
	bool polls;	 /* the host has CPUs for busy polling; by vq_pace_init() */
	unsigned batch;	 /* answers for one interrupt that did not stall the driver */
	bool probing;	 /* the interrupt is held back for twice as many, this time */
	u16 probe_in;	 /* interrupts until the next probe */
	u16 probe_every; /* the next value of probe_in */
	u16 poll_in,
		poll_every; /* the same for polls, counted in times that there is nothing to do */
};

/*
 * Initializes @p. @threads: how many of the host's CPUs the guest's threads of this kind may keep
 * busy; 0: unknown.
 */
void vq_pace_init(struct vq_pace *p, unsigned threads);

/*
 * Returns true if the thread, which has nothing to do, shall poll now; then vq_pace_polled() is
 * told the result.
 */
bool vq_pace_may_poll(struct vq_pace *p);
void vq_pace_polled(struct vq_pace *p, bool found);

/*
 * Returns true if the interrupt is to be raised for @n answers now. False: it is held back; the
 * thread polls for more requests, and if there are none, calls vq_pace_stalled() and raises it for
 * these @n.
 */
bool vq_pace_enough(struct vq_pace *p, unsigned n);
void vq_pace_stalled(struct vq_pace *p, unsigned n);

/*
 * Polls @there until it returns true, or for less than 100 us on processors of today. Returns the
 * last result of @there.
 */
bool vq_pace_poll(bool (*there)(void *arg), void *arg);

#endif
