/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Knows of a queue that another process serves which chains it has not answered, so that after its
 * death a successor can go on: nothing is lost, and nothing answered twice.
 *
 * The other process keeps no record, and the rings hold the last @size chains and answers only. A
 * chain that has waited for longer than that has left no trace, and as drivers take the same heads
 * again and again, the rings then look as if the newest chain waited. So what is needed is a point
 * from which on the rings hold everything: an index before which all chains are answered and behind
 * which none was at that time. There is one at each start, and later on whenever a look finds
 * nothing under way. It holds until the rings have gone round; without one it is unknown which
 * chains are unanswered, unless all are answered.
 *
 * An index has 16 bits: 65536 chains later it is the same. Looks come VQ_HISTORY_LOOK_MS after each
 * other, therefore, and one that is later than VQ_HISTORY_LATE_MS believes no earlier point. Wrong
 * would be a look that meets the same index within @size chains, after more than 327000 chains a
 * second, of which one has waited all along.
 *
 * One thread at a time uses it, the queue's owner by (Q2) of virtqueue.h.
 */
#ifndef UMBRA_DEVICES_VQ_HISTORY_H
#define UMBRA_DEVICES_VQ_HISTORY_H

#include "devices/virtqueue.h"

#define VQ_HISTORY_LOOK_MS 100
#define VQ_HISTORY_LATE_MS 200

struct vq_history {
	bool served;   /* since the driver has started the queue */
	bool known;    /* @since is such a point */
	u16 since;     /* index in both rings */
	s64 looked_ms; /* CLOCK_MONOTONIC of the last look */
};

/* Forgets all: the driver has reset the queue. An object of zeroes is in that state. */
void vq_history_reset(struct vq_history *h);
/*
 * Finds where the next process goes on in the available ring. False: it is not known which chains
 * are unanswered. The queue is enabled.
 */
bool vq_history_resume(const struct vq_history *h, const struct virtqueue *q, u16 *index);
/*
 * Notes that a process serves the queue from @index on, which vq_history_resume() has given; @known
 * is what it returned, false where the process goes on by a record of its own. @now: now_ms().
 */
void vq_history_begin(struct vq_history *h, u16 index, bool known, s64 now);
/* Looks at the rings while the queue is served, and once when the process is gone. */
void vq_history_look(struct vq_history *h, const struct virtqueue *q, s64 now);

#endif
