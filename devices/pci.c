// SPDX-License-Identifier: GPL-2.0-only
/* Implements PCI bus 0, and the ways to the configuration space of the functions of all buses. */
#include "devices/pci.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>

#include "base/little_endian.h"
#include "devices/pci_int.h"
#include "devices/pci_port.h"

#define PORT_ADDRESS   0xcf8
#define PORT_DATA      0xcfc
#define ADDRESS_ENABLE 0x80000000U
#define ADDRESS_BITS   0x80fffffcU
#define RESET_NOW      6 /* 0xcf9: system reset, now */

#define SLOT_FUNCTIONS(bus, slot) (&(bus)->fns[(slot)*PCI_FUNCTIONS])

static_assert(PCI_SLOTS == PCI_BUS_SLOTS, "a bus has room for all slots");

static void pci_address_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct pci_bus *bus = arg;

	/* Only a whole word is the address register; a byte at 0xcf9 is the chip set's reset. */
	if (write && offset == 1 && len == 1) {
		if ((*(u8 *)data & RESET_NOW) == RESET_NOW)
			bus->h->ops->power(bus->h, HOST_RESET, "port 0xcf9");
		return;
	}
	if (offset || len != 4)
		return;
	pthread_mutex_lock(&bus->lock);
	if (write)
		bus->address = load_u32(data) & ADDRESS_BITS;
	else
		store_u32(data, bus->address);
	pthread_mutex_unlock(&bus->lock);
}

/* Calls @fn for all functions, a port before what is behind it. */
static void for_each_function(const struct pci_bus *bus, void (*fn)(struct pci_dev *d))
{
	for (unsigned i = 0; i < ARRAY_SIZE(bus->fns); i++) {
		struct pci_dev *d = bus->fns[i];

		if (!d)
			continue;
		fn(d);
		if (d->secondary)
			for_each_function(d->secondary, fn);
	}
}

/* Accesses a function of any bus; what is absent is all ones. */
static void pci_access(struct pci_bus *root, u32 place, unsigned reg, void *data, unsigned len,
		       bool write)
{
	unsigned number = place >> 8 & 0xff, devfn = place & 0xff;
	const struct pci_bus *bus = root;
	struct pci_dev *d;
	bool moved;

	if (number) {
		const struct pci_dev *port = pci_port_to(root, number);

		bus = port ? port->secondary : NULL;
	}
	d = bus ? bus->fns[devfn] : NULL;
	if (!d)
		return;
	moved = pci_dev_access(d, reg, data, len, write);
	if (write && d->secondary)
		moved |= pci_port_written(d, reg, len);
	/* A BAR that was to be where another one lay may have its room now. */
	if (moved)
		for_each_function(root, pci_dev_update_bars);
}

static void pci_data_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct pci_bus *bus = arg;
	u32 a;

	if (offset + len > 4)
		return;
	pthread_mutex_lock(&bus->lock);
	a = bus->address;
	if (a & ADDRESS_ENABLE)
		pci_access(bus, a >> 8, (a & 0xfc) + (unsigned)offset, data, len, write);
	pthread_mutex_unlock(&bus->lock);
}

static void pci_ecam_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct pci_bus *bus = arg;

	if (len > 4)
		return;
	pthread_mutex_lock(&bus->lock);
	pci_access(bus, (u32)(offset >> 12), offset & 0xfff, data, len, write);
	pthread_mutex_unlock(&bus->lock);
}

int pci_bus_map_ecam(struct pci_bus *bus, u64 gpa, unsigned buses)
{
	return bus->h->ops->mmio_map(bus->h, gpa, buses * PCI_ECAM_SIZE, pci_ecam_io, bus);
}

int pci_bus_create_with(struct pci_bus **out, struct host *h, const struct pci_id *bridge,
			u64 window, u64 window_end)
{
	struct pci_bus *bus = calloc(1, sizeof(*bus));
	struct pci_dev *d;
	int ret;

	if (!bus)
		return -ENOMEM;
	pthread_mutex_init(&bus->lock, NULL);
	bus->h = h;
	bus->root = bus;
	bus->window = window;
	bus->window_end = window_end;
	ret = pci_dev_create(&d, bus, bridge, NULL, NULL);
	if (!ret)
		ret = h->ops->pio_add(h, PORT_ADDRESS, 4, pci_address_io, bus);
	if (!ret)
		ret = h->ops->pio_add(h, PORT_DATA, 4, pci_data_io, bus);
	if (ret) {
		pci_bus_destroy(bus);
		return ret;
	}
	*out = bus;
	return 0;
}

int pci_bus_create(struct pci_bus **out, struct host *h, u64 window, u64 window_end)
{
	static const struct pci_id bridge = {
		.vendor = PCI_RED_HAT,
		.device = 0x0008, /* a host bridge without registers of its own */
		.class = 0x060000,
	};

	return pci_bus_create_with(out, h, &bridge, window, window_end);
}

struct pci_dev *pci_bus_bridge(const struct pci_bus *bus)
{
	return bus->fns[0];
}

static void reset_function(struct pci_dev *d)
{
	pci_dev_reset(d, true);
}

void pci_bus_reset(struct pci_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bus->address = 0;
	/* All leave where the guest had moved them before any goes back. */
	for_each_function(bus, reset_function);
	for_each_function(bus, pci_dev_update_bars);
	pthread_mutex_unlock(&bus->lock);
}

static void pci_fns_free(struct pci_bus *bus)
{
	for (unsigned i = 0; i < ARRAY_SIZE(bus->fns); i++) {
		if (bus->fns[i] && bus->fns[i]->secondary) {
			pci_fns_free(bus->fns[i]->secondary);
			free(bus->fns[i]->secondary);
		}
		free(bus->fns[i]);
	}
}

void pci_bus_destroy(struct pci_bus *bus)
{
	if (!bus)
		return;
	pci_fns_free(bus);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

void pci_bus_keep_slots(struct pci_bus *bus, u32 slots)
{
	bus->kept |= slots;
}

static bool slot_is_used(const struct pci_bus *bus, unsigned slot)
{
	for (unsigned i = 0; i < PCI_FUNCTIONS; i++)
		if (SLOT_FUNCTIONS(bus, slot)[i])
			return true;
	return false;
}

static unsigned first_free_slot(const struct pci_bus *bus)
{
	unsigned slot = 0;

	while (slot < PCI_SLOTS && (slot_is_used(bus, slot) || (bus->kept >> slot & 1)))
		slot++;
	return slot;
}

int pci_dev_create(struct pci_dev **out, struct pci_bus *bus, const struct pci_id *id,
		   const struct pci_ops *ops, void *arg)
{
	return pci_dev_create_at(out, bus, PCI_SLOT_ANY, id, ops, arg);
}

int pci_dev_create_at(struct pci_dev **out, struct pci_bus *bus, unsigned slot,
		      const struct pci_id *id, const struct pci_ops *ops, void *arg)
{
	int ret;

	if (slot >= PCI_SLOTS || (bus->port && slot != PCI_SLOT_ANY))
		return -EINVAL;
	if (slot == PCI_SLOT_ANY && !bus->port)
		slot = first_free_slot(bus);
	if (slot == PCI_SLOTS)
		return -ENOSPC;
	if (slot_is_used(bus, slot))
		return bus->port ? -ENOSPC : -EBUSY;
	ret = pci_dev_make(out, bus, slot * PCI_FUNCTIONS, id, ops, arg);
	if (ret || !bus->port)
		return ret;
	pci_port_add_express(*out, PCI_EXP_TYPE_ENDPOINT, NULL);
	bus->port->config[bus->port->express + PCI_EXP_SLTSTA] |= PCI_EXP_SLTSTA_PDS;
	return 0;
}
