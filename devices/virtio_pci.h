/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Implements the transport of virtio over PCI, modern only (virtio 1.2, 4.1).
 *
 * One BAR of 32 KiB has all register blocks, and five capabilities point to them. Linux uses types
 * 1 to 4 of these, iPXE also PCI_CFG. There is no INTx: every kernel that Umbra boots uses MSI-X,
 * firmware polls the ISR register.
 *
 *	0x0000 common, 0x1000 ISR, 0x2000 device, 0x3000 notify, 0x4000 MSI-X table, 0x5000 PBA
 */
#ifndef UMBRA_DEVICES_VIRTIO_PCI_H
#define UMBRA_DEVICES_VIRTIO_PCI_H

#include "devices/pci.h"
#include "devices/virtio.h"

struct virtio_pci;

/*
 * Creates the function in the next free slot. On success it owns @v: virtio_pci_destroy() destroys
 * it.
 */
int virtio_pci_create(struct virtio_pci **out, struct host *h, struct pci_bus *bus,
		      struct virtio *v);
/* Does the same in slot @slot, as pci_dev_create_at() takes it. */
int virtio_pci_create_at(struct virtio_pci **out, struct host *h, struct pci_bus *bus,
			 unsigned slot, struct virtio *v);
/* Returns where the guest sees the device. */
struct pci_place virtio_pci_place(const struct virtio_pci *p);
/* Returns the PCI slot in which the guest sees the device. */
unsigned virtio_pci_slot(const struct virtio_pci *p);
/* Frees the device, before the bus. NULL allowed. */
void virtio_pci_destroy(struct virtio_pci *p);

#endif
