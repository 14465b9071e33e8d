/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines what the x86 boot protocol (Documentation/x86/boot.rst) says of a bzImage's header, where
 * asm/bootparam.h has the struct only.
 */
#ifndef UMBRA_VMM_BOOT_SETUP_HEADER_H
#define UMBRA_VMM_BOOT_SETUP_HEADER_H

#include <asm/bootparam.h>

#include "base/types.h"

#define SETUP_HEADER_AT		0x1f1 /* in the file, and in struct boot_params */
#define SETUP_HEADER_BOOT_FLAG	0xaa55
#define SETUP_HEADER_MAGIC	0x53726448 /* "HdrS" */
#define SETUP_HEADER_ANY_LOADER 0xff	   /* type_of_loader, for one without a number */

/* Returns the bytes of boot sector and setup together, before the protected-mode part. */
static inline size_t setup_header_length(const struct setup_header *h)
{
	return ((h->setup_sects ? h->setup_sects : 4U) + 1) * 512U;
}

#endif
