/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lends strings to the guest's kernel, which keeps a pointer to them (a device's name), in memory
 * that only the host can write. Equal strings of one owner share their bytes, so that a driver
 * which asks for the same helper a million times costs one copy. Not thread-safe.
 */
#ifndef UMBRA_POLICY_LENT_NAMES_H
#define UMBRA_POLICY_LENT_NAMES_H

#include "base/types.h"

#define LENT_NAMES_OWN 4

struct lent_names;

/*
 * Makes the table for owners 0 to @owners - 1. @arena is borrowed; offset 0 is never given out. Of
 * the arena each owner has LENT_NAMES_OWN names of up to 63 bytes for itself, whatever the others
 * do. -ENOMEM.
 */
int lent_names_create(struct lent_names **out, unsigned owners, char *arena, size_t size);
void lent_names_destroy(struct lent_names *n);
/*
 * Lends a copy of @text at the offset *off (> 0); it lives until as many calls of lent_names_put().
 * -ENOSPC: no room, or @owner has its share already (a sixteenth, or half of the common part that
 * is free for it); -ENOMEM.
 */
int lent_names_get(struct lent_names *n, unsigned owner, const char *text, u32 *off);
/* Gives back the copy at @off; 0 is allowed. */
void lent_names_put(struct lent_names *n, u32 off);
/*
 * Makes the copy at @off, 0 is allowed, count against @heir. False: @heir has its share already, so
 * the copy stays its owner's.
 */
bool lent_names_give(struct lent_names *n, u32 off, unsigned heir);

#endif
