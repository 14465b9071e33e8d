/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Adds PCI Express root ports to bus 0: bridges with a type 1 header, each with a bus of its own
 * behind it, on which there is room for one function (a link leads to device 0 only).
 *
 * Like BARs, bus numbers and windows have values from the start, as firmware would have given them:
 * bus 1 for the first port, and so on, and 1 MiB for memory. So a kernel that boots directly finds
 * a tree to take over, and a firmware or a kernel may number it anew.
 *
 * Left out, since nothing needs them and the specification lets them be absent (PCI-to-PCI Bridge
 * 1.2, 3.2.5.6 and 3.2.5.8): windows for I/O and for prefetchable memory, since no BAR here is of
 * these kinds; hot-plug, power management, error reporting, and with them interrupts of the port
 * itself. Behind a port as on bus 0 a function's interrupts are messages, and bus mastering is
 * allowed whatever the command registers say.
 *
 * All registers are the guest's to write, in any combination:
 *  - A bus number is that of the first port that has it as its secondary one and not above its
 *    subordinate one; 0 always means bus 0. There are two levels and no more, so there are no
 *    loops. The primary number is kept and means nothing.
 *  - A BAR behind a port is decoded while it lies in the port's memory window as a whole and both
 *    command registers say so. Where a window reaches does not matter otherwise: the host decodes
 *    BARs where it always does (mmio_map() of host.h), never over RAM or over another region. One
 *    that is to be where another lies is decoded as soon as that one has left.
 *  - Setting the secondary bus reset resets what is behind the port: its BARs and its command
 *    register are 0 then.
 */
#ifndef UMBRA_DEVICES_PCI_PORT_H
#define UMBRA_DEVICES_PCI_PORT_H

#include "base/types.h"

#define PCI_MAX_PORTS	31 /* buses 1 to 31 */
#define PCI_PORT_WINDOW (1U << 20)

struct pci_bus;
struct pci_dev;

struct pci_port_config {
	unsigned slot, function; /* its place on bus 0 */
	u8 number;		 /* of the port, in its link capabilities */
	u16 chassis;		 /* of the slot, 13 bits, in its slot capabilities: for people */
};

/*
 * Adds a port and gives the bus behind it, which lives as long as @bus and on which
 * pci_dev_create() creates a function, with the PCI Express capability of an endpoint. A function
 * other than 0 makes all in its slot functions of one device; whoever asks for it creates function
 * 0 too. -EBUSY: the place is taken; -EINVAL: no place; -ENOSPC: no bus number or no room in the
 * window is left.
 */
int pci_port_create(struct pci_bus **out, struct pci_bus *bus, const struct pci_port_config *c);

#endif
