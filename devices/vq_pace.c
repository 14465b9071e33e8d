// SPDX-License-Identifier: GPL-2.0-only
/* Counts polls, interrupts and stalls, and decides from them when to poll and when to interrupt. */
#include "devices/vq_pace.h"

#include <sched.h>

/*
 * A poll ends after so many loads, not after a time: reading a clock costs more than a load. PAUSE
 * takes 40 ns or less.
 */
#define POLL_LOADS 2000U
#define RARELY	   256U /* longest pause after failures; then a changed driver is noticed */

void vq_pace_init(struct vq_pace *p, unsigned threads)
{
	cpu_set_t set;

	*p = (struct vq_pace){ .batch = 1, .probe_every = 1, .poll_every = 1 };
	CPU_ZERO(&set);
	/* On a host without CPUs to spare polling would take the driver's. */
	p->polls = threads && !sched_getaffinity(0, sizeof(set), &set) &&
		   (unsigned)CPU_COUNT(&set) >= 2 * threads;
}

static u16 pause_doubled(u16 every)
{
	return every < RARELY / 2 ? (u16)(2 * every) : RARELY;
}

bool vq_pace_may_poll(struct vq_pace *p)
{
	if (!p->polls)
		return false;
	if (!p->poll_in)
		return true;
	p->poll_in--;
	return false;
}

void vq_pace_polled(struct vq_pace *p, bool found)
{
	p->poll_every = found ? 1 : pause_doubled(p->poll_every);
	p->poll_in = found ? 0 : p->poll_every;
}

bool vq_pace_enough(struct vq_pace *p, unsigned n)
{
	if (!p->polls || n >= VQ_PACE_BATCH)
		return true;
	if (n < p->batch)
		return false;
	if (p->probing) {
		if (n < 2 * p->batch)
			return false;
		/* The probe succeeded: the driver had more to add without these answers. */
		p->batch *= 2;
		p->probing = false;
		/*
		 * A quarter less, where a failure doubles it: with a driver that can do without a
		 * few more than @batch, successes and failures alternate.
		 */
		p->probe_every = (u16)(p->probe_every - p->probe_every / 4);
	}
	if (p->probe_in) {
		p->probe_in--;
	} else {
		p->probing = true;
		p->probe_in = p->probe_every;
	}
	return true;
}

void vq_pace_stalled(struct vq_pace *p, unsigned n)
{
	/*
	 * Half of the answers that stalled it: it is interrupted while it still has as many to add.
	 */
	p->batch = n > 1 ? n / 2 : 1;
	p->probing = false;
	p->probe_every = pause_doubled(p->probe_every);
	p->probe_in = p->probe_every;
}

bool vq_pace_poll(bool (*there)(void *arg), void *arg)
{
	for (unsigned i = 0; i < POLL_LOADS; i++) {
		if (there(arg))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}
