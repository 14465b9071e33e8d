/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines a PCI bus and its functions, for pci.c, pci_dev.c and pci_port.c; private to the room.
 *
 * Buses are a tree of two levels: bus 0, and a bus behind each of its root ports. All of them have
 * the lock of bus 0.
 */
#ifndef UMBRA_DEVICES_PCI_INT_H
#define UMBRA_DEVICES_PCI_INT_H

#include <pthread.h>

#include "devices/host.h"

#define PCI_CONFIG_SIZE 256
#define PCI_BARS	6
#define PCI_BUS_SLOTS	32
#define PCI_FUNCTIONS	8
#define PCI_RED_HAT	0x1b36	/* the vendor of QEMU's bridges, which drivers take as they are */
#define PCI_WINDOW_BITS 0xfff0U /* of a memory window's registers: address bits 31 to 20 */
#define PCI_WINDOW_UNIT (1U << 20)

struct pci_id;
struct pci_ops;
struct pci_port_config;

struct pci_bar {
	u32 size;   /* 0: none */
	u64 mapped; /* address at which it is decoded, 0: nowhere */
};

struct pci_dev {
	struct pci_bus *bus;
	const struct pci_ops *ops;
	void *arg;
	unsigned devfn; /* slot << 3 | function */
	bool ready;
	u8 config[PCI_CONFIG_SIZE];
	u8 writable[PCI_CONFIG_SIZE]; /* bits that the guest can write */
	u8 initial[PCI_CONFIG_SIZE];  /* values of these bits after a reset */
	unsigned next_cap, last_cap_link;
	struct pci_bar bars[PCI_BARS];
	struct pci_bar_arg {
		struct pci_dev *d;
		unsigned bar;
	} bar_args[PCI_BARS];
	/* Of a root port only: */
	struct pci_bus *secondary; /* the bus behind it, else NULL */
	unsigned express;	   /* offset of its PCI Express capability */
	struct pci_dev *next_port;
};

struct pci_bus {
	struct host *h;
	struct pci_bus *root; /* bus 0; itself */
	struct pci_dev *port; /* the way to it, NULL: it is bus 0 */
	struct pci_dev *fns[PCI_BUS_SLOTS * PCI_FUNCTIONS];
	/* Of bus 0 only: */
	u64 window, window_end;
	pthread_mutex_t lock; /* address, all configuration spaces */
	u32 address;
	u32 kept;	       /* slots that are for those who ask for them */
	struct pci_dev *ports; /* in the order of their creation */
	unsigned n_ports;
};

/* Creates a function at a place that is free. -ENOMEM. */
int pci_dev_make(struct pci_dev **out, struct pci_bus *bus, unsigned devfn, const struct pci_id *id,
		 const struct pci_ops *ops, void *arg);
/* Returns the first address behind all BARs of @bus and the windows of its ports. */
u64 pci_dev_next_address(const struct pci_bus *bus);
/* Returns where the memory window of a port begins. */
u64 pci_dev_window(const struct pci_dev *port);

/*
 * Appends the PCI Express capability of a function of @type (PCI_EXP_TYPE_*); @port: NULL, if it is
 * none. Returns its offset or -ENOSPC.
 */
int pci_port_add_express(struct pci_dev *d, u8 type, const struct pci_port_config *port);

/* With the bus's lock held: */

/* Returns the port that leads to bus @number, which is not 0; NULL: none does. */
struct pci_dev *pci_port_to(const struct pci_bus *root, unsigned number);
/* Follows a write to the configuration space of a port. Returns as pci_dev_access() does. */
bool pci_port_written(struct pci_dev *port, unsigned offset, unsigned len);

/* Carries out an access to configuration space. True: where BARs are decoded may have changed. */
bool pci_dev_access(struct pci_dev *d, unsigned offset, void *data, unsigned len, bool write);
/* Makes the decoding agree with command registers, BARs and windows. */
void pci_dev_update_bars(struct pci_dev *d);
/*
 * Resets a function by the reset of its bus: @cold, with the BARs that it was created with, else
 * without any. A BAR that is decoded elsewhere is not any more; none is decoded anew.
 */
void pci_dev_reset(struct pci_dev *d, bool cold);

#endif
