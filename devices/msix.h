/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Implements MSI-X (PCI 3.0, 6.8.2): the vector table and the pending bits of one function.
 *
 * Addresses and data come from the guest and go to the host unchanged: KVM ignores those that are
 * no interrupt message. A host vector is allocated when the guest unmasks an entry for the first
 * time. Functions may be called from any thread.
 */
#ifndef UMBRA_DEVICES_MSIX_H
#define UMBRA_DEVICES_MSIX_H

#include "devices/host.h"

#define MSIX_MAX_VECTORS 17
#define MSIX_NO_VECTOR	 0xffff
#define MSIX_ENTRY_SIZE	 16
#define MSIX_CTRL_ENABLE 0x8000
#define MSIX_CTRL_MASK	 0x4000 /* all vectors of the function */

struct msix;

/* Makes a table of @vectors vectors: 1 to MSIX_MAX_VECTORS, else -EINVAL. -ENOMEM. */
int msix_create(struct msix **out, struct host *h, unsigned vectors);
void msix_destroy(struct msix *x); /* NULL allowed */
/* Masks all vectors and frees those of the host. The device raises none any more. */
void msix_reset(struct msix *x);
unsigned msix_vectors(const struct msix *x);

/* Carries out an access to the table, or the pending bits, of 4 or 8 bytes; others do nothing. */
void msix_table_io(struct msix *x, u64 offset, void *data, unsigned len, bool write);
void msix_pba_io(struct msix *x, u64 offset, void *data, unsigned len, bool write);
/* Takes over @control, which the guest wrote to the message control register of the capability. */
void msix_control(struct msix *x, u16 control);
bool msix_enabled(struct msix *x);

/*
 * Has signals of the eventfd @fd raise @vector, without a system call of this process: KVM listens
 * to @fd while the vector is not masked; a signal that comes while it is waits in @fd.
 * MSIX_NO_VECTOR ends it, which has to precede the closing of @fd. At most MSIX_MAX_VECTORS at a
 * time (-ENOSPC).
 */
int msix_attach(struct msix *x, u16 vector, int fd);

/*
 * Raises @vector now, or once it is unmasked. Does nothing if it is out of range or MSI-X disabled.
 */
void msix_notify(struct msix *x, u16 vector);

#endif
