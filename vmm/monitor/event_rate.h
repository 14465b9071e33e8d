/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps events of one kind about one thing a second apart, as QEMU's monitor does with some: the
 * first one is sent at once, and of those that come within a second the last, at its end.
 *
 * Private to the room. Main thread.
 */
#ifndef UMBRA_VMM_MONITOR_EVENT_RATE_H
#define UMBRA_VMM_MONITOR_EVENT_RATE_H

#include "base/loop.h"
#include "base/types.h"

struct event_rate {
	struct loop *loop;
	/* Sends the event, by what is so now; false: there is nothing to tell. */
	bool (*send)(void *arg, unsigned nr);
	void *arg;
	unsigned nr;	     /* of the thing */
	int timer;	     /* or -1 */
	bool waits, pending; /* the timer runs; there was news meanwhile */
};

void event_rate_init(struct event_rate *r, struct loop *loop, bool (*send)(void *arg, unsigned nr),
		     void *arg, unsigned nr);
/* Sends the event, or leaves it to the timer. */
void event_rate_news(struct event_rate *r);
/* Ends the timer. */
void event_rate_end(struct event_rate *r);

#endif
