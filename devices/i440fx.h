/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PCI bus whose host bridge is an Intel 440FX with QEMU's subsystem id: the one by which SeaBIOS
 * knows where it runs.
 *
 * Its PAM registers decide on real hardware whether 0xc0000-0xfffff is ROM or RAM. Here it is
 * always RAM, with the firmware's copy in it, so they are kept and have no effect; PAM0 starts as
 * "F segment is RAM", upon which SeaBIOS runs where it is instead of copying itself.
 */
#ifndef UMBRA_DEVICES_I440FX_H
#define UMBRA_DEVICES_I440FX_H

#include "devices/pci.h"

/* As pci_bus_create(). */
int i440fx_create(struct pci_bus **out, struct host *h, u64 window, u64 window_end);

#endif
