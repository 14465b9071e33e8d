/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ACPI tables of a hardware-reduced platform: RSDP, XSDT, FADT, MADT, DSDT. No FACS, MCFG or
 * _PRT: nothing that boots here misses them.
 */
#ifndef UMBRA_VMM_ACPI_H
#define UMBRA_VMM_ACPI_H

#include <stddef.h>

#include "shadow/types.h"

/*
 * Write them to @mem, which is @len bytes at guest-physical @gpa. The RSDP comes first, at @gpa.
 * -ENOSPC if they do not fit.
 */
int acpi_write(void *mem, size_t len, u64 gpa, unsigned cpus);

#endif
