/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the archive that the VMM puts before the user's initramfs: an uncompressed newc archive
 * with the agent and the shim for the guest's kernel, made in memory. The user's own archive
 * follows unchanged; the kernel takes several in a row, and finds early microcode behind an
 * uncompressed one as well (lib/earlycpio.c walks from header to header).
 */
#ifndef UMBRA_VMM_SESSION_INJECT_H
#define UMBRA_VMM_SESSION_INJECT_H

#include "base/err.h"
#include "base/types.h"

struct closer;
struct inject;

/*
 * Opens the agent and the shims of all kernels: which one is needed is known when the kernel has
 * been parsed, and nothing can be opened any more. inject_archive() misses files that are missing.
 * -ENOMEM, -errno.
 */
int inject_open(struct inject **out, struct err *e);
void inject_close(struct inject *in); /* NULL allowed */
/* Has @c close all files, before inject_close(), which might wait for their storage. */
void inject_release_files(struct inject *in, struct closer *c);
/*
 * Makes the archive for the kernel of @release; @init is the user's own rdinit= or NULL. *out is
 * malloc'ed. -ENOENT: no shim is built for that kernel (the line says how).
 */
int inject_archive(const struct inject *in, const char *release, const char *init, void **out,
		   size_t *len, struct err *e);
/*
 * Returns @cmdline with the agent as the first program. It takes the place of the user's last
 * rdinit=, or stands in front: the kernel forgets the arguments for init that precede an rdinit=
 * (init/main.c rdinit_setup()), so at the end it would take the user's away. malloc'ed; NULL: no
 * memory.
 */
char *inject_cmdline(const char *cmdline);

#endif
