/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI bus 0 by configuration mechanism 1 (ports 0xcf8, 0xcfc-0xcff) and, where the owner wants it,
 * by PCI Express' memory-mapped one; single-function devices with memory BARs of 32 bits, and
 * capabilities. The bus gives each BAR an address at creation, as
 * firmware would; the guest may size, move and disable them.
 *
 * A function's I/O callback may run on several vCPU threads at once. Its write hook runs under the
 * bus's lock: it must not touch the configuration space of another function.
 */
#ifndef UMBRA_DEVICES_PCI_H
#define UMBRA_DEVICES_PCI_H

#include "devices/host.h"

#define PCI_SLOTS     32
#define PCI_BARS      6
#define PCI_ECAM_SIZE (1ULL << 20) /* one bus */

struct pci_bus;
struct pci_dev;

struct pci_id {
	u16 vendor, device, subsystem_vendor, subsystem;
	u32 class; /* base class << 16 | sub-class << 8 | interface */
	u8 revision;
};

struct pci_ops {
	/* An access to BAR @bar. */
	void (*bar)(void *arg, unsigned bar, u64 offset, void *data, unsigned len, bool write);
	/* BAR @bar is decoded at @gpa now, or no longer (@gpa 0). May be NULL. */
	void (*bar_moved)(void *arg, unsigned bar, u64 gpa);
	/* After a write of @len bytes at @offset of the configuration space; @pci_dev_config(). */
	void (*config_written)(void *arg, unsigned offset, unsigned len);
	/* Before a read; may refresh what it sees. May be NULL. */
	void (*config_read)(void *arg, unsigned offset, unsigned len);
	/* The bus is reset; the configuration space will be as it was at pci_dev_ready(). May be NULL. */
	void (*reset)(void *arg);
};

/* Registers the ports, the reset at 0xcf9 among them; 00:00.0 is a host bridge. [@window, @window_end): for BARs. */
int pci_bus_create(struct pci_bus **out, struct host *h, u64 window, u64 window_end);
/* The same with a host bridge of the caller's choice. */
int pci_bus_create_with(struct pci_bus **out, struct host *h, const struct pci_id *bridge,
			u64 window, u64 window_end);
/*
 * Configuration space at [@gpa, @gpa + PCI_ECAM_SIZE) too (PCI Express Base 7.2.2). The functions are
 * conventional ones: all of their extended space is absent, ones.
 */
int pci_bus_map_ecam(struct pci_bus *bus, u64 gpa);
struct pci_dev *pci_bus_bridge(const struct pci_bus *bus);
/* RST#: all functions as they were created, at the addresses that the bus gave them. No vCPU runs. */
void pci_bus_reset(struct pci_bus *bus);
/* Frees the functions too (not their @arg). NULL allowed. */
void pci_bus_destroy(struct pci_bus *bus);

/* In the next free slot; -ENOSPC. */
int pci_dev_create(struct pci_dev **out, struct pci_bus *bus, const struct pci_id *id,
		   const struct pci_ops *ops, void *arg);
/* A 32-bit memory BAR; @size a power of two, at least 4096. -ENOSPC: the window is full. */
int pci_dev_add_bar(struct pci_dev *d, unsigned bar, u32 size);
/*
 * Append a capability: @body follows the id and the next pointer. Bits set in @writable (same
 * length, NULL: none) can be written by the guest. Returns its offset or -ENOSPC.
 */
int pci_dev_add_capability(struct pci_dev *d, u8 id, const void *body, const void *writable,
			   unsigned len);
/* A register of one byte: its value, and the bits of it that the guest can write. */
void pci_dev_register(struct pci_dev *d, u8 reg, u8 value, u8 writable);
/* Let the guest see the BARs: called once when all is added. */
void pci_dev_ready(struct pci_dev *d);
/* The 256 bytes, for the owner's hooks. */
u8 *pci_dev_config(struct pci_dev *d);
unsigned pci_dev_slot(const struct pci_dev *d);

#endif
