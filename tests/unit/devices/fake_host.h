/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plays the host for devices under test or under a fuzzer: RAM is an array, interrupts are counted,
 * I/O regions are lists that the test calls into. Only its counters may be used by several threads
 * at once.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_FAKE_HOST_H
#define UMBRA_TESTS_UNIT_DEVICES_FAKE_HOST_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/host.h"
#include "tests/unit/devices/io_regions.h"

#ifndef FAKE_RAM
#define FAKE_RAM (256U << 10) /* bytes at 0 */
#endif
#define FAKE_HIGH     0x100000000ULL
#define FAKE_HIGH_RAM 8192U /* bytes at 4 GiB */
#define FAKE_WINDOW   0xe0000000ULL
#define FAKE_WIN_END  0xe0100000ULL
#define FAKE_ECAM     FAKE_WIN_END
#define FAKE_IO_END   0xe1000000ULL /* far enough for the windows of root ports */
#define FAKE_REGIONS  16
#define FAKE_VECTORS  32

struct fake_host {
	struct host host; /* first */
	struct io_region ports[FAKE_REGIONS], mmio[FAKE_REGIONS];
	unsigned n_ports, n_mmio;
	unsigned sent[FAKE_VECTORS]; /* atomic */
	u64 msi_addr[FAKE_VECTORS];
	u32 msi_data[FAKE_VECTORS];
	int n_vectors;
	int bound[FAKE_VECTORS]; /* eventfd, 0: none */
	int ram_fd;		 /* descriptor + 1 */
	u64 ram_offset;
	unsigned edges; /* rising edges of any line */
	bool line;
	int ioeventfds;
	u64 ioeventfd_at;
	unsigned discards, bad_discards; /* atomic: calls of ram_discard() */
	u64 discarded;			 /* atomic: bytes */
	int discard_error;		 /* what ram_discard() returns, as a positive errno */
	int power_calls;
	enum host_power power;
	u8 ram[FAKE_RAM] __attribute__((aligned(4096)));
	u8 high[FAKE_HIGH_RAM] __attribute__((aligned(4096)));
};

static inline struct fake_host *fake_of(struct host *h)
{
	return (struct fake_host *)(void *)h;
}

static inline void *fake_ram(struct host *h, u64 gpa, u64 len)
{
	struct fake_host *f = fake_of(h);

	if (!len)
		return NULL;
	if (gpa < FAKE_RAM && len <= FAKE_RAM - gpa)
		return f->ram + gpa;
	if (gpa >= FAKE_HIGH && gpa - FAKE_HIGH < FAKE_HIGH_RAM &&
	    len <= FAKE_HIGH_RAM - (gpa - FAKE_HIGH))
		return f->high + (gpa - FAKE_HIGH);
	return NULL;
}

/* Describes the RAM, which is not shared unless the test has set ram_fd. */
static inline bool fake_ram_region(struct host *h, unsigned i, struct host_region *out)
{
	struct fake_host *f = fake_of(h);

	if (i)
		return false;
	*out = (struct host_region){ 0, FAKE_RAM, f->ram_fd - 1, f->ram_offset };
	return true;
}

/* Zeroes RAM, and counts; a range that is not whole pages of RAM is counted as bad. */
static inline int fake_ram_discard(struct host *h, void *p, u64 len)
{
	struct fake_host *f = fake_of(h);
	u8 *ram = p, *at = ram >= f->ram && ram < f->ram + FAKE_RAM ? f->ram : f->high;
	u64 size = at == f->ram ? FAKE_RAM : FAKE_HIGH_RAM;

	if (ram < at || (u64)(ram - at) > size || len > size - (u64)(ram - at) || !len ||
	    (ram - at) % 4096 || len % 4096) {
		__atomic_fetch_add(&f->bad_discards, 1, __ATOMIC_ACQ_REL);
		return -EINVAL;
	}
	if (f->discard_error)
		return -f->discard_error;
	for (u64 i = 0; i < len; i++)
		__atomic_store_n(&ram[i], 0, __ATOMIC_RELAXED);
	__atomic_fetch_add(&f->discarded, len, __ATOMIC_ACQ_REL);
	__atomic_fetch_add(&f->discards, 1, __ATOMIC_ACQ_REL);
	return 0;
}

static inline int fake_msi_bind(struct host *h, int vector, int fd)
{
	fake_of(h)->bound[vector] = fd;
	return 0;
}

static inline void fake_msi_unbind(struct host *h, int vector, int fd)
{
	(void)fd;
	fake_of(h)->bound[vector] = 0;
}

static inline void fake_irq_line(struct host *h, u32 gsi, bool level)
{
	struct fake_host *f = fake_of(h);

	(void)gsi;
	if (level && !f->line)
		f->edges++;
	f->line = level;
}

static inline int fake_msi_alloc(struct host *h)
{
	struct fake_host *f = fake_of(h);

	return f->n_vectors < FAKE_VECTORS ? f->n_vectors++ : -ENOSPC;
}

static inline int fake_msi_route(struct host *h, int vector, u64 addr, u32 data)
{
	struct fake_host *f = fake_of(h);

	f->msi_addr[vector] = addr;
	f->msi_data[vector] = data;
	return 0;
}

static inline void fake_msi_send(struct host *h, int vector)
{
	__atomic_fetch_add(&fake_of(h)->sent[vector], 1, __ATOMIC_ACQ_REL);
}

static inline void fake_msi_free(struct host *h, int vector)
{
	(void)h;
	(void)vector;
}

static inline int fake_pio_add(struct host *h, u16 port, u16 len, host_io_fn *fn, void *arg)
{
	struct fake_host *f = fake_of(h);

	return io_regions_add(f->ports, &f->n_ports, FAKE_REGIONS,
			      (struct io_region){ port, len, fn, arg });
}

static inline int fake_mmio_map(struct host *h, u64 gpa, u64 len, host_io_fn *fn, void *arg)
{
	struct fake_host *f = fake_of(h);

	if (gpa < FAKE_WINDOW || gpa >= FAKE_IO_END || len > FAKE_IO_END - gpa)
		return -EINVAL;
	return io_regions_add(f->mmio, &f->n_mmio, FAKE_REGIONS,
			      (struct io_region){ gpa, len, fn, arg });
}

static inline void fake_mmio_unmap(struct host *h, u64 gpa, u64 len)
{
	struct fake_host *f = fake_of(h);

	io_regions_remove(f->mmio, &f->n_mmio, gpa, len);
}

static inline int fake_ioeventfd_add(struct host *h, u64 gpa, int fd)
{
	(void)fd;
	fake_of(h)->ioeventfds++;
	fake_of(h)->ioeventfd_at = gpa;
	return 0;
}

static inline void fake_ioeventfd_del(struct host *h, u64 gpa, int fd)
{
	(void)gpa;
	(void)fd;
	fake_of(h)->ioeventfds--;
}

static inline void fake_power(struct host *h, enum host_power what, const char *why)
{
	(void)why;
	fake_of(h)->power = what;
	fake_of(h)->power_calls++;
}

static inline void fake_host_init(struct fake_host *f)
{
	static const struct host_ops ops = {
		.ram = fake_ram,
		.ram_region = fake_ram_region,
		.ram_discard = fake_ram_discard,
		.msi_bind = fake_msi_bind,
		.msi_unbind = fake_msi_unbind,
		.irq_line = fake_irq_line,
		.msi_alloc = fake_msi_alloc,
		.msi_route = fake_msi_route,
		.msi_send = fake_msi_send,
		.msi_free = fake_msi_free,
		.pio_add = fake_pio_add,
		.mmio_map = fake_mmio_map,
		.mmio_unmap = fake_mmio_unmap,
		.ioeventfd_add = fake_ioeventfd_add,
		.ioeventfd_del = fake_ioeventfd_del,
		.power = fake_power,
	};

	memset(f, 0, sizeof(*f));
	f->host.ops = &ops;
}

/*
 * Makes a zeroed struct of @size bytes, a test's, that begins with a struct fake_host, which is
 * initialized. NULL: no memory. Freed by free().
 */
static inline void *fake_host_alloc(size_t size)
{
	void *p = aligned_alloc(4096, ALIGN_UP(size, (size_t)4096));

	if (p) {
		memset(p, 0, size);
		fake_host_init(p);
	}
	return p;
}

/* Carries out one access; reads as ones if there is no region. */
static inline bool fake_io(const struct io_region *list, unsigned n, u64 at, void *data,
			   unsigned len, bool write)
{
	const struct io_region *r = io_regions_find(list, n, at);

	if (!write)
		memset(data, 0xff, len);
	if (r)
		r->fn(r->arg, at - r->at, data, len, write);
	return r;
}

static inline u32 fake_in(struct fake_host *f, u16 port, unsigned len)
{
	u32 v = 0;

	fake_io(f->ports, f->n_ports, port, &v, len, false);
	return v;
}

static inline void fake_out(struct fake_host *f, u16 port, u32 value, unsigned len)
{
	fake_io(f->ports, f->n_ports, port, &value, len, true);
}

static inline u64 fake_read(struct fake_host *f, u64 gpa, unsigned len)
{
	u64 v = 0;

	fake_io(f->mmio, f->n_mmio, gpa, &v, len, false);
	return v;
}

static inline void fake_write(struct fake_host *f, u64 gpa, u64 value, unsigned len)
{
	fake_io(f->mmio, f->n_mmio, gpa, &value, len, true);
}

static inline u32 fake_config_read(struct fake_host *f, unsigned slot, unsigned reg, unsigned len)
{
	fake_out(f, 0xcf8, 0x80000000U | slot << 11 | (reg & 0xfc), 4);
	return fake_in(f, (u16)(0xcfc + (reg & 3)), len);
}

static inline void fake_config_write(struct fake_host *f, unsigned slot, unsigned reg, u32 value,
				     unsigned len)
{
	fake_out(f, 0xcf8, 0x80000000U | slot << 11 | (reg & 0xfc), 4);
	fake_out(f, (u16)(0xcfc + (reg & 3)), value, len);
}

#endif
