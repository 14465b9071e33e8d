/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verifies a loaded driver on the living object: decodes every direct branch of it from guest
 * memory, and finds out where it leads. Nothing that the shim or the driver says is used: the
 * module is found in the guest kernel's own list, its pages by the guest's own page tables, its
 * structure offsets by the kernel's BTF.
 */
#ifndef UMBRA_VMM_SESSION_VERIFY_H
#define UMBRA_VMM_SESSION_VERIFY_H

#include <jansson.h>

#include "vmm/session/driver.h"

/*
 * Checks a driver; *report: { driver, module, base, text, branches: {local, shadow, gate, session,
 * patched, permitted, indirect}, violations: [{at, target, symbol}], undecoded }. On the loop's
 * thread. -ENOENT: not in the guest.
 */
int verify_driver(struct sessions *s, const struct driver *d, json_t **report, struct err *e);

#endif
