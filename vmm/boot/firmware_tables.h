/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells the firmware about its machine by fw_cfg: memory, CPUs, ACPI and SMBIOS tables, boot order.
 * For firmware.c.
 */
#ifndef UMBRA_VMM_BOOT_FIRMWARE_TABLES_H
#define UMBRA_VMM_BOOT_FIRMWARE_TABLES_H

#include "devices/fw_cfg.h"
#include "vmm/machine/machine.h"

struct spec_smbios;

#define FIRMWARE_MAX_DISKS 16

/*
 * Adds the files of @m to @cfg. @disks, of @n_disks: PCI slots in the order to boot from. @rom,
 * @rom_len: our option ROM, or NULL. -errno.
 */
int firmware_tables(struct fw_cfg *cfg, const struct machine *m, const unsigned *disks,
		    size_t n_disks, const void *rom, u32 rom_len);

/* Adds the SMBIOS tables of @s. -errno. */
int firmware_add_smbios(struct fw_cfg *cfg, const struct spec_smbios *s);

#endif
