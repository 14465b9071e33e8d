/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells the firmware about its machine by fw_cfg: memory, CPUs, ACPI and SMBIOS tables, boot order.
 * For firmware.c.
 */
#ifndef UMBRA_VMM_BOOT_FIRMWARE_TABLES_H
#define UMBRA_VMM_BOOT_FIRMWARE_TABLES_H

#include "devices/fw_cfg.h"
#include "devices/pci_dev.h"
#include "vmm/machine/machine.h"

struct spec_smbios;

#define FIRMWARE_MAX_DISKS 16

/*
 * The guest's PCI: how many buses the host bridge has, and where its disks are, in the order to
 * boot from.
 */
struct firmware_pci {
	unsigned buses;
	struct pci_place disks[FIRMWARE_MAX_DISKS];
	size_t n_disks;
};

/* Adds the files of @m to @cfg. @rom, @rom_len: our option ROM, or NULL. -errno. */
int firmware_tables(struct fw_cfg *cfg, const struct machine *m, const struct firmware_pci *pci,
		    const void *rom, u32 rom_len);

/* Adds the SMBIOS tables of @s. -errno. */
int firmware_add_smbios(struct fw_cfg *cfg, const struct spec_smbios *s);

#endif
