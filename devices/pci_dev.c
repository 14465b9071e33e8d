// SPDX-License-Identifier: GPL-2.0-only
/* Implements a PCI function: its configuration space, capabilities and the decoding of BARs. */
#include "devices/pci_dev.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "devices/pci_int.h"

#define FIRST_CAP 0x40
#define COMMAND_BITS \
	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

/* --- decoding ------------------------------------------------------------------------------ */

u64 pci_dev_window(const struct pci_dev *port)
{
	return (u64)(load_u16(port->config + PCI_MEMORY_BASE) & PCI_WINDOW_BITS) << 16;
}

static u64 window_end(const struct pci_dev *port)
{
	return ((u64)(load_u16(port->config + PCI_MEMORY_LIMIT) & PCI_WINDOW_BITS) << 16) +
	       PCI_WINDOW_UNIT;
}

/* Returns true if the port passes an access to [@at, @at + @len) on to its bus. */
static bool port_passes(const struct pci_dev *port, u64 at, u64 len)
{
	return (load_u16(port->config + PCI_COMMAND) & PCI_COMMAND_MEMORY) &&
	       at >= pci_dev_window(port) && at + len <= window_end(port);
}

static void pci_bar_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct pci_bar_arg *a = arg;

	a->d->ops->bar(a->d->arg, a->bar, offset, data, len, write);
}

/* Has the BAR decoded at @want from now on, 0: nowhere. */
static void pci_move_bar(struct pci_dev *d, unsigned i, u64 want)
{
	struct host *h = d->bus->h;
	struct pci_bar *b = &d->bars[i];

	if (!b->size || want == b->mapped)
		return;
	if (b->mapped) {
		h->ops->mmio_unmap(h, b->mapped, b->size);
		b->mapped = 0;
	}
	/* A range that is not free or not for devices is not decoded. */
	if (want && !h->ops->mmio_map(h, want, b->size, pci_bar_io, &d->bar_args[i]))
		b->mapped = want;
	if (d->ops->bar_moved)
		d->ops->bar_moved(d->arg, i, b->mapped);
}

/* Returns the address at which the registers want the BAR to be decoded; 0: nowhere. */
static u64 pci_bar_wanted(const struct pci_dev *d, unsigned i)
{
	u64 at = load_u32(d->config + PCI_BASE_ADDRESS_0 + 4 * i) & ~15U;

	if (!d->ready || !(load_u16(d->config + PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return 0;
	return !d->bus->port || port_passes(d->bus->port, at, d->bars[i].size) ? at : 0;
}

void pci_dev_update_bars(struct pci_dev *d)
{
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (d->bars[i].size)
			pci_move_bar(d, i, pci_bar_wanted(d, i));
}

bool pci_dev_access(struct pci_dev *d, unsigned offset, void *data, unsigned len, bool write)
{
	const u8 *in = data;
	bool bars = false;

	if (offset + len > PCI_CONFIG_SIZE)
		return false;
	if (!write) {
		if (d->ops && d->ops->config_read)
			d->ops->config_read(d->arg, offset, len);
		memcpy(data, d->config + offset, len);
		return false;
	}
	for (unsigned i = 0; i < len; i++) {
		unsigned at = offset + i;
		u8 mask = d->writable[at];

		d->config[at] = (u8)((d->config[at] & ~mask) | (in[i] & mask));
		bars |= at == PCI_COMMAND || (at >= PCI_BASE_ADDRESS_0 && at < PCI_CARDBUS_CIS);
	}
	if (bars)
		pci_dev_update_bars(d);
	if (d->ops && d->ops->config_written)
		d->ops->config_written(d->arg, offset, len);
	return bars;
}

void pci_dev_reset(struct pci_dev *d, bool cold)
{
	if (d->ops && d->ops->reset)
		d->ops->reset(d->arg);
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		d->config[i] =
			(u8)((d->config[i] & ~d->writable[i]) | (d->initial[i] & d->writable[i]));
	if (!cold) {
		store_u16(d->config + PCI_COMMAND, 0);
		for (unsigned i = 0; i < PCI_BARS; i++)
			if (d->bars[i].size)
				store_u32(d->config + PCI_BASE_ADDRESS_0 + 4 * i, 0);
	}
	for (unsigned i = 0; i < PCI_BARS; i++)
		if (d->bars[i].mapped && pci_bar_wanted(d, i) != d->bars[i].mapped)
			pci_move_bar(d, i, 0);
}

/* --- creation -------------------------------------------------------------------------------- */

int pci_dev_make(struct pci_dev **out, struct pci_bus *bus, unsigned devfn, const struct pci_id *id,
		 const struct pci_ops *ops, void *arg)
{
	struct pci_dev *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->bus = bus;
	d->ops = ops;
	d->arg = arg;
	d->devfn = devfn;
	d->next_cap = FIRST_CAP;
	d->last_cap_link = PCI_CAPABILITY_LIST;
	store_u16(d->config + PCI_VENDOR_ID, id->vendor);
	store_u16(d->config + PCI_DEVICE_ID, id->device);
	store_u32(d->config + PCI_CLASS_REVISION, id->class << 8 | id->revision);
	store_u16(d->config + PCI_SUBSYSTEM_VENDOR_ID, id->subsystem_vendor);
	store_u16(d->config + PCI_SUBSYSTEM_ID, id->subsystem);
	store_u16(d->writable + PCI_COMMAND, COMMAND_BITS);
	d->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	d->writable[PCI_INTERRUPT_LINE] = 0xff;
	bus->fns[devfn] = d;
	*out = d;
	return 0;
}

u64 pci_dev_next_address(const struct pci_bus *bus)
{
	u64 at = bus->port ? pci_dev_window(bus->port) : bus->window;

	for (unsigned i = 0; i < ARRAY_SIZE(bus->fns); i++) {
		const struct pci_dev *d = bus->fns[i];
		u64 end = d && d->secondary ? pci_dev_window(d) + PCI_WINDOW_UNIT : 0;

		at = end > at ? end : at;
		for (unsigned b = 0; d && b < PCI_BARS; b++) {
			end = (load_u32(d->config + PCI_BASE_ADDRESS_0 + 4 * b) & ~15U) +
			      (u64)d->bars[b].size;
			at = d->bars[b].size && end > at ? end : at;
		}
	}
	return at;
}

int pci_dev_add_bar(struct pci_dev *d, unsigned bar, u32 size)
{
	const struct pci_bus *bus = d->bus;
	u64 end = bus->port ? pci_dev_window(bus->port) + PCI_WINDOW_UNIT : bus->window_end;
	u64 at;

	if (bar >= PCI_BARS || size < 4096 || (size & (size - 1)))
		return -EINVAL;
	if (d->bars[bar].size)
		return -EEXIST;
	/* The BAR lies behind all others: a bus has few functions and the window is large. */
	at = ALIGN_UP(pci_dev_next_address(bus), (u64)size);
	if (at + size > end)
		return -ENOSPC;
	store_u32(d->config + PCI_BASE_ADDRESS_0 + 4 * bar, (u32)at);
	store_u32(d->writable + PCI_BASE_ADDRESS_0 + 4 * bar, ~(size - 1));
	d->bars[bar].size = size;
	d->bar_args[bar] = (struct pci_bar_arg){ d, bar };
	return 0;
}

int pci_dev_add_capability(struct pci_dev *d, u8 id, const void *body, const void *writable,
			   unsigned len)
{
	unsigned at = d->next_cap;

	if (len > PCI_CONFIG_SIZE || at + 2 + len > PCI_CONFIG_SIZE)
		return -ENOSPC;
	d->config[at] = id;
	memcpy(d->config + at + 2, body, len);
	if (writable)
		memcpy(d->writable + at + 2, writable, len);
	d->config[d->last_cap_link] = (u8)at;
	d->last_cap_link = at + PCI_CAP_LIST_NEXT;
	d->next_cap = ALIGN_UP(at + 2 + len, 4U);
	d->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	return (int)at;
}

void pci_dev_register(struct pci_dev *d, u8 reg, u8 value, u8 writable)
{
	d->config[reg] = d->initial[reg] = value;
	d->writable[reg] = writable;
}

void pci_dev_ready(struct pci_dev *d)
{
	pthread_mutex_lock(&d->bus->root->lock);
	d->ready = true;
	store_u16(d->config + PCI_COMMAND, PCI_COMMAND_MEMORY);
	memcpy(d->initial, d->config, sizeof(d->initial));
	pci_dev_update_bars(d);
	pthread_mutex_unlock(&d->bus->root->lock);
}

u8 *pci_dev_config(struct pci_dev *d)
{
	return d->config;
}

unsigned pci_dev_slot(const struct pci_dev *d)
{
	return d->devfn / PCI_FUNCTIONS;
}

struct pci_place pci_dev_place(const struct pci_dev *d)
{
	unsigned devfn = d->bus->port ? d->bus->port->devfn : d->devfn;

	return (struct pci_place){
		.slot = (u8)(devfn / PCI_FUNCTIONS),
		.function = (u8)(devfn % PCI_FUNCTIONS),
		.behind = d->bus->port,
	};
}
