/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checksum of tables that firmware hands to a kernel: the byte that makes all bytes of a
 * table, itself among them, add up to 0 (ACPI 6.4 §5.2.6, SMBIOS 3.4 §5.2, and option ROMs).
 */
#ifndef UMBRA_VMM_BOOT_CHECKSUM_H
#define UMBRA_VMM_BOOT_CHECKSUM_H

#include <stddef.h>

#include "base/types.h"

/* Returns the checksum of the @len bytes at @p, in which the checksum's own byte is still 0. */
static inline u8 checksum8(const u8 *p, size_t len)
{
	u8 sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (u8)(sum + p[i]);
	return (u8)-sum;
}

#endif
