/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates a PCI bus whose host bridge is an Intel 440FX with QEMU's subsystem id, by which SeaBIOS
 * knows that it runs on a virtual machine.
 *
 * On real hardware its PAM registers select ROM or RAM at 0xc0000-0xfffff. Here this range is
 * always RAM, with the end of the firmware's image in it, so the registers are kept and have no
 * effect. They start as "ROM", upon which SeaBIOS copies all of itself there from below 4 GiB: it
 * is larger than the 128 KiB that a PC shows of its ROM below 1 MiB.
 */
#ifndef UMBRA_DEVICES_I440FX_H
#define UMBRA_DEVICES_I440FX_H

#include "devices/pci.h"

/* Makes a bus as pci_bus_create() does, with the host bridge of an i440FX. */
int i440fx_create(struct pci_bus **out, struct host *h, u64 window, u64 window_end);

#endif
