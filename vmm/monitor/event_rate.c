// SPDX-License-Identifier: GPL-2.0-only
/* Sends events, but not more than one in a second. */
#include "vmm/monitor/event_rate.h"

#include "base/clock.h"

#define APART_NS NS_PER_SECOND

void event_rate_init(struct event_rate *r, struct loop *loop, bool (*send)(void *arg, unsigned nr),
		     void *arg, unsigned nr)
{
	*r = (struct event_rate){ .loop = loop, .send = send, .arg = arg, .nr = nr, .timer = -1 };
}

static void on_event_timer(void *arg, u32 expiries);

/* Sends it, and none for a second from now on. */
static void event_send(struct event_rate *r)
{
	r->pending = r->waits = false;
	if (!r->send(r->arg, r->nr))
		return;
	if (r->timer < 0)
		r->timer = loop_timer(r->loop, APART_NS, 0, on_event_timer, r);
	else
		loop_timer_set(r->loop, r->timer, APART_NS, 0);
	r->waits = r->timer >= 0;
}

static void on_event_timer(void *arg, u32 expiries)
{
	struct event_rate *r = arg;

	(void)expiries;
	r->waits = false;
	if (r->pending)
		event_send(r);
}

void event_rate_news(struct event_rate *r)
{
	if (r->waits)
		r->pending = true;
	else
		event_send(r);
}

void event_rate_end(struct event_rate *r)
{
	if (r->timer >= 0)
		loop_timer_del(r->loop, r->timer);
	r->timer = -1;
}
