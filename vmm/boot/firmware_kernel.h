/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hands a bzImage to a firmware guest: opens it when the guest is assembled, reads and checks it at
 * each start, and places it when our option ROM asks for it. Called from vmm/boot/firmware.c only.
 */
#ifndef UMBRA_VMM_BOOT_FIRMWARE_KERNEL_H
#define UMBRA_VMM_BOOT_FIRMWARE_KERNEL_H

#include "base/err.h"
#include "vmm/machine/machine.h"

struct closer;
struct firmware_kernel;
struct held_read;

/* Opens the files; @initrd may be NULL. firmware_kernel_read() is to follow before the start. */
int firmware_kernel_create(struct firmware_kernel **out, struct machine *m, const char *kernel,
			   const char *initrd, const char *cmdline, struct err *e);
/*
 * Reads the files, as they are now, for the firmware_kernel_read() that follows; from run() of @r,
 * which gets their names. No vCPU runs. What fails is read there anew.
 */
void firmware_kernel_fetch(struct firmware_kernel *k, struct held_read *r);
/*
 * Reads the files, as they are now, unless they have been fetched, and checks them; for each start.
 * No vCPU runs. -EINVAL: not a bzImage; -ENOMEM: too large for the guest's memory; -errno.
 */
int firmware_kernel_read(struct firmware_kernel *k, struct err *e);
/* Has @c close the files, before the end, at which nobody may wait for their storage. */
void firmware_kernel_release_files(struct firmware_kernel *k, struct closer *c);
void firmware_kernel_destroy(struct firmware_kernel *k); /* NULL allowed */

/* Returns the option ROM, with its checksum; owned by @k. */
const void *firmware_kernel_rom(const struct firmware_kernel *k, u32 *len);

#endif
