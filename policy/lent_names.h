/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Strings that the guest's kernel keeps a pointer to (a device's name), in memory that only the host
 * can write. Equal strings of one owner share their bytes, so that a driver which asks for the same
 * helper a million times costs one copy. Not thread-safe.
 */
#ifndef UMBRA_POLICY_LENT_NAMES_H
#define UMBRA_POLICY_LENT_NAMES_H

#include "base/types.h"

struct names;

/* @arena is borrowed; offset 0 is never given out. */
int names_create(struct names **out, char *arena, size_t size);
void names_destroy(struct names *n);
/*
 * Offset (> 0) of a copy of @text that lives until as many names_put(); 0: no room, or @owner has
 * its share (a sixteenth) already.
 */
u32 names_get(struct names *n, unsigned owner, const char *text);
void names_put(struct names *n, unsigned owner, u32 off);
/* Drop all strings of @owner. */
void names_drop(struct names *n, unsigned owner);

#endif
