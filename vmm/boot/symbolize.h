/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks up symbols of the placed kernel: addresses of names, and names for addresses in reports. */
#ifndef UMBRA_VMM_BOOT_SYMBOLIZE_H
#define UMBRA_VMM_BOOT_SYMBOLIZE_H

#include <stddef.h>

#include "vmm/machine/machine.h"

/*
 * Copies @line, and puts " (symbol+0x12)" behind each "RIP 0x..." of the kernel's text. Loads the
 * kernel's symbols if that was not done; without them the line is copied as it is.
 */
void symbolize_line(struct machine *m, const char *line, char *buf, size_t len);

/*
 * Forgets the placed kernel's image, whose owner closes it now: 50 MB that a running guest has no
 * use for. It is opened anew if a report needs it, and then belongs to the machine's owner:
 * kernel_close(machine_kernel(m)) at the end.
 */
void symbolize_release_kernel(struct machine *m);

/* Returns the guest-physical address of a symbol of the placed kernel, or 0. Loads the symbols. */
u64 symbolize_phys(struct machine *m, const char *name);

#endif
