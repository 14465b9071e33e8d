/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Implements PCI bus 0 with single-function devices, their memory BARs of 32 bits and their
 * capabilities.
 *
 * Configuration space is reached by mechanism 1 (ports 0xcf8, 0xcfc-0xcff) and, if the owner maps
 * it, by PCI Express' memory-mapped one. The bus gives each BAR an address at creation, as firmware
 * would; the guest may size, move and disable them.
 *
 * A function's BAR callback may run on several vCPU threads at once. Its other callbacks run under
 * the bus's lock: they must not touch the configuration space of another function.
 */
#ifndef UMBRA_DEVICES_PCI_H
#define UMBRA_DEVICES_PCI_H

#include "devices/host.h"

#define PCI_SLOTS     32
#define PCI_SLOT_ANY  0 /* the host bridge's, which nothing else gets */
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
	/* Carries out an access to BAR @bar. */
	void (*bar)(void *arg, unsigned bar, u64 offset, void *data, unsigned len, bool write);
	/* Called when BAR @bar is decoded at @gpa from now on; 0: nowhere. May be NULL. */
	void (*bar_moved)(void *arg, unsigned bar, u64 gpa);
	/*
	 * Called when the guest wrote @len bytes at @offset of the configuration space
	 * (pci_dev_config()). May be NULL.
	 */
	void (*config_written)(void *arg, unsigned offset, unsigned len);
	/*
	 * Called when the guest is about to read these bytes; may bring them up to date. May be
	 * NULL.
	 */
	void (*config_read)(void *arg, unsigned offset, unsigned len);
	/*
	 * Called when the bus is reset; afterwards the configuration space is as it was at
	 * pci_dev_ready(). May be NULL.
	 */
	void (*reset)(void *arg);
};

/*
 * Registers the ports, the reset at 0xcf9 among them, and creates a host bridge at 00:00.0. BARs
 * get addresses in [@window, @window_end).
 */
int pci_bus_create(struct pci_bus **out, struct host *h, u64 window, u64 window_end);
/* Does the same with a host bridge of the caller's choice. */
int pci_bus_create_with(struct pci_bus **out, struct host *h, const struct pci_id *bridge,
			u64 window, u64 window_end);
/*
 * Maps configuration space at [@gpa, @gpa + PCI_ECAM_SIZE), too (PCI Express Base 7.2.2). The
 * functions are conventional ones: their extended space is absent and reads as ones.
 */
int pci_bus_map_ecam(struct pci_bus *bus, u64 gpa);
struct pci_dev *pci_bus_bridge(const struct pci_bus *bus);
/*
 * Resets all functions (RST#) and moves their BARs back to the bus's own addresses. No vCPU runs.
 */
void pci_bus_reset(struct pci_bus *bus);
/* Frees the functions too (not their @arg). NULL allowed. */
void pci_bus_destroy(struct pci_bus *bus);

/*
 * Keeps the slots of which @slots has a bit free for pci_dev_create_at(), whatever is created
 * before.
 */
void pci_bus_keep_slots(struct pci_bus *bus, u32 slots);
/* Creates a function in the first free slot that is not kept; -ENOSPC. */
int pci_dev_create(struct pci_dev **out, struct pci_bus *bus, const struct pci_id *id,
		   const struct pci_ops *ops, void *arg);
/*
 * Does the same in slot @slot, or where pci_dev_create() does if that is PCI_SLOT_ANY. -EBUSY: a
 * function is there; -EINVAL: there is no such slot.
 */
int pci_dev_create_at(struct pci_dev **out, struct pci_bus *bus, unsigned slot,
		      const struct pci_id *id, const struct pci_ops *ops, void *arg);
/*
 * Adds a 32-bit memory BAR; @size a power of two, at least 4096. -ENOSPC: the window is full;
 * -EEXIST.
 */
int pci_dev_add_bar(struct pci_dev *d, unsigned bar, u32 size);
/*
 * Appends a capability: @body follows the id and the next pointer. Bits set in @writable (same
 * length, NULL: none) can be written by the guest. Returns its offset or -ENOSPC.
 */
int pci_dev_add_capability(struct pci_dev *d, u8 id, const void *body, const void *writable,
			   unsigned len);
/* Sets a register of one byte, and the bits of it that the guest can write. */
void pci_dev_register(struct pci_dev *d, u8 reg, u8 value, u8 writable);
/* Lets the guest see the BARs: called once, when all is added. */
void pci_dev_ready(struct pci_dev *d);
/* Returns the 256 bytes of configuration space, for the owner's callbacks. */
u8 *pci_dev_config(struct pci_dev *d);
unsigned pci_dev_slot(const struct pci_dev *d);

#endif
