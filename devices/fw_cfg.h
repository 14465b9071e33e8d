/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Emulates QEMU's fw_cfg (docs/specs/fw_cfg.rst there): gives numbered items and named files from
 * the VMM to the firmware, which reads them byte by byte at ports 0x510 (selector) and 0x511
 * (data).
 *
 * Its DMA interface is left out on purpose. A firmware that is not offered it reads everything by
 * `rep insb`, which KVM hands over a page at a time, and no address that the guest chose is ever
 * written to. The guest can only read; an unknown item reads as zeroes.
 */
#ifndef UMBRA_DEVICES_FW_CFG_H
#define UMBRA_DEVICES_FW_CFG_H

#include "devices/host.h"

#define FW_CFG_NOGRAPHIC 0x04 /* u16 */
#define FW_CFG_NB_CPUS	 0x05 /* u16 */
#define FW_CFG_BOOT_MENU 0x0e /* u16 */
#define FW_CFG_MAX_CPUS	 0x0f /* u16 */

#define FW_CFG_FILE_NAME 56 /* bytes, with the NUL */

struct fw_cfg;

/* Registers the ports. */
int fw_cfg_create(struct fw_cfg **out, struct host *h);
void fw_cfg_destroy(struct fw_cfg *f); /* NULL allowed */
/* Deselects the item. */
void fw_cfg_reset(struct fw_cfg *f);

/*
 * Adds an item, or a file, before the guest runs. The data is copied. -EEXIST: there is such an
 * item or file; -ENOSPC: no room for another one; -EINVAL: a key of the interface's own, or a name
 * that is empty or too long.
 */
int fw_cfg_add(struct fw_cfg *f, u16 key, const void *data, u32 len);
int fw_cfg_add_u16(struct fw_cfg *f, u16 key, u16 value);
int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, u32 len);

#endif
