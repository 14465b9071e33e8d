/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the modules that a guest's kernel has, once for one check, and tells which of their
 * functions a policy permits. However long the guest's own lists are, reading them ends soon, and a
 * question is answered without them.
 */
#ifndef UMBRA_VMM_SESSION_REAL_MODULES_H
#define UMBRA_VMM_SESSION_REAL_MODULES_H

#include "base/err.h"
#include "base/types.h"

struct policy_session;
struct real_modules;
struct sessions;

/* Reads the list of the guest's modules, up to where it cannot be read any further. -ENOMEM. */
int real_modules_read(struct sessions *s, struct real_modules **out, struct err *e);
void real_modules_free(struct real_modules *r); /* NULL allowed */

/*
 * Returns true if @target is a function that a module exports, by the module's own table, and that
 * @ps permits by name. The tables of a module are read when its text is asked for first; what is
 * beyond REAL_EXPORTS_MAX in all is not permitted. Always to be asked for the same @ps.
 */
#define REAL_EXPORTS_MAX 262144
bool real_modules_permit(struct real_modules *r, const struct policy_session *ps, u64 target);

#endif
