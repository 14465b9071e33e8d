/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Proof on the living object: every direct branch of a driver that is loaded in a guest, decoded
 * from guest memory, and where it leads. Nothing that the shim or the driver says is used: the
 * module is found in the guest kernel's own list, its pages by the guest's own page tables, its
 * structure offsets by the kernel's BTF.
 */
#ifndef UMBRA_VMM_SESSION_VERIFY_H
#define UMBRA_VMM_SESSION_VERIFY_H

#include <jansson.h>

#include "vmm/session/driver.h"

/*
 * *report: { driver, module, base, text, branches: {local, shadow, gate, session, patched,
 * permitted, indirect}, violations: [{at, target, symbol}], undecoded }. On the loop's thread.
 * -ENOENT: not in the guest.
 */
int verify_driver(struct sessions *s, const struct driver *d, json_t **report, struct err *e);

#endif
