/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Strings that the guest's kernel keeps a pointer to (a device's name), in memory that only the host
 * can write. Equal strings of one owner share their bytes, so that a driver which asks for the same
 * helper a million times costs one copy. Not thread-safe.
 */
#ifndef UMBRA_POLICY_LENT_NAMES_H
#define UMBRA_POLICY_LENT_NAMES_H

#include "base/types.h"

struct lent_names;

/* @arena is borrowed; offset 0 is never given out. */
int lent_names_create(struct lent_names **out, char *arena, size_t size);
void lent_names_destroy(struct lent_names *n);
/*
 * Offset (> 0) of a copy of @text that lives until as many lent_names_put(); 0: no room, or @owner has
 * its share (a sixteenth) already.
 */
u32 lent_names_get(struct lent_names *n, unsigned owner, const char *text);
void lent_names_put(struct lent_names *n, unsigned owner, u32 off);
/* Drop all strings of @owner. */
void lent_names_drop(struct lent_names *n, unsigned owner);

#endif
