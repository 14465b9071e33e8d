/* SPDX-License-Identifier: GPL-2.0-only */
/* Has a driver's private copy written, as the guest's loader gets it. Private to vmm/session/. */
#ifndef UMBRA_VMM_SESSION_DRIVER_COPY_H
#define UMBRA_VMM_SESSION_DRIVER_COPY_H

#include "shadow/link/link.h"

struct driver;
struct kernel;

/*
 * Writes the copy of @d by its plan, for a guest that runs kernel @k moved by @kaslr: calls of its
 * imports lead to its entries, or its session's with the layout "same", and addresses of functions
 * that drivers of the session hand out are those of their inward entries. The range of its entries
 * is reserved. The caller frees @out's data. -errno and a line.
 */
int driver_copy_write(struct driver *d, u64 kaslr, const struct kernel *k, struct link_image *out,
		      struct err *e);

#endif
