// SPDX-License-Identifier: GPL-2.0-only
/* Finds the handler of a port or of a memory-mapped region, and calls it. */
#include "vmm/machine/io.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/machine/layout.h"

#define MAX_PORT_HANDLERS 255
#define MAX_REGIONS	  64
#define PORTS		  65536

struct port_handler {
	u16 port;
	io_pio_fn *fn;
	host_io_fn *device;
	void *arg;
};

struct region {
	u64 gpa, len;
	host_io_fn *fn;
	void *arg;
};

struct io {
	u8 handler_of[PORTS]; /* 0: no handler, else index + 1; atomic */
	struct port_handler handlers[MAX_PORT_HANDLERS];
	unsigned n_handlers;
	pthread_mutex_t lock; /* adding handlers */
	pthread_rwlock_t mmio_lock;
	struct region regions[MAX_REGIONS];
	unsigned n_regions;
};

int io_create(struct io **out)
{
	struct io *io = calloc(1, sizeof(*io));

	if (!io)
		return -ENOMEM;
	pthread_mutex_init(&io->lock, NULL);
	pthread_rwlock_init(&io->mmio_lock, NULL);
	*out = io;
	return 0;
}

void io_destroy(struct io *io)
{
	if (!io)
		return;
	pthread_rwlock_destroy(&io->mmio_lock);
	pthread_mutex_destroy(&io->lock);
	free(io);
}

static int io_add_handler(struct io *io, u16 len, const struct port_handler *h)
{
	int ret = 0;

	if (!len || len > PORTS - h->port)
		return -EINVAL;
	pthread_mutex_lock(&io->lock);
	for (u32 p = h->port; p < (u32)h->port + len; p++)
		if (io->handler_of[p])
			ret = -EEXIST;
	if (!ret && io->n_handlers == MAX_PORT_HANDLERS)
		ret = -ENOSPC;
	if (!ret) {
		io->handlers[io->n_handlers++] = *h;
		for (u32 p = h->port; p < (u32)h->port + len; p++)
			__atomic_store_n(&io->handler_of[p], (u8)io->n_handlers, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&io->lock);
	return ret;
}

int io_pio_add(struct io *io, u16 port, u16 len, io_pio_fn *fn, void *arg)
{
	struct port_handler h = { .port = port, .fn = fn, .arg = arg };

	return io_add_handler(io, len, &h);
}

int io_pio_add_device(struct io *io, u16 port, u16 len, host_io_fn *fn, void *arg)
{
	struct port_handler h = { .port = port, .device = fn, .arg = arg };

	return io_add_handler(io, len, &h);
}

void io_pio(struct io *io, struct vcpu *v, const struct io_pio_access *a)
{
	u8 index = __atomic_load_n(&io->handler_of[a->port], __ATOMIC_ACQUIRE);
	const struct port_handler *h;

	if (!a->write)
		memset(a->data, 0xff, (size_t)a->size * a->count);
	if (!index)
		return;
	h = &io->handlers[index - 1];
	if (h->fn) {
		h->fn(h->arg, v, a);
		return;
	}
	for (u32 i = 0; i < a->count; i++)
		h->device(h->arg, (u64)(a->port - h->port), (u8 *)a->data + (size_t)i * a->size,
			  a->size, a->write);
}

int io_mmio_map(struct io *io, u64 gpa, u64 len, host_io_fn *fn, void *arg)
{
	int ret = 0;

	if (!len || gpa < LAYOUT_PCI || gpa >= LAYOUT_PCI_END || len > LAYOUT_PCI_END - gpa)
		return -EINVAL;
	pthread_rwlock_wrlock(&io->mmio_lock);
	for (unsigned i = 0; i < io->n_regions; i++) {
		const struct region *r = &io->regions[i];

		if (gpa < r->gpa + r->len && r->gpa < gpa + len)
			ret = -EBUSY;
	}
	if (!ret && io->n_regions == MAX_REGIONS)
		ret = -ENOSPC;
	if (!ret)
		io->regions[io->n_regions++] = (struct region){ gpa, len, fn, arg };
	pthread_rwlock_unlock(&io->mmio_lock);
	return ret;
}

void io_mmio_unmap(struct io *io, u64 gpa, u64 len)
{
	pthread_rwlock_wrlock(&io->mmio_lock);
	for (unsigned i = 0; i < io->n_regions; i++) {
		if (io->regions[i].gpa != gpa || io->regions[i].len != len)
			continue;
		io->regions[i] = io->regions[--io->n_regions];
		break;
	}
	pthread_rwlock_unlock(&io->mmio_lock);
}

bool io_mmio(struct io *io, u64 gpa, void *data, unsigned len, bool write)
{
	struct region found = { 0 };

	if (!write)
		memset(data, 0xff, len);
	pthread_rwlock_rdlock(&io->mmio_lock);
	for (unsigned i = 0; i < io->n_regions && !found.fn; i++) {
		const struct region *r = &io->regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->len && len <= r->len - (gpa - r->gpa))
			found = *r;
	}
	pthread_rwlock_unlock(&io->mmio_lock);
	/* The lock is not held: a write to configuration space moves regions, which takes it. */
	if (found.fn)
		found.fn(found.arg, gpa - found.gpa, data, len, write);
	return found.fn;
}
