/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long the thread of a queue looks for more before it sleeps, and how many answers share one
 * interrupt. A driver that finds the device awake need not ring, which saves it an exit; answers that
 * share an interrupt save it others.
 *
 * Looking costs time of a CPU, so it is done only where there is one to spare, only after something
 * was served, and ever more rarely where it was in vain. Holding an interrupt back costs the driver
 * time if that is what it waits for. How many answers it can be made to wait for is not visible here:
 * answers that it has taken look like requests that it never had. So that is tried out, one step more
 * at a time, and again ever more rarely where it was in vain.
 */
#ifndef UMBRA_DEVICES_VQ_PACE_H
#define UMBRA_DEVICES_VQ_PACE_H

#include "base/types.h"

#define VQ_PACE_MOST 16U /* answers for one interrupt */

struct vq_pace {
	bool looks;		 /* by vq_pace_init() */
	unsigned share;		 /* answers for one interrupt that were not too many */
	bool trying;		 /* twice as many, this time */
	u16 try_in, try_every;	 /* interrupts */
	u16 look_in, look_every; /* ends of work */
};

/* @threads: how many CPUs the guest has, each of which may keep one such thread busy; 0: unknown. */
void vq_pace_init(struct vq_pace *p, unsigned threads);

/* Nothing to do: is it worth looking for more? Then say whether there was any. */
bool vq_pace_may_look(struct vq_pace *p);
void vq_pace_looked(struct vq_pace *p, bool found);

/*
 * Whether @n answers are enough for an interrupt; if so it is to be raised now. Otherwise look for
 * more, and if there are none, say so and raise it.
 */
bool vq_pace_enough(struct vq_pace *p, unsigned n);
void vq_pace_too_few(struct vq_pace *p, unsigned n);

/*
 * Look until @there says true or it has been long enough, less than 100 us by now's processors; for
 * each look the processor is told that this is waiting.
 */
bool vq_pace_look(bool (*there)(void *arg), void *arg);

#endif
