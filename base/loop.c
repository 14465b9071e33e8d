// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements the event loop: epoll with one watch for each descriptor, and timers. A watch or a
 * timer that is deleted while a batch of events is served is only marked, and freed after the
 * batch, which may still hold an event for it.
 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/eventfd.h"

#define NEVER UINT64_MAX

struct watch {
	struct watch *next;
	int fd;
	bool dead;
	loop_fn *fn;
	void *arg;
};

struct alarm {
	struct alarm *next;
	int handle;
	bool dead;
	u64 due, period; /* CLOCK_MONOTONIC; NEVER: not armed */
	loop_fn *fn;
	void *arg;
};

struct loop {
	int epoll;
	int wake_fd;
	bool stopped;	      /* atomic */
	bool no_pwait2;	      /* a Linux before 5.11 */
	pthread_mutex_t lock; /* of the members below */
	struct watch *watches;
	struct alarm *alarms;
	struct loop_call *calls;
	int next_handle;
	u64 wakes_at; /* the time at which the present wait ends by itself; 0: it does not wait */
	bool some_dead;
};

static void loop_wake(struct loop *l)
{
	eventfd_signal(l->wake_fd);
}

static struct loop_call *call_take(struct loop *l)
{
	struct loop_call *c;

	pthread_mutex_lock(&l->lock);
	c = l->calls;
	if (c) {
		l->calls = c->next;
		c->queued = false;
	}
	pthread_mutex_unlock(&l->lock);
	return c;
}

static void wake_fd_drain(void *arg, u32 events)
{
	struct loop *l = arg;
	u64 count;

	(void)events;
	/*
	 * The eventfd only ends the wait: calls, timers and loop_stop() are looked at after each
	 * one.
	 */
	if (read(l->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static void calls_run(struct loop *l)
{
	struct loop_call *c;

	while (!__atomic_load_n(&l->stopped, __ATOMIC_ACQUIRE) && (c = call_take(l)))
		c->fn(c->arg);
}

int loop_create(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->wake_fd = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		ret = -errno;
		goto fail;
	}
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		ret = -errno;
		goto fail;
	}
	ret = loop_add(l, l->wake_fd, EPOLLIN, wake_fd_drain, l);
	if (ret)
		goto fail;
	*out = l;
	return 0;
fail:
	loop_destroy(l);
	return ret;
}

static void free_dead(struct loop *l, bool all)
{
	struct watch **p = &l->watches;
	struct alarm **q = &l->alarms;

	while (*p) {
		struct watch *e = *p;

		if (!all && !e->dead) {
			p = &e->next;
			continue;
		}
		*p = e->next;
		free(e);
	}
	while (*q) {
		struct alarm *t = *q;

		if (!all && !t->dead) {
			q = &t->next;
			continue;
		}
		*q = t->next;
		free(t);
	}
	l->some_dead = false;
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	free_dead(l, true);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->epoll >= 0)
		close(l->epoll);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static struct watch *watch_find(struct loop *l, int fd)
{
	struct watch *e;

	for (e = l->watches; e; e = e->next)
		if (e->fd == fd && !e->dead)
			return e;
	return NULL;
}

int loop_add(struct loop *l, int fd, u32 events, loop_fn *fn, void *arg)
{
	struct epoll_event ev = { .events = events };
	struct watch *e = calloc(1, sizeof(*e));
	int ret = 0;

	if (!e)
		return -ENOMEM;
	e->fd = fd;
	e->fn = fn;
	e->arg = arg;
	ev.data.ptr = e;
	pthread_mutex_lock(&l->lock);
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev)) {
		ret = -errno;
		free(e);
	} else {
		e->next = l->watches;
		l->watches = e;
	}
	pthread_mutex_unlock(&l->lock);
	return ret;
}

int loop_mod(struct loop *l, int fd, u32 events)
{
	struct epoll_event ev = { .events = events };
	struct watch *e;
	int ret = 0;

	pthread_mutex_lock(&l->lock);
	e = watch_find(l, fd);
	ev.data.ptr = e;
	if (!e)
		ret = -ENOENT;
	else if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &ev))
		ret = -errno;
	pthread_mutex_unlock(&l->lock);
	return ret;
}

void loop_del(struct loop *l, int fd)
{
	struct watch *e;

	pthread_mutex_lock(&l->lock);
	e = watch_find(l, fd);
	if (e) {
		epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
		e->dead = true;
		l->some_dead = true;
	}
	pthread_mutex_unlock(&l->lock);
}

/* Sets when a timer expires; wakes a loop that would sleep longer. The caller holds the lock. */
static void alarm_set(struct loop *l, struct alarm *t, u64 first_ns, u64 period_ns)
{
	u64 now = first_ns ? now_ns() : 0;

	t->due = !first_ns ? NEVER : first_ns < NEVER - now ? now + first_ns : NEVER - 1;
	t->period = period_ns;
	if (t->due < l->wakes_at)
		loop_wake(l);
}

int loop_timer(struct loop *l, u64 first_ns, u64 period_ns, loop_fn *fn, void *arg)
{
	struct alarm *t = calloc(1, sizeof(*t));
	int handle;

	if (!t)
		return -ENOMEM;
	t->fn = fn;
	t->arg = arg;
	pthread_mutex_lock(&l->lock);
	t->handle = handle = l->next_handle++;
	t->next = l->alarms;
	l->alarms = t;
	alarm_set(l, t, first_ns, period_ns);
	pthread_mutex_unlock(&l->lock);
	return handle;
}

/* Returns the timer of a handle, or NULL. The caller holds the lock. */
static struct alarm *alarm_find(struct loop *l, int handle)
{
	struct alarm *t;

	for (t = l->alarms; t; t = t->next)
		if (t->handle == handle && !t->dead)
			return t;
	return NULL;
}

void loop_timer_set(struct loop *l, int timer, u64 first_ns, u64 period_ns)
{
	struct alarm *t;

	pthread_mutex_lock(&l->lock);
	t = alarm_find(l, timer);
	if (t)
		alarm_set(l, t, first_ns, period_ns);
	pthread_mutex_unlock(&l->lock);
}

void loop_timer_del(struct loop *l, int timer)
{
	struct alarm *t;

	pthread_mutex_lock(&l->lock);
	t = alarm_find(l, timer);
	if (t) {
		t->dead = true;
		l->some_dead = true;
	}
	pthread_mutex_unlock(&l->lock);
}

static void watch_run(struct loop *l, struct watch *e, u32 events)
{
	pthread_mutex_lock(&l->lock);
	if (e->dead)
		events = 0;
	pthread_mutex_unlock(&l->lock);
	if (events)
		e->fn(e->arg, events);
}

/* Returns how often @t has expired by @now, and sets it to its next time, or NEVER. */
static u32 alarm_expiries(struct alarm *t, u64 now)
{
	u64 n;

	if (t->dead || t->due > now)
		return 0;
	if (!t->period) {
		t->due = NEVER;
		return 1;
	}
	n = (now - t->due) / t->period + 1;
	t->due += n * t->period;
	return n > UINT32_MAX ? UINT32_MAX : (u32)n;
}

/*
 * Runs the timers that are due. The walk goes on after a callback: timers are freed behind it only,
 * and a callback's new ones come in front.
 */
static void alarms_run(struct loop *l)
{
	u64 now = now_ns();
	struct alarm *t;

	pthread_mutex_lock(&l->lock);
	for (t = l->alarms; t && !__atomic_load_n(&l->stopped, __ATOMIC_ACQUIRE); t = t->next) {
		u32 n = alarm_expiries(t, now);

		if (!n)
			continue;
		pthread_mutex_unlock(&l->lock);
		t->fn(t->arg, n);
		pthread_mutex_lock(&l->lock);
	}
	if (l->some_dead)
		free_dead(l, false);
	pthread_mutex_unlock(&l->lock);
}

/* Waits for events until the first timer is due. Returns their number or -errno. */
static int events_wait(struct loop *l, struct epoll_event *ev, int max)
{
	struct timespec left = { 0, 0 };
	u64 due = NEVER, now = now_ns();
	int n = -1;

	pthread_mutex_lock(&l->lock);
	for (const struct alarm *t = l->alarms; t; t = t->next)
		if (!t->dead && t->due < due)
			due = t->due;
	if (l->calls)
		due = now;
	l->wakes_at = due;
	pthread_mutex_unlock(&l->lock);
	if (due > now && due != NEVER) {
		left.tv_sec = (time_t)((due - now) / NS_PER_SECOND);
		left.tv_nsec = (long)((due - now) % NS_PER_SECOND);
	}
	if (!l->no_pwait2) {
		n = epoll_pwait2(l->epoll, ev, max, due == NEVER ? NULL : &left, NULL);
		l->no_pwait2 = n < 0 && errno == ENOSYS;
	}
	if (l->no_pwait2) {
		u64 ms = (u64)left.tv_sec * 1000 + ((u64)left.tv_nsec + 999999) / 1000000;

		n = epoll_wait(l->epoll, ev, max,
			       due == NEVER   ? -1
			       : ms < 1000000 ? (int)ms
					      : 1000000);
	}
	if (n < 0)
		n = -errno;
	pthread_mutex_lock(&l->lock);
	l->wakes_at = 0;
	pthread_mutex_unlock(&l->lock);
	return n;
}

int loop_run(struct loop *l)
{
	struct epoll_event ev[16];

	calls_run(l); /* those of before the start */
	while (!__atomic_load_n(&l->stopped, __ATOMIC_ACQUIRE)) {
		int n = events_wait(l, ev, ARRAY_SIZE(ev));

		if (n < 0 && n != -EINTR)
			return n;
		for (int i = 0; i < n && !__atomic_load_n(&l->stopped, __ATOMIC_ACQUIRE); i++)
			watch_run(l, ev[i].data.ptr, ev[i].events);
		calls_run(l);
		alarms_run(l);
	}
	return 0;
}

void loop_call(struct loop *l, struct loop_call *c)
{
	pthread_mutex_lock(&l->lock);
	if (!c->queued) {
		c->queued = true;
		c->next = l->calls;
		l->calls = c;
	}
	/* A loop that does not wait looks at the list of calls before it waits the next time. */
	if (l->wakes_at)
		loop_wake(l);
	pthread_mutex_unlock(&l->lock);
}

void loop_call_cancel(struct loop *l, struct loop_call *c)
{
	struct loop_call **at;

	pthread_mutex_lock(&l->lock);
	for (at = &l->calls; *at && *at != c; at = &(*at)->next)
		;
	if (*at)
		*at = c->next;
	c->queued = false;
	pthread_mutex_unlock(&l->lock);
}

void loop_again(struct loop *l)
{
	__atomic_store_n(&l->stopped, false, __ATOMIC_RELEASE);
}

void loop_stop(struct loop *l)
{
	__atomic_store_n(&l->stopped, true, __ATOMIC_RELEASE);
	loop_wake(l);
}
