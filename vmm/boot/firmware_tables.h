/* SPDX-License-Identifier: GPL-2.0-only */
/* What the firmware is told by fw_cfg; for vmm/firmware.c. */
#ifndef UMBRA_VMM_BOOT_FIRMWARE_TABLES_H
#define UMBRA_VMM_BOOT_FIRMWARE_TABLES_H

#include "devices/fw_cfg.h"
#include "vmm/boot/firmware.h"

/* @rom, @rom_len: our option ROM, or NULL. */
int firmware_tables(struct fw_cfg *cfg, const struct machine *m, const struct firmware_config *c,
		    const void *rom, u32 rom_len);

#endif
