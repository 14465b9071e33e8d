// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements the configuration space of the functions of PCI bus 0, the ways to it, and the
 * decoding of BARs.
 */
#include "devices/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"

#define PORT_ADDRESS   0xcf8
#define PORT_DATA      0xcfc
#define ADDRESS_ENABLE 0x80000000U
#define ADDRESS_BITS   0x80fffffcU
#define RESET_NOW      6 /* 0xcf9: system reset, now */
#define CONFIG_SIZE    256
#define FIRST_CAP      0x40
#define COMMAND_BITS \
	(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)
#define REDHAT_QUMRANET 0x1b36

struct bar {
	u32 size;   /* 0: none */
	u64 mapped; /* address at which it is decoded, 0: nowhere */
};

struct pci_dev {
	struct pci_bus *bus;
	const struct pci_ops *ops;
	void *arg;
	unsigned slot;
	bool ready;
	u8 config[CONFIG_SIZE];
	u8 writable[CONFIG_SIZE]; /* bits that the guest can write */
	u8 initial[CONFIG_SIZE];  /* values of these bits after a reset */
	unsigned next_cap, last_cap_link;
	struct bar bars[PCI_BARS];
	struct bar_arg {
		struct pci_dev *d;
		unsigned bar;
	} bar_args[PCI_BARS];
};

struct pci_bus {
	struct host *h;
	u64 window, window_end;
	pthread_mutex_t lock; /* address, all configuration spaces */
	u32 address;
	u32 kept; /* slots that are for those who ask for them */
	struct pci_dev *devs[PCI_SLOTS];
};

static void pci_bar_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct bar_arg *a = arg;

	a->d->ops->bar(a->d->arg, a->bar, offset, data, len, write);
}

/* Makes the decoding agree with the command register and the BARs. */
static void pci_update_bars(struct pci_dev *d)
{
	struct host *h = d->bus->h;
	bool on = d->ready && (load_u16(d->config + PCI_COMMAND) & PCI_COMMAND_MEMORY);

	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct bar *b = &d->bars[i];
		u64 want = 0;

		if (!b->size)
			continue;
		if (on)
			want = load_u32(d->config + PCI_BASE_ADDRESS_0 + 4 * i) & ~15U;
		if (want == b->mapped)
			continue;
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
}

static void pci_config_access(struct pci_dev *d, unsigned offset, void *data, unsigned len,
			      bool write)
{
	const u8 *in = data;
	bool bars = false;

	if (offset + len > CONFIG_SIZE)
		return;
	if (!write) {
		if (d->ops && d->ops->config_read)
			d->ops->config_read(d->arg, offset, len);
		memcpy(data, d->config + offset, len);
		return;
	}
	for (unsigned i = 0; i < len; i++) {
		unsigned at = offset + i;
		u8 mask = d->writable[at];

		d->config[at] = (u8)((d->config[at] & ~mask) | (in[i] & mask));
		bars |= at == PCI_COMMAND || (at >= PCI_BASE_ADDRESS_0 && at < PCI_CARDBUS_CIS);
	}
	if (bars)
		pci_update_bars(d);
	if (d->ops && d->ops->config_written)
		d->ops->config_written(d->arg, offset, len);
}

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

static void pci_data_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct pci_bus *bus = arg;
	unsigned slot, reg;
	u32 a;

	if (offset + len > 4)
		return;
	pthread_mutex_lock(&bus->lock);
	a = bus->address;
	slot = a >> 11 & 31;
	reg = (a & 0xfc) + (unsigned)offset;
	/* Bus 0, function 0; everything else is absent: all ones. */
	if ((a & ADDRESS_ENABLE) && !(a >> 16 & 0xff) && !(a >> 8 & 7) && bus->devs[slot])
		pci_config_access(bus->devs[slot], reg, data, len, write);
	pthread_mutex_unlock(&bus->lock);
}

static void pci_ecam_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct pci_bus *bus = arg;
	unsigned slot = offset >> 15 & 31, function = offset >> 12 & 7, reg = offset & 0xfff;

	if (function || len > 4)
		return;
	pthread_mutex_lock(&bus->lock);
	if (bus->devs[slot])
		pci_config_access(bus->devs[slot], reg, data, len, write);
	pthread_mutex_unlock(&bus->lock);
}

int pci_bus_map_ecam(struct pci_bus *bus, u64 gpa)
{
	return bus->h->ops->mmio_map(bus->h, gpa, PCI_ECAM_SIZE, pci_ecam_io, bus);
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
		.vendor = REDHAT_QUMRANET,
		.device = 0x0008, /* a host bridge without registers of its own */
		.class = 0x060000,
	};

	return pci_bus_create_with(out, h, &bridge, window, window_end);
}

struct pci_dev *pci_bus_bridge(const struct pci_bus *bus)
{
	return bus->devs[0];
}

void pci_bus_reset(struct pci_bus *bus)
{
	pthread_mutex_lock(&bus->lock);
	bus->address = 0;
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		struct pci_dev *d = bus->devs[slot];

		if (!d)
			continue;
		if (d->ops && d->ops->reset)
			d->ops->reset(d->arg);
		for (unsigned i = 0; i < CONFIG_SIZE; i++)
			d->config[i] = (u8)((d->config[i] & ~d->writable[i]) |
					    (d->initial[i] & d->writable[i]));
		pci_update_bars(d);
	}
	pthread_mutex_unlock(&bus->lock);
}

void pci_bus_destroy(struct pci_bus *bus)
{
	if (!bus)
		return;
	for (unsigned i = 0; i < PCI_SLOTS; i++)
		free(bus->devs[i]);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

void pci_bus_keep_slots(struct pci_bus *bus, u32 slots)
{
	bus->kept |= slots;
}

static unsigned first_free_slot(const struct pci_bus *bus)
{
	unsigned slot = 0;

	while (slot < PCI_SLOTS && (bus->devs[slot] || (bus->kept >> slot & 1)))
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
	struct pci_dev *d;

	if (slot >= PCI_SLOTS)
		return -EINVAL;
	if (slot == PCI_SLOT_ANY)
		slot = first_free_slot(bus);
	if (slot == PCI_SLOTS)
		return -ENOSPC;
	if (bus->devs[slot])
		return -EBUSY;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->bus = bus;
	d->ops = ops;
	d->arg = arg;
	d->slot = slot;
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
	bus->devs[slot] = d;
	*out = d;
	return 0;
}

int pci_dev_add_bar(struct pci_dev *d, unsigned bar, u32 size)
{
	struct pci_bus *bus = d->bus;
	u64 at = bus->window;

	if (bar >= PCI_BARS || size < 4096 || (size & (size - 1)))
		return -EINVAL;
	if (d->bars[bar].size)
		return -EEXIST;
	/* The BAR lies behind all others: a bus has few functions and the window is large. */
	for (unsigned s = 0; s < PCI_SLOTS; s++)
		for (unsigned i = 0; bus->devs[s] && i < PCI_BARS; i++) {
			u64 base =
				load_u32(bus->devs[s]->config + PCI_BASE_ADDRESS_0 + 4 * i) & ~15U;

			if (bus->devs[s]->bars[i].size && base + bus->devs[s]->bars[i].size > at)
				at = base + bus->devs[s]->bars[i].size;
		}
	at = ALIGN_UP(at, (u64)size);
	if (at + size > bus->window_end)
		return -ENOSPC;
	store_u32(d->config + PCI_BASE_ADDRESS_0 + 4 * bar, (u32)at);
	store_u32(d->writable + PCI_BASE_ADDRESS_0 + 4 * bar, ~(size - 1));
	d->bars[bar].size = size;
	d->bar_args[bar] = (struct bar_arg){ d, bar };
	return 0;
}

int pci_dev_add_capability(struct pci_dev *d, u8 id, const void *body, const void *writable,
			   unsigned len)
{
	unsigned at = d->next_cap;

	if (len > CONFIG_SIZE || at + 2 + len > CONFIG_SIZE)
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
	pthread_mutex_lock(&d->bus->lock);
	d->ready = true;
	store_u16(d->config + PCI_COMMAND, PCI_COMMAND_MEMORY);
	memcpy(d->initial, d->config, sizeof(d->initial));
	pci_update_bars(d);
	pthread_mutex_unlock(&d->bus->lock);
}

u8 *pci_dev_config(struct pci_dev *d)
{
	return d->config;
}

unsigned pci_dev_slot(const struct pci_dev *d)
{
	return d->slot;
}
