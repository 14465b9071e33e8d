/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the VMM puts before the user's initramfs: an uncompressed newc archive with the agent and the
 * shim for the guest's kernel, made in memory. The user's own archive follows unchanged; the kernel
 * takes several in a row, and finds early microcode behind an uncompressed one as well
 * (lib/earlycpio.c walks from header to header).
 */
#ifndef UMBRA_VMM_INJECT_H
#define UMBRA_VMM_INJECT_H

#include "shadow/err.h"
#include "shadow/types.h"

/*
 * Archive for the kernel of @release; @init is the user's own rdinit= or NULL. *out is malloc'ed.
 * -ENOENT: no shim is built for that kernel (the line says how).
 */
int inject_archive(const char *release, const char *init, void **out, size_t *len, struct err *e);
/* What starts the agent: to be appended to the command line. */
const char *inject_cmdline(void);
/*
 * Last value of @key (like "rdinit") in a kernel command line, malloc'ed, or NULL. Quotes and the
 * "--" that ends the kernel's own options are honoured.
 */
char *inject_cmdline_value(const char *cmdline, const char *key);

#endif
