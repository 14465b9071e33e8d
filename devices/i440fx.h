/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PCI bus whose host bridge is an Intel 440FX with QEMU's subsystem id: the one by which SeaBIOS
 * knows where it runs.
 *
 * Its PAM registers decide on real hardware whether 0xc0000-0xfffff is ROM or RAM. Here it is
 * always RAM, with the end of the firmware's image in it, so they are kept and have no effect. They
 * start as "ROM", upon which SeaBIOS copies the whole of itself there from below 4 GiB: it is larger
 * than the 128 KiB that a PC shows of its ROM below 1 MiB.
 */
#ifndef UMBRA_DEVICES_I440FX_H
#define UMBRA_DEVICES_I440FX_H

#include "devices/pci.h"

/* As pci_bus_create(). */
int i440fx_create(struct pci_bus **out, struct host *h, u64 window, u64 window_end);

#endif
