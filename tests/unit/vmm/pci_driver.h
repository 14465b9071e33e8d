/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plays the driver of a virtio device of a machine in this process, by its registers, for tests of
 * what the rest of the VMM hears of it. Without MSI-X.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_PCI_DRIVER_H
#define UMBRA_TESTS_UNIT_VMM_PCI_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <linux/virtio_pci.h>

#include "vmm/machine/io.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_int.h"

struct pci_driver {
	struct machine *m;
	u64 bar; /* of the common configuration and what follows */
};

/* Read and write @len bytes at guest-physical @at, of configuration space for example. */
static inline u64 pci_mmio_read(struct machine *m, u64 at, unsigned len)
{
	u64 value = 0;

	assert_true(io_mmio(machine_io(m), at, &value, len, false));
	return value;
}

static inline void pci_mmio_write(struct machine *m, u64 at, u64 value, unsigned len)
{
	assert_true(io_mmio(machine_io(m), at, &value, len, true));
}

/* Do the same at offset @at of the device's BAR. */
static inline u64 pci_driver_read(const struct pci_driver *d, u64 at, unsigned len)
{
	return pci_mmio_read(d->m, d->bar + at, len);
}

static inline void pci_driver_write(const struct pci_driver *d, u64 at, u64 value, unsigned len)
{
	pci_mmio_write(d->m, d->bar + at, value, len);
}

/* Finds the device whose configuration space begins with @id, and takes @features of it. */
static inline void pci_driver_begin(struct pci_driver *d, struct machine *m, u32 id, u32 features)
{
	u64 space = LAYOUT_ECAM;
	unsigned slot = 0;

	d->m = m;
	while (slot < 32 && pci_mmio_read(m, space + (slot << 15), 4) != id)
		slot++;
	assert_true(slot < 32);
	space += slot << 15;
	d->bar = pci_mmio_read(m, space + 0x10, 4) & ~0xfULL;
	d->bar |= pci_mmio_read(m, space + 0x14, 4) << 32;
	pci_mmio_write(m, space + 4, 6, 2);
	pci_driver_write(d, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	pci_driver_write(d, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	pci_driver_write(d, VIRTIO_PCI_COMMON_GF, features, 4);
	pci_driver_write(d, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	pci_driver_write(d, VIRTIO_PCI_COMMON_GF, 1, 4);
	pci_driver_write(d, VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
}

/* Sets up queue @i with 16 descriptors, in three pages from @page on. */
static inline void pci_driver_add_queue(const struct pci_driver *d, unsigned i, u64 page)
{
	pci_driver_write(d, VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
	pci_driver_write(d, VIRTIO_PCI_COMMON_Q_SIZE, 16, 2);
	pci_driver_write(d, VIRTIO_PCI_COMMON_Q_DESCLO, page, 8);
	pci_driver_write(d, VIRTIO_PCI_COMMON_Q_AVAILLO, page + 0x1000, 8);
	pci_driver_write(d, VIRTIO_PCI_COMMON_Q_USEDLO, page + 0x2000, 8);
	pci_driver_write(d, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

/* Has the device begin, now that its queues are set up. */
static inline void pci_driver_go(const struct pci_driver *d)
{
	pci_driver_write(d, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	assert_int_equal(pci_driver_read(d, VIRTIO_PCI_COMMON_STATUS, 1), 0xf);
}

static inline void pci_driver_reset(const struct pci_driver *d)
{
	pci_driver_write(d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
}

#endif
