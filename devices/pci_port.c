// SPDX-License-Identifier: GPL-2.0-only
/* Implements root ports: their registers, what they pass on, and the reset of what is behind. */
#include "devices/pci_port.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>

#include "base/little_endian.h"
#include "devices/pci_dev.h"
#include "devices/pci_int.h"

#define CONTROL_BITS   (PCI_BRIDGE_CTL_PARITY | PCI_BRIDGE_CTL_SERR | PCI_BRIDGE_CTL_BUS_RESET)
#define MULTI_FUNCTION 0x80 /* in the header type */
#define EXPRESS_LEN    0x3c /* of version 2 */
#define DEVCTL_BITS                                                                               \
	(PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE | \
	 PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_NOSNOOP_EN |           \
	 PCI_EXP_DEVCTL_READRQ)
#define LNKCTL_BITS (PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES)
#define RTCTL_BITS \
	(PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE | PCI_EXP_RTCTL_SEFEE | PCI_EXP_RTCTL_PMEIE)
#define SLOT_NUMBER_SHIFT 19
#define SLOT_NUMBER_MAX	  0x1fff

int pci_port_add_express(struct pci_dev *d, u8 type, const struct pci_port_config *port)
{
	const u16 link = PCI_EXP_LNKSTA_CLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1;
	u8 all[EXPRESS_LEN] = { 0 }, writable[EXPRESS_LEN] = { 0 };

	store_u16(all + PCI_EXP_FLAGS, (u16)(2 | type << 4 | (port ? PCI_EXP_FLAGS_SLOT : 0)));
	store_u32(all + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER);
	store_u16(all + PCI_EXP_DEVCTL,
		  PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ_512B);
	store_u16(writable + PCI_EXP_DEVCTL, DEVCTL_BITS);
	/* No ASPM, and no report whether the link is up: it always is. */
	store_u32(all + PCI_EXP_LNKCAP, link | (port ? (u32)port->number << 24 : 0));
	store_u16(writable + PCI_EXP_LNKCTL, LNKCTL_BITS);
	store_u16(all + PCI_EXP_LNKSTA, link);
	store_u32(all + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB);
	store_u16(all + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS_2_5GT);
	if (port) {
		store_u32(all + PCI_EXP_SLTCAP, (u32)port->chassis << SLOT_NUMBER_SHIFT);
		store_u16(writable + PCI_EXP_RTCTL, RTCTL_BITS);
	}
	return pci_dev_add_capability(d, PCI_CAP_ID_EXP, all + 2, writable + 2, EXPRESS_LEN - 2);
}

/* --- what a port passes on ------------------------------------------------------------------- */

struct pci_dev *pci_port_to(const struct pci_bus *root, unsigned number)
{
	struct pci_dev *port = root->ports;

	while (port && (port->config[PCI_SECONDARY_BUS] != number ||
			port->config[PCI_SUBORDINATE_BUS] < number))
		port = port->next_port;
	return port;
}

/* Returns true if an access to [@offset, @offset + @len) touches [@at, @at + @n). */
static bool touches(unsigned offset, unsigned len, unsigned at, unsigned n)
{
	return offset < at + n && at < offset + len;
}

bool pci_port_written(struct pci_dev *port, unsigned offset, unsigned len)
{
	u16 control = load_u16(port->config + PCI_BRIDGE_CONTROL);
	struct pci_dev *behind = port->secondary->fns[0];
	bool resets =
		touches(offset, len, PCI_BRIDGE_CONTROL, 2) && (control & PCI_BRIDGE_CTL_BUS_RESET);
	bool window =
		touches(offset, len, PCI_COMMAND, 2) || touches(offset, len, PCI_MEMORY_BASE, 4);

	if (!behind)
		return false;
	if (resets)
		pci_dev_reset(behind, false);
	if (window)
		pci_dev_update_bars(behind);
	return resets || window;
}

/* --- creation -------------------------------------------------------------------------------- */

static void set_window(struct pci_dev *d, u64 base)
{
	store_u16(d->config + PCI_MEMORY_BASE, (u16)(base >> 16));
	store_u16(d->config + PCI_MEMORY_LIMIT,
		  (u16)((base + PCI_PORT_WINDOW - 1) >> 16 & PCI_WINDOW_BITS));
	store_u16(d->writable + PCI_MEMORY_BASE, PCI_WINDOW_BITS);
	store_u16(d->writable + PCI_MEMORY_LIMIT, PCI_WINDOW_BITS);
}

static void set_bus_numbers(struct pci_dev *d, unsigned number)
{
	d->config[PCI_SECONDARY_BUS] = d->config[PCI_SUBORDINATE_BUS] = (u8)number;
	d->writable[PCI_PRIMARY_BUS] = 0xff;
	d->writable[PCI_SECONDARY_BUS] = d->writable[PCI_SUBORDINATE_BUS] = 0xff;
}

static int create_function(struct pci_dev **out, struct pci_bus *bus,
			   const struct pci_port_config *c)
{
	static const struct pci_id id = {
		.vendor = PCI_RED_HAT,
		.device = 0x000c, /* "QEMU PCIe Root port", without registers of its own */
		.class = 0x060400,
	};
	u64 window = ALIGN_UP(pci_dev_next_address(bus), (u64)PCI_PORT_WINDOW);
	unsigned devfn = c->slot * PCI_FUNCTIONS + c->function;
	struct pci_dev *d;
	int ret;

	if (!c->slot || c->slot >= PCI_BUS_SLOTS || c->function >= PCI_FUNCTIONS ||
	    c->chassis > SLOT_NUMBER_MAX)
		return -EINVAL;
	if (bus->fns[devfn])
		return -EBUSY;
	if (bus->n_ports == PCI_MAX_PORTS || window + PCI_PORT_WINDOW > bus->window_end)
		return -ENOSPC;
	ret = pci_dev_make(&d, bus, devfn, &id, NULL, NULL);
	if (ret)
		return ret;
	d->config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	set_bus_numbers(d, bus->n_ports + 1);
	set_window(d, window);
	store_u16(d->writable + PCI_BRIDGE_CONTROL, CONTROL_BITS);
	d->express = (unsigned)pci_port_add_express(d, PCI_EXP_TYPE_ROOT_PORT, c);
	*out = d;
	return 0;
}

/* Tells the guest that there are several functions, in each of them. */
static void mark_functions(struct pci_bus *bus, unsigned slot)
{
	struct pci_dev **fns = &bus->fns[slot * PCI_FUNCTIONS];
	unsigned n = 0;

	for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
		n += fns[i] != NULL;
	for (unsigned i = 0; i < PCI_FUNCTIONS && n > 1; i++)
		if (fns[i])
			fns[i]->config[PCI_HEADER_TYPE] |= MULTI_FUNCTION;
}

int pci_port_create(struct pci_bus **out, struct pci_bus *bus, const struct pci_port_config *c)
{
	struct pci_bus *behind = calloc(1, sizeof(*behind));
	struct pci_dev *d, **last;
	int ret = behind ? create_function(&d, bus, c) : -ENOMEM;

	if (ret) {
		free(behind);
		return ret;
	}
	behind->h = bus->h;
	behind->root = bus;
	behind->port = d;
	d->secondary = behind;
	for (last = &bus->ports; *last; last = &(*last)->next_port)
		;
	*last = d;
	bus->n_ports++;
	mark_functions(bus, c->slot);
	pci_dev_ready(d);
	*out = behind;
	return 0;
}
