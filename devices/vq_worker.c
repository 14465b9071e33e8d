// SPDX-License-Identifier: GPL-2.0-only
/* Starts, runs and ends the thread that serves all queues of a device. */
#include "devices/vq_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/eventfd.h"

struct vq_worker {
	struct virtio *v;
	const struct vq_worker_ops *ops;
	void *arg;
	struct host_thread thread;
	int wake;
	bool own_ready; /* only the thread uses it */
	bool stop;	/* atomic */
};

bool vq_worker_ending(const struct vq_worker *w)
{
	return __atomic_load_n(&w->stop, __ATOMIC_ACQUIRE);
}

bool vq_worker_own_ready(const struct vq_worker *w)
{
	return w->own_ready;
}

static void vq_worker_run(void *arg)
{
	struct pollfd p[1 + VIRTIO_MAX_QUEUES + VQ_WORKER_FDS];
	struct vq_worker *w = arg;
	unsigned queues = virtio_type(w->v)->queues, kicks = 0;

	p[kicks++] = (struct pollfd){ .fd = w->wake, .events = POLLIN };
	for (unsigned i = 0; i < queues; i++)
		if (virtio_queue(w->v, i))
			p[kicks++] =
				(struct pollfd){ .fd = virtio_kick(w->v, i), .events = POLLIN };
	while (!vq_worker_ending(w)) {
		unsigned n = kicks;
		int timeout = -1;

		if (!w->ops->serve(w->arg, w)) {
			virtio_needs_reset(w->v);
			break;
		}
		if (w->ops->watch)
			n += w->ops->watch(w->arg, p + kicks, &timeout);
		if (poll(p, n, timeout) < 0 && errno != EINTR)
			break;
		for (unsigned i = 0; i < kicks; i++)
			if (p[i].revents)
				virtio_kick_clear(p[i].fd);
		w->own_ready = false;
		for (unsigned i = kicks; i < n; i++)
			w->own_ready |= p[i].revents != 0;
	}
}

static void vq_worker_thread_failed(void *arg)
{
	struct vq_worker *w = arg;

	virtio_needs_reset(w->v);
}

int vq_worker_start(struct vq_worker **out, struct virtio *v, const struct vq_worker_ops *ops,
		    void *arg)
{
	struct vq_worker *w = calloc(1, sizeof(*w));
	int ret;

	if (!w)
		return -ENOMEM;
	w->v = v;
	w->ops = ops;
	w->arg = arg;
	w->own_ready = true;
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = w->wake < 0 ? -errno : 0;
	w->thread = (struct host_thread){
		.kind = HOST_THREAD_QUEUE,
		.name = ops->name,
		.run = vq_worker_run,
		.failed = vq_worker_thread_failed,
		.arg = w,
	};
	/* Set before the thread runs: serve() may use it. */
	*out = w;
	if (!ret)
		ret = host_thread_start(virtio_host(v), &w->thread);
	if (ret) {
		*out = NULL;
		if (w->wake >= 0)
			close(w->wake);
		free(w);
	}
	return ret;
}

void vq_worker_wake(struct vq_worker *w)
{
	eventfd_signal(w->wake);
}

void vq_worker_stop(struct vq_worker *w)
{
	if (!w)
		return;
	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	vq_worker_wake(w);
	host_thread_stop(virtio_host(w->v), &w->thread);
	close(w->wake);
	free(w);
}
