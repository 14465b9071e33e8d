// SPDX-License-Identifier: GPL-2.0-only
/* Makes and joins the threads of devices, on the event loop's thread only. */
#include "vmm/machine/threads.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "vmm/confine/confine.h"

struct threads {
	struct loop *loop;
	const struct confine *confine;
	pthread_t maker;
	bool ready; /* the maker has confined itself: threads inherit all its filters */
	pthread_mutex_t lock;
	struct host_thread *waiting;
	struct loop_call call;
};

/* The argument of device_thread(). */
struct start {
	const struct threads *t;
	struct host_thread *ht;
};

void threads_begin(const struct threads *t, enum thread_kind kind, const char *name)
{
	pthread_setname_np(pthread_self(), name);
	if (t->confine)
		confine_thread(t->confine, kind);
}

pid_t threads_own_id(const struct threads *t)
{
	return confine_thread_id(t->confine);
}

static void *device_thread(void *arg)
{
	static const enum thread_kind kinds[] = {
		[HOST_THREAD_QUEUE] = THREAD_QUEUE,
		[HOST_THREAD_BLOCK] = THREAD_BLOCK,
		[HOST_THREAD_FILE] = THREAD_FILE,
	};
	struct start s = *(struct start *)arg;

	free(arg);
	threads_begin(s.t, kinds[s.ht->kind], s.ht->name);
	s.ht->run(s.ht->arg);
	return NULL;
}

/* Creates the thread of @ht. The caller holds the lock. -ENOMEM or that of pthread_create(). */
static int device_thread_make(struct threads *t, struct host_thread *ht)
{
	struct start *s = malloc(sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->t = t;
	s->ht = ht;
	ret = -pthread_create(&ht->thread, NULL, device_thread, s);
	if (ret)
		free(s);
	ht->state = ret ? HOST_THREAD_IDLE : HOST_THREAD_RUNS;
	return ret;
}

static void device_threads_make_waiting(void *arg)
{
	struct threads *t = arg;
	struct host_thread *ht;

	pthread_mutex_lock(&t->lock);
	while ((ht = t->waiting)) {
		t->waiting = ht->next;
		/* The lock is held, so that nothing of @ht is used after threads_stop(). */
		if (device_thread_make(t, ht))
			ht->failed(ht->arg);
	}
	pthread_mutex_unlock(&t->lock);
}

int threads_create(struct threads **out, struct loop *l)
{
	struct threads *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	t->loop = l;
	t->maker = pthread_self();
	t->call.fn = device_threads_make_waiting;
	t->call.arg = t;
	*out = t;
	return 0;
}

void threads_destroy(struct threads *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void threads_set_confine(struct threads *t, const struct confine *c)
{
	assert(!t->ready);
	t->confine = c;
	t->ready = true;
}

bool threads_ready(const struct threads *t)
{
	return t->ready;
}

int threads_start(struct threads *t, struct host_thread *ht)
{
	bool here = pthread_equal(pthread_self(), t->maker) && t->ready;
	int ret = 0;

	pthread_mutex_lock(&t->lock);
	if (here) {
		ret = device_thread_make(t, ht);
	} else {
		ht->state = HOST_THREAD_WAITS;
		ht->next = t->waiting;
		t->waiting = ht;
	}
	pthread_mutex_unlock(&t->lock);
	if (!here)
		loop_call(t->loop, &t->call);
	return ret;
}

void threads_stop(struct threads *t, struct host_thread *ht)
{
	struct host_thread **at;
	bool runs;

	pthread_mutex_lock(&t->lock);
	for (at = &t->waiting; *at && *at != ht; at = &(*at)->next)
		;
	if (*at)
		*at = ht->next;
	runs = ht->state == HOST_THREAD_RUNS;
	ht->state = HOST_THREAD_IDLE;
	pthread_mutex_unlock(&t->lock);
	if (runs)
		pthread_join(ht->thread, NULL);
}
