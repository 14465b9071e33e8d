/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Describes a PCI function to its owner, who creates it on a bus (pci.h): its memory BARs of 32
 * bits, its capabilities, its configuration space.
 *
 * A function's BAR callback may run on several vCPU threads at once. Its other callbacks run under
 * the bus's lock: they must not touch the configuration space of another function.
 */
#ifndef UMBRA_DEVICES_PCI_DEV_H
#define UMBRA_DEVICES_PCI_DEV_H

#include "base/types.h"

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
	 * Called when the bus is reset, by its owner or, behind a root port, by the guest;
	 * afterwards the configuration space is as it was at pci_dev_ready(), after the guest's
	 * reset without BARs. May be NULL.
	 */
	void (*reset)(void *arg);
};

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

/* Where a function is: on bus 0, or behind the root port that is there. */
struct pci_place {
	u8 slot, function;
	bool behind;
};
struct pci_place pci_dev_place(const struct pci_dev *d);

#endif
