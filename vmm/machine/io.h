/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds the handlers of ports and of memory-mapped regions by port and guest-physical address, and
 * calls them.
 *
 * Ports: a flat table of 65536 bytes gives the handler, without a lock; handlers are added and
 * never removed. Memory-mapped regions come and go as the guest moves BARs: a reader-writer lock,
 * held while a region is looked for, but not while its callback runs, which may move regions
 * itself. So a callback may still be running when its region is unmapped (devices/host.h).
 */
#ifndef UMBRA_VMM_MACHINE_IO_H
#define UMBRA_VMM_MACHINE_IO_H

#include "devices/host.h"

struct io;
struct vcpu;

/* The access to a port by one instruction. */
struct io_pio_access {
	u16 port;
	u8 size; /* of an item, in bytes: 1, 2, 4 */
	bool write;
	u32 count;  /* of items; more than 1 for a string instruction */
	void *data; /* the items; before a read's handler runs, all bits are set */
};

typedef void io_pio_fn(void *arg, struct vcpu *v, const struct io_pio_access *a);

/* Makes a table without handlers. -ENOMEM. */
int io_create(struct io **out);
void io_destroy(struct io *io); /* NULL allowed */

/* Adds the handler of @len ports. -EEXIST: a port is taken; -ENOSPC: too many handlers. */
int io_pio_add(struct io *io, u16 port, u16 len, io_pio_fn *fn, void *arg);
/*
 * Does the same for a device, whose callback gets neither the vCPU nor counts: one call for each
 * item.
 */
int io_pio_add_device(struct io *io, u16 port, u16 len, host_io_fn *fn, void *arg);
/* Calls the handler of the port. A port without one loses writes and reads as all ones. */
void io_pio(struct io *io, struct vcpu *v, const struct io_pio_access *a);

/*
 * Gives a region of the PCI hole a handler, or takes that of the region at @gpa away. -EINVAL: not
 * within the hole; -EBUSY: overlaps another; -ENOSPC: too many regions.
 */
int io_mmio_map(struct io *io, u64 gpa, u64 len, host_io_fn *fn, void *arg);
void io_mmio_unmap(struct io *io, u64 gpa, u64 len);
/*
 * Calls the handler of the region at @gpa; false: there is none. @data of a read is set to all ones
 * first.
 */
bool io_mmio(struct io *io, u64 gpa, void *data, unsigned len, bool write);

#endif
