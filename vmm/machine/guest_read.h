/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the guest kernel's memory by its virtual addresses, from any thread, by the kernel's own
 * page tables (init_top_pgt). The guest may change them meanwhile: the bytes that are read are
 * hostile.
 */
#ifndef UMBRA_VMM_MACHINE_GUEST_READ_H
#define UMBRA_VMM_MACHINE_GUEST_READ_H

#include "base/types.h"

struct machine;

/* Reads guest memory. -EFAULT: not mapped, or not in RAM. */
int guest_read(struct machine *m, u64 va, void *buf, size_t len);
/* Reads a NUL-terminated string of less than @size bytes; -E2BIG: it is longer. */
int guest_read_string(struct machine *m, u64 va, char *buf, size_t size);
/* Gives the guest-physical address of @va; *page_left: bytes to the end of its page. */
int guest_translate(struct machine *m, u64 va, u64 *gpa, u64 *page_left);

#endif
