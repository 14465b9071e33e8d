/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names flags that are macros in the kernel, so that BTF does not know them; private to the room.
 * They are those of Linux 6.1: of another kernel none is named but those that programs share with
 * it (open flags, file modes).
 */
#ifndef UMBRA_SHADOW_KERNEL_FLAG_NAMES_H
#define UMBRA_SHADOW_KERNEL_FLAG_NAMES_H

#include <stddef.h>

#include "base/types.h"

struct flag_set;

/* Returns the flags that a typedef stands for ("gfp_t"), or argument @arg of @function; NULL. */
const struct flag_set *flags_of_type(const char *name, const char *release);
const struct flag_set *flags_of_argument(const char *function, unsigned arg, const char *release);
/* Writes "GFP_KERNEL|__GFP_ZERO", what has no name as a number; at most @size bytes. */
void flags_text(const struct flag_set *set, u64 value, char *buf, size_t size);

#endif
