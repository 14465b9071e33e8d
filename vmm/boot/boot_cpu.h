/* SPDX-License-Identifier: GPL-2.0-only */
/* Gives vCPU 0 the state that the 64-bit boot protocol wants. */
#ifndef UMBRA_VMM_BOOT_BOOT_CPU_H
#define UMBRA_VMM_BOOT_BOOT_CPU_H

#include "vmm/machine/machine.h"

/*
 * Sets vCPU 0 up for the kernel's entry: long mode, paging on with [0, 4 GiB) identity-mapped by 2
 * MiB pages, flat segments (CS 0x10, data 0x18), interrupts off, RIP @entry, RSI @zero_page. Page
 * tables and GDT go to low guest RAM (layout.h). The other vCPUs wait for their start-up message.
 */
int boot_cpu_enter(struct machine *m, u64 entry, u64 zero_page, struct err *e);

#endif
