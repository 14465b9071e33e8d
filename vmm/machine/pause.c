// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each pause has a number of its own: a vCPU that is slow to leave the guest, or to wake up, must
 * not count for the pause that follows. The descriptor by which the last vCPU calls the main thread
 * is made at the first pause, which most guests never see.
 */
#include "vmm/machine/pause.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/machine/machine_int.h"

struct pause {
	struct machine *m;
	int fd; /* eventfd, or -1 */
	machine_paused_fn *fn;
	void *arg;
	pthread_mutex_t lock;
	unsigned number; /* of the last pause */
	bool wanted;
	unsigned inside; /* vCPUs that may still be in the guest */
};

int pause_create(struct pause **out, struct machine *m)
{
	struct pause *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->m = m;
	p->fd = -1;
	*out = p;
	return 0;
}

void pause_destroy(struct pause *p)
{
	if (!p)
		return;
	if (p->fd >= 0) {
		loop_del(machine_loop(p->m), p->fd);
		close(p->fd);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

bool machine_paused(const struct machine *m)
{
	struct pause *p = machine_pauser(m);
	bool paused;

	pthread_mutex_lock(&p->lock);
	paused = p->wanted && !p->inside;
	pthread_mutex_unlock(&p->lock);
	return paused;
}

static void on_parked(void *arg, u32 events)
{
	struct pause *p = arg;
	eventfd_t n;

	(void)events;
	if (!eventfd_read(p->fd, &n) && machine_paused(p->m) && p->fn)
		p->fn(p->arg);
}

void machine_vcpu_parked(struct machine *m, unsigned pause)
{
	struct pause *p = machine_pauser(m);

	pthread_mutex_lock(&p->lock);
	if (p->wanted && pause == p->number && p->inside && !--p->inside)
		eventfd_write(p->fd, 1);
	pthread_mutex_unlock(&p->lock);
}

void machine_set_paused_hook(struct machine *m, machine_paused_fn *fn, void *arg)
{
	struct pause *p = machine_pauser(m);

	p->fn = fn;
	p->arg = arg;
}

static int open_fd(struct pause *p)
{
	int ret, fd;

	if (p->fd >= 0)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	ret = loop_add(machine_loop(p->m), fd, EPOLLIN, on_parked, p);
	if (ret)
		close(fd);
	else
		p->fd = fd;
	return ret;
}

int machine_pause(struct machine *m)
{
	struct pause *p = machine_pauser(m);
	int ret = open_fd(p);

	if (ret || p->wanted)
		return ret;
	pthread_mutex_lock(&p->lock);
	p->wanted = true;
	p->inside = machine_cpus(m);
	if (!++p->number)
		p->number = 1;
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < machine_cpus(m); i++)
		vcpu_pause(machine_vcpu(m, i), p->number);
	return 0;
}

void machine_resume(struct machine *m)
{
	struct pause *p = machine_pauser(m);

	if (!p->wanted)
		return;
	pthread_mutex_lock(&p->lock);
	p->wanted = false;
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < machine_cpus(m); i++)
		vcpu_pause(machine_vcpu(m, i), 0);
}
