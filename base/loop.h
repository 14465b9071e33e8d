/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs the event loop of the main thread, which calls back for descriptors and timers until it is
 * stopped.
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

/* Called with @events as epoll(7) has them; for a timer, with the number of expiries. */
typedef void loop_fn(void *arg, u32 events);

/* Makes a loop that watches nothing yet. -errno. */
int loop_create(struct loop **out);
/* Closes no descriptor that was added. NULL is allowed. */
void loop_destroy(struct loop *l);

/*
 * Watches @fd and calls @fn for @events. -EPERM: a regular file, which is always ready and cannot
 * be watched; other -errno of epoll_ctl(2).
 */
int loop_add(struct loop *l, int fd, u32 events, loop_fn *fn, void *arg);
int loop_mod(struct loop *l, int fd, u32 events);
void loop_del(struct loop *l, int fd);

/*
 * Makes a timer, which runs @fn first after @first_ns (0: not armed yet), then every @period_ns (0:
 * once). Returns its handle (>= 0) or -errno. loop_timer_set() arms it anew, from any thread.
 */
int loop_timer(struct loop *l, u64 first_ns, u64 period_ns, loop_fn *fn, void *arg);
void loop_timer_set(struct loop *l, int timer, u64 first_ns, u64 period_ns);
void loop_timer_del(struct loop *l, int timer);

/*
 * Calls @c->fn(@c->arg) soon on the loop's thread; once, however often this is asked for before the
 * call. May be called from any thread. Nothing is called unless loop_run() runs. @c must live until
 * the call, or until the loop is destroyed.
 */
struct loop_call {
	void (*fn)(void *arg);
	void *arg;
	struct loop_call *next; /* for the loop alone */
	bool queued;
};
void loop_call(struct loop *l, struct loop_call *c);
/*
 * Takes back what was asked for by loop_call(), if it has not been called yet; @c need not live any
 * longer then. On the loop's thread, or while no thread runs it.
 */
void loop_call_cancel(struct loop *l, struct loop_call *c);

/* Runs until loop_stop(); -errno if waiting fails. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Undoes loop_stop(), so that loop_run() can be called once more. */
void loop_again(struct loop *l);

#endif
