/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The event loop of the main thread: descriptors, timers, and an end.
 *
 * Timers are the time-out of the wait, not descriptors: a start makes several of them and each
 * timerfd would cost it three system calls.
 *
 * loop_add(), loop_mod(), loop_del() and loop_stop() may be called from any thread; callbacks run
 * on the thread that called loop_run(), one at a time. After loop_del() has returned *on that
 * thread*, the callback does not run again; another thread may see one more run.
 */
#ifndef UMBRA_BASE_LOOP_H
#define UMBRA_BASE_LOOP_H

#include "base/types.h"

struct loop;

/* @events as epoll(7). For a timer: the number of expiries. */
typedef void loop_fn(void *arg, u32 events);

int loop_create(struct loop **out);
/* Descriptors belong to who added them. NULL is allowed. */
void loop_destroy(struct loop *l);

/* -EPERM: a regular file, which is always ready and cannot be watched. */
int loop_add(struct loop *l, int fd, u32 events, loop_fn *fn, void *arg);
int loop_mod(struct loop *l, int fd, u32 events);
void loop_del(struct loop *l, int fd);

/*
 * A timer: first after @first_ns (0: not armed yet), then every @period_ns (0: once). Returns its
 * handle (>= 0) or -errno. loop_timer_set() arms it anew, from any thread.
 */
int loop_timer(struct loop *l, u64 first_ns, u64 period_ns, loop_fn *fn, void *arg);
void loop_timer_set(struct loop *l, int timer, u64 first_ns, u64 period_ns);
void loop_timer_del(struct loop *l, int timer);

/*
 * Have @c->fn(@c->arg) called soon on the loop's thread; once, however often it was asked for before
 * the call. Any thread. Without the loop's running again it is not called. @c lives until the call,
 * or the loop's end.
 */
struct loop_call {
	void (*fn)(void *arg);
	void *arg;
	struct loop_call *next; /* the loop's */
	bool queued;
};
void loop_call(struct loop *l, struct loop_call *c);

/* Runs until loop_stop(); -errno if waiting fails. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* After loop_run() has returned: it can be called once more. */
void loop_again(struct loop *l);

#endif
