/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Implements PCI bus 0 with single-function devices (pci_dev.h). Root ports (pci_port.h) add buses
 * behind it, which are a struct pci_bus too, so that functions are created on them in the same way.
 *
 * Configuration space is reached by mechanism 1 (ports 0xcf8, 0xcfc-0xcff) and, if the owner maps
 * it, by PCI Express' memory-mapped one. The bus gives each BAR an address at creation, as firmware
 * would; the guest may size, move and disable them.
 */
#ifndef UMBRA_DEVICES_PCI_H
#define UMBRA_DEVICES_PCI_H

#include "devices/host.h"
#include "devices/pci_dev.h"

#define PCI_SLOTS     32
#define PCI_SLOT_ANY  0		   /* the host bridge's, which nothing else gets */
#define PCI_ECAM_SIZE (1ULL << 20) /* of one bus */

struct pci_bus;

/*
 * Registers the ports, the reset at 0xcf9 among them, and creates a host bridge at 00:00.0. BARs
 * get addresses in [@window, @window_end).
 */
int pci_bus_create(struct pci_bus **out, struct host *h, u64 window, u64 window_end);
/* Does the same with a host bridge of the caller's choice. */
int pci_bus_create_with(struct pci_bus **out, struct host *h, const struct pci_id *bridge,
			u64 window, u64 window_end);
/*
 * Maps the configuration space of buses 0 to @buses - 1 at [@gpa, @gpa + @buses * PCI_ECAM_SIZE),
 * too (PCI Express Base 7.2.2). Extended space is absent and reads as ones, also that of root ports
 * and of what is behind them, which have no extended capability: a kernel that finds ones there
 * looks for none, and saves an exit for each kind that it knows.
 */
int pci_bus_map_ecam(struct pci_bus *bus, u64 gpa, unsigned buses);
struct pci_dev *pci_bus_bridge(const struct pci_bus *bus);
/*
 * Resets all functions (RST#), those behind ports too, and moves their BARs back to the addresses
 * that they had at creation. No vCPU runs.
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
 * Does the same in slot @slot, or where pci_dev_create() does if that is PCI_SLOT_ANY, as it has to
 * be behind a root port. -EBUSY: a function is there; -EINVAL: there is no such slot.
 */
int pci_dev_create_at(struct pci_dev **out, struct pci_bus *bus, unsigned slot,
		      const struct pci_id *id, const struct pci_ops *ops, void *arg);

#endif
