/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes the ACPI tables: RSDP, XSDT, FADT, MADT, MCFG, DSDT. Linux warns of a PCI bus without an
 * MCFG, and with one still uses the ports for the 256 bytes that are all our devices have, so it
 * costs no exit. No _PRT: every interrupt is a message. A directly booted guest is a
 * hardware-reduced platform; a firmware guest is a PC with PIC, timer, PM1 registers
 * (devices/ports.h says why) and the FACS that belongs to them.
 */
#ifndef UMBRA_VMM_BOOT_ACPI_H
#define UMBRA_VMM_BOOT_ACPI_H

#include <stddef.h>

#include "base/types.h"

/*
 * Writes the tables to @mem, which is @len bytes at guest-physical @gpa. The RSDP comes first, at
 * @gpa. @pci_buses: of the host bridge, whose windows LAYOUT_PCI_WINDOW() has. -ENOSPC if they do
 * not fit.
 */
int acpi_write(void *mem, size_t len, u64 gpa, unsigned cpus, unsigned pci_buses);

/* The changes that a firmware makes when it has chosen an address for the tables. */
struct acpi_fixups {
	struct {
		u32 at; /* add the address to the little-endian number here */
		u8 len;
	} pointers[8];
	unsigned n_pointers;
	struct {
		u32 at, start, len; /* make the sum of the bytes 0 by the byte at @at */
	} sums[4];
	unsigned n_sums;
	u32 used; /* bytes of all tables */
};

#define ACPI_PC_ALIGN 64 /* that the address must have */

/* Writes the tables of a PC, as if at address 0, and to *fix how to move them. */
int acpi_write_pc(void *mem, size_t len, unsigned cpus, unsigned pci_buses,
		  struct acpi_fixups *fix);

#endif
