// SPDX-License-Identifier: GPL-2.0-only
/* Starts and stops a device's thread: by the host's functions, or by pthread_create(). */
#include "devices/host.h"

#include <errno.h>

static void *host_thread_main(void *arg)
{
	struct host_thread *t = arg;

	pthread_setname_np(pthread_self(), t->name);
	t->run(t->arg);
	return NULL;
}

int host_thread_start(struct host *h, struct host_thread *t)
{
	int ret;

	if (h->ops->thread_start)
		return h->ops->thread_start(h, t);
	ret = -pthread_create(&t->thread, NULL, host_thread_main, t);
	if (!ret)
		t->state = HOST_THREAD_RUNS;
	return ret;
}

void host_thread_stop(struct host *h, struct host_thread *t)
{
	if (h->ops->thread_stop) {
		h->ops->thread_stop(h, t);
		return;
	}
	if (t->state == HOST_THREAD_RUNS)
		pthread_join(t->thread, NULL);
	t->state = HOST_THREAD_IDLE;
}
