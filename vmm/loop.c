// SPDX-License-Identifier: GPL-2.0-only
/*
 * epoll, with one entry per descriptor. An entry that is deleted while a batch of events is being
 * served is only marked, and freed after the batch: an event of it may still be in the batch.
 */
#include "vmm/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct entry {
	struct entry *next;
	int fd;
	bool timer;
	bool dead;
	loop_fn *fn;
	void *arg;
};

struct loop {
	int epoll;
	int stop_fd;
	bool stopped;	      /* atomic */
	pthread_mutex_t lock; /* entries */
	struct entry *entries;
	bool some_dead;
};

static void on_stop(void *arg, u32 events)
{
	(void)arg;
	(void)events;
}

int loop_create(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->stop_fd = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		ret = -errno;
		goto fail;
	}
	l->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->stop_fd < 0) {
		ret = -errno;
		goto fail;
	}
	ret = loop_add(l, l->stop_fd, EPOLLIN, on_stop, NULL);
	if (ret)
		goto fail;
	*out = l;
	return 0;
fail:
	loop_destroy(l);
	return ret;
}

static void sweep(struct loop *l, bool all)
{
	struct entry **p = &l->entries;

	while (*p) {
		struct entry *e = *p;

		if (!all && !e->dead) {
			p = &e->next;
			continue;
		}
		*p = e->next;
		if (e->timer)
			close(e->fd);
		free(e);
	}
	l->some_dead = false;
}

void loop_destroy(struct loop *l)
{
	if (!l)
		return;
	sweep(l, true);
	if (l->stop_fd >= 0)
		close(l->stop_fd);
	if (l->epoll >= 0)
		close(l->epoll);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static struct entry *find(struct loop *l, int fd)
{
	struct entry *e;

	for (e = l->entries; e; e = e->next)
		if (e->fd == fd && !e->dead)
			return e;
	return NULL;
}

static int add(struct loop *l, int fd, u32 events, bool timer, loop_fn *fn, void *arg)
{
	struct epoll_event ev = { .events = events };
	struct entry *e = calloc(1, sizeof(*e));
	int ret = 0;

	if (!e)
		return -ENOMEM;
	e->fd = fd;
	e->timer = timer;
	e->fn = fn;
	e->arg = arg;
	ev.data.ptr = e;
	pthread_mutex_lock(&l->lock);
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev)) {
		ret = -errno;
		free(e);
	} else {
		e->next = l->entries;
		l->entries = e;
	}
	pthread_mutex_unlock(&l->lock);
	return ret;
}

int loop_add(struct loop *l, int fd, u32 events, loop_fn *fn, void *arg)
{
	return add(l, fd, events, false, fn, arg);
}

int loop_mod(struct loop *l, int fd, u32 events)
{
	struct epoll_event ev = { .events = events };
	struct entry *e;
	int ret = 0;

	pthread_mutex_lock(&l->lock);
	e = find(l, fd);
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
	struct entry *e;

	pthread_mutex_lock(&l->lock);
	e = find(l, fd);
	if (e) {
		epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
		e->dead = true;
		l->some_dead = true;
	}
	pthread_mutex_unlock(&l->lock);
}

int loop_timer(struct loop *l, u64 first_ns, u64 period_ns, loop_fn *fn, void *arg)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int ret;

	if (fd < 0)
		return -errno;
	ret = first_ns ? loop_timer_set(fd, first_ns, period_ns) : 0;
	if (!ret)
		ret = add(l, fd, EPOLLIN, true, fn, arg);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

int loop_timer_set(int timer, u64 first_ns, u64 period_ns)
{
	struct itimerspec its = {
		.it_value = { (time_t)(first_ns / 1000000000), (long)(first_ns % 1000000000) },
		.it_interval = { (time_t)(period_ns / 1000000000), (long)(period_ns % 1000000000) },
	};

	return timerfd_settime(timer, 0, &its, NULL) ? -errno : 0;
}

void loop_timer_del(struct loop *l, int timer)
{
	loop_del(l, timer);
}

static void serve(struct loop *l, struct entry *e, u32 events)
{
	u64 expiries;

	pthread_mutex_lock(&l->lock);
	if (e->dead)
		events = 0;
	pthread_mutex_unlock(&l->lock);
	if (!events)
		return;
	if (e->timer) {
		if (read(e->fd, &expiries, sizeof(expiries)) != sizeof(expiries))
			return;
		events = expiries > UINT32_MAX ? UINT32_MAX : (u32)expiries;
	}
	e->fn(e->arg, events);
}

int loop_run(struct loop *l)
{
	struct epoll_event ev[16];

	while (!__atomic_load_n(&l->stopped, __ATOMIC_ACQUIRE)) {
		int n = epoll_wait(l->epoll, ev, ARRAY_SIZE(ev), -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n && !__atomic_load_n(&l->stopped, __ATOMIC_ACQUIRE); i++)
			serve(l, ev[i].data.ptr, ev[i].events);
		pthread_mutex_lock(&l->lock);
		if (l->some_dead)
			sweep(l, false);
		pthread_mutex_unlock(&l->lock);
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	u64 one = 1;

	__atomic_store_n(&l->stopped, true, __ATOMIC_RELEASE);
	/* A full counter is as good as a written one. */
	if (write(l->stop_fd, &one, sizeof(one)) < 0)
		return;
}
