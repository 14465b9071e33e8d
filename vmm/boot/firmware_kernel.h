/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hands a bzImage to a firmware guest: reads and checks it at the start, and places it when our
 * option ROM asks for it. Called from vmm/boot/firmware.c only.
 */
#ifndef UMBRA_VMM_BOOT_FIRMWARE_KERNEL_H
#define UMBRA_VMM_BOOT_FIRMWARE_KERNEL_H

#include "base/err.h"
#include "vmm/machine/machine.h"

struct firmware_kernel;

/* @initrd may be NULL. -EINVAL: not a bzImage; -ENOMEM: too large for the guest's memory. */
int firmware_kernel_create(struct firmware_kernel **out, struct machine *m, const char *kernel,
			   const char *initrd, const char *cmdline, struct err *e);
/*
 * For another start: read the files again if they were given back, from the descriptors that were
 * opened at first. No vCPU runs. -errno.
 */
int firmware_kernel_reset(struct firmware_kernel *k, struct err *e);
void firmware_kernel_destroy(struct firmware_kernel *k); /* NULL allowed */

/* The option ROM, with its checksum; owned by @k. */
const void *firmware_kernel_rom(const struct firmware_kernel *k, u32 *len);

#endif
