// SPDX-License-Identifier: GPL-2.0-only
#include "devices/vq_pace.h"

#include <sched.h>

/*
 * Looks, not microseconds: reading a clock costs more than a look, and what a driver does meanwhile
 * takes its time from the same processor. PAUSE takes 40 ns or less.
 */
#define LOOKS  2000U
#define RARELY 256U /* what was in vain is tried again this often at least, to see a change */

void vq_pace_init(struct vq_pace *p, unsigned threads)
{
	cpu_set_t set;

	*p = (struct vq_pace){ .share = 1, .try_every = 1, .look_every = 1 };
	CPU_ZERO(&set);
	/* Where there is no CPU but the guest's, looking would take it away from the driver. */
	p->looks = threads && !sched_getaffinity(0, sizeof(set), &set) &&
		   (unsigned)CPU_COUNT(&set) >= 2 * threads;
}

static u16 more_rarely(u16 every)
{
	return every < RARELY / 2 ? (u16)(2 * every) : RARELY;
}

bool vq_pace_may_look(struct vq_pace *p)
{
	if (!p->looks)
		return false;
	if (!p->look_in)
		return true;
	p->look_in--;
	return false;
}

void vq_pace_looked(struct vq_pace *p, bool found)
{
	p->look_every = found ? 1 : more_rarely(p->look_every);
	p->look_in = found ? 0 : p->look_every;
}

bool vq_pace_enough(struct vq_pace *p, unsigned n)
{
	if (!p->looks || n >= VQ_PACE_MOST)
		return true;
	if (n < p->share)
		return false;
	if (p->trying) {
		if (n < 2 * p->share)
			return false;
		/* The driver had more to do without these answers. */
		p->share *= 2;
		p->trying = false;
		/* Less than a failure takes: the two alternate where it can do a little more. */
		p->try_every = (u16)(p->try_every - p->try_every / 4);
	}
	if (p->try_in) {
		p->try_in--;
	} else {
		p->trying = true;
		p->try_in = p->try_every;
	}
	return true;
}

void vq_pace_too_few(struct vq_pace *p, unsigned n)
{
	/* Half of what it can do without an answer: so it never stands still for one. */
	p->share = n > 1 ? n / 2 : 1;
	p->trying = false;
	p->try_every = more_rarely(p->try_every);
	p->try_in = p->try_every;
}

bool vq_pace_look(bool (*there)(void *arg), void *arg)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		if (there(arg))
			return true;
		__builtin_ia32_pause();
	}
	return false;
}
