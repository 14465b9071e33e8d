/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves devices under test that several threads use at once, as the VMM's host does: I/O regions,
 * and MSI vectors, of which none may be used after it was given back.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_SHARED_HOST_H
#define UMBRA_TESTS_UNIT_DEVICES_SHARED_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/sanitizer.h"
#include "devices/host.h"
#include "devices/pci.h"
#include "tests/unit/devices/io_regions.h"

#define RAM	   (1U << 20)
#define WINDOW	   0xe0000000ULL
#define WINDOW_END 0xe0400000ULL
#define ECAM	   WINDOW_END
#define BUSES	   2
#define REGIONS	   64
#define VECTORS	   128

struct regions {
	struct io_region list[REGIONS];
	unsigned n;
};

struct shared_host {
	struct host host; /* first */
	u8 *ram;
	pthread_rwlock_t regions_lock;
	struct regions ports, mmio;
	pthread_mutex_t vectors_lock;
	bool vectors[VECTORS];
	int ioeventfds; /* atomic */
};

static inline struct shared_host *shared_host_of(struct host *h)
{
	return (struct shared_host *)(void *)h;
}

static inline void *shared_ram(struct host *h, u64 gpa, u64 len)
{
	return len && gpa < RAM && len <= RAM - gpa ? shared_host_of(h)->ram + gpa : NULL;
}

static inline bool shared_ram_region(struct host *h, unsigned i, struct host_region *out)
{
	(void)h;
	(void)i;
	(void)out;
	return false;
}

static inline void shared_irq_line(struct host *h, u32 gsi, bool level)
{
	(void)h;
	(void)gsi;
	(void)level;
}

static inline int shared_msi_alloc(struct host *h)
{
	struct shared_host *m = shared_host_of(h);
	int got = -ENOSPC;

	pthread_mutex_lock(&m->vectors_lock);
	for (int i = 0; i < VECTORS && got < 0; i++)
		if (!m->vectors[i]) {
			m->vectors[i] = true;
			got = i;
		}
	pthread_mutex_unlock(&m->vectors_lock);
	return got;
}

/* Checks that @vector is in use, or that the device has given it back and goes on. */
static inline void check_vector(struct shared_host *m, int vector, bool give_back)
{
	pthread_mutex_lock(&m->vectors_lock);
	if (vector < 0 || vector >= VECTORS || !m->vectors[vector]) {
		fprintf(stderr, "vector %d is used and is nobody's\n", vector);
		abort();
	}
	if (give_back)
		m->vectors[vector] = false;
	pthread_mutex_unlock(&m->vectors_lock);
}

static inline int shared_msi_route(struct host *h, int vector, u64 addr, u32 data)
{
	(void)addr;
	(void)data;
	check_vector(shared_host_of(h), vector, false);
	return 0;
}

static inline void shared_msi_send(struct host *h, int vector)
{
	check_vector(shared_host_of(h), vector, false);
}

static inline void shared_msi_free(struct host *h, int vector)
{
	check_vector(shared_host_of(h), vector, true);
}

static inline int shared_msi_bind(struct host *h, int vector, int fd)
{
	(void)fd;
	check_vector(shared_host_of(h), vector, false);
	return 0;
}

static inline void shared_msi_unbind(struct host *h, int vector, int fd)
{
	(void)fd;
	check_vector(shared_host_of(h), vector, false);
}

static inline int add_region(struct shared_host *m, struct regions *r, const struct io_region *new)
{
	int ret;

	pthread_rwlock_wrlock(&m->regions_lock);
	ret = io_regions_add(r->list, &r->n, REGIONS, *new);
	pthread_rwlock_unlock(&m->regions_lock);
	return ret;
}

static inline int shared_pio_add(struct host *h, u16 port, u16 len, host_io_fn *fn, void *arg)
{
	return add_region(shared_host_of(h), &shared_host_of(h)->ports,
			  &(struct io_region){ port, len, fn, arg });
}

static inline int shared_mmio_map(struct host *h, u64 gpa, u64 len, host_io_fn *fn, void *arg)
{
	const u64 end = ECAM + BUSES * PCI_ECAM_SIZE;

	if (gpa < WINDOW || gpa >= end || len > end - gpa)
		return -EINVAL;
	return add_region(shared_host_of(h), &shared_host_of(h)->mmio,
			  &(struct io_region){ gpa, len, fn, arg });
}

static inline void shared_mmio_unmap(struct host *h, u64 gpa, u64 len)
{
	struct shared_host *m = shared_host_of(h);

	pthread_rwlock_wrlock(&m->regions_lock);
	io_regions_remove(m->mmio.list, &m->mmio.n, gpa, len);
	pthread_rwlock_unlock(&m->regions_lock);
}

static inline int shared_ioeventfd_add(struct host *h, u64 gpa, int fd)
{
	(void)gpa;
	(void)fd;
	__atomic_fetch_add(&shared_host_of(h)->ioeventfds, 1, __ATOMIC_RELAXED);
	return 0;
}

static inline void shared_ioeventfd_del(struct host *h, u64 gpa, int fd)
{
	(void)gpa;
	(void)fd;
	__atomic_fetch_sub(&shared_host_of(h)->ioeventfds, 1, __ATOMIC_RELAXED);
}

static inline void shared_power(struct host *h, enum host_power what, const char *why)
{
	(void)h;
	(void)what;
	(void)why;
}

static const struct host_ops shared_host_ops = {
	.ram = shared_ram,
	.ram_region = shared_ram_region,
	.irq_line = shared_irq_line,
	.msi_alloc = shared_msi_alloc,
	.msi_route = shared_msi_route,
	.msi_send = shared_msi_send,
	.msi_free = shared_msi_free,
	.msi_bind = shared_msi_bind,
	.msi_unbind = shared_msi_unbind,
	.pio_add = shared_pio_add,
	.mmio_map = shared_mmio_map,
	.mmio_unmap = shared_mmio_unmap,
	.ioeventfd_add = shared_ioeventfd_add,
	.ioeventfd_del = shared_ioeventfd_del,
	.power = shared_power,
};

#if SANITIZER_THREAD
void AnnotateBenignRaceSized(const char *file, int line, const volatile void *at, size_t len,
			     const char *why);
#else
#define AnnotateBenignRaceSized(file, line, at, len, why) ((void)0)
#endif

/*
 * Returns zeroed memory. Two devices may be told to use one buffer at once, which is the driver's
 * own fault: the sanitizer watches what they do with the bytes that they read, and not the bytes
 * themselves, see (Q4) of virtqueue.h. It is never unmapped, so that nothing else comes to lie
 * where the sanitizer does not look.
 */
static inline u8 *shared_ram_map(void)
{
	static u8 *ram;

	if (!ram) {
		ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(ram, MAP_FAILED);
		AnnotateBenignRaceSized(__FILE__, __LINE__, ram, RAM, "guest memory");
	}
	memset(ram, 0, RAM);
	return ram;
}

static inline void shared_host_init(struct shared_host *m)
{
	*m = (struct shared_host){ .host.ops = &shared_host_ops };
	m->ram = shared_ram_map();
	pthread_rwlock_init(&m->regions_lock, NULL);
	pthread_mutex_init(&m->vectors_lock, NULL);
}

static inline void shared_host_fini(struct shared_host *m)
{
	pthread_rwlock_destroy(&m->regions_lock);
	pthread_mutex_destroy(&m->vectors_lock);
}

/* Does what a vCPU's access to @at, of the ports or memory, leads to: nothing outside a region. */
static inline void access_region(struct shared_host *m, struct regions *r, u64 at, void *data,
				 unsigned len, bool write)
{
	struct io_region found = { .fn = NULL };
	const struct io_region *hit;

	pthread_rwlock_rdlock(&m->regions_lock);
	hit = io_regions_find(r->list, r->n, at);
	if (hit && len <= hit->len - (at - hit->at))
		found = *hit;
	pthread_rwlock_unlock(&m->regions_lock);
	if (found.fn)
		found.fn(found.arg, at - found.at, data, len, write);
}

#endif
