/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes the SMBIOS tables (DMTF DSP0134, 3.0), by which a guest learns what machine it is: BIOS
 * (type 0), system with the guest's UUID (1), board (2), chassis (3), and the end (127). Without
 * --smbios the machine calls itself Umbra.
 *
 * A directly booted Linux looks for them in the BIOS area (drivers/firmware/dmi_scan.c), first for
 * the 64-bit entry point. A firmware gets table and 32-bit entry point apart, and puts them where
 * it likes; the BIOS of type 0 is its own then, unless the guest's spec says something of it.
 */
#ifndef UMBRA_VMM_BOOT_SMBIOS_H
#define UMBRA_VMM_BOOT_SMBIOS_H

#include <stddef.h>

#include "vmm/spec/spec.h"

#define SMBIOS_ANCHOR	 31U	 /* bytes of the 32-bit entry point */
#define SMBIOS_TABLE_MAX 0x2000U /* more than all texts of a spec need */

/*
 * Writes both entry points and the table to @mem, which is @len bytes at guest-physical @gpa, a
 * multiple of 16 in the BIOS area. -ENOSPC.
 */
int smbios_write(void *mem, size_t len, u64 gpa, const struct spec_smbios *s);

/*
 * Writes for a firmware the table, of which it returns the length, and the entry point, with a
 * table at address 0.
 */
size_t smbios_write_apart(u8 table[SMBIOS_TABLE_MAX], u8 anchor[SMBIOS_ANCHOR],
			  const struct spec_smbios *s);

#endif
