// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes all vCPUs out of the guest, and learns when the last one is out.
 *
 * Each pause has a number of its own: a vCPU that is slow to leave the guest, or to wake up, must
 * not count for the pause that follows. The descriptor by which the last vCPU calls the main thread
 * is made at the first pause, which most guests never see.
 */
#include "vmm/machine/pause.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/eventfd.h"
#include "base/loop.h"
#include "vmm/machine/vcpu.h"

struct pause {
	struct loop *loop;
	struct vcpu *const *vcpus;
	unsigned n;
	int fd; /* eventfd, or -1 */
	pause_fn *fn;
	void *arg;
	pthread_mutex_t lock;
	unsigned number; /* of the last pause */
	bool wanted;
	unsigned inside; /* vCPUs that may still be in the guest */
};

int pause_create(struct pause **out, struct loop *l, struct vcpu *const *vcpus, unsigned n)
{
	struct pause *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->loop = l;
	p->vcpus = vcpus;
	p->n = n;
	p->fd = -1;
	*out = p;
	return 0;
}

void pause_destroy(struct pause *p)
{
	if (!p)
		return;
	if (p->fd >= 0) {
		loop_del(p->loop, p->fd);
		close(p->fd);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

bool pause_complete(struct pause *p)
{
	bool paused;

	pthread_mutex_lock(&p->lock);
	paused = p->wanted && !p->inside;
	pthread_mutex_unlock(&p->lock);
	return paused;
}

bool pause_wanted(struct pause *p)
{
	bool wanted;

	pthread_mutex_lock(&p->lock);
	wanted = p->wanted;
	pthread_mutex_unlock(&p->lock);
	return wanted;
}

static void on_parked(void *arg, u32 events)
{
	struct pause *p = arg;
	eventfd_t n;

	(void)events;
	if (!eventfd_read(p->fd, &n) && pause_complete(p) && p->fn)
		p->fn(p->arg);
}

void pause_parked(struct pause *p, unsigned pause)
{
	pthread_mutex_lock(&p->lock);
	if (p->wanted && pause == p->number && p->inside && !--p->inside)
		eventfd_signal(p->fd);
	pthread_mutex_unlock(&p->lock);
}

void pause_set_hook(struct pause *p, pause_fn *fn, void *arg)
{
	assert(!p->fn || !fn);
	p->fn = fn;
	p->arg = arg;
}

static int pause_open_fd(struct pause *p)
{
	int ret, fd;

	if (p->fd >= 0)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	ret = loop_add(p->loop, fd, EPOLLIN, on_parked, p);
	if (ret)
		close(fd);
	else
		p->fd = fd;
	return ret;
}

int pause_begin(struct pause *p)
{
	int ret = pause_open_fd(p);

	if (ret || p->wanted)
		return ret;
	pthread_mutex_lock(&p->lock);
	p->wanted = true;
	p->inside = p->n;
	if (!++p->number)
		p->number = 1;
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n; i++)
		vcpu_pause(p->vcpus[i], p->number);
	return 0;
}

void pause_end(struct pause *p)
{
	if (!p->wanted)
		return;
	pthread_mutex_lock(&p->lock);
	p->wanted = false;
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n; i++)
		vcpu_pause(p->vcpus[i], 0);
}
