/* SPDX-License-Identifier: GPL-2.0-only */
/* Parses sizes in bytes as people write them. */
#ifndef UMBRA_VMM_SPEC_SIZE_H
#define UMBRA_VMM_SPEC_SIZE_H

#include "base/types.h"

/*
 * Parses "256M", "1G", "512K", "1048576": bytes, of which K, M and G are 2^10, 2^20 and 2^30, in
 * either case. -EINVAL: no such form; -ERANGE: more than 64 bits hold.
 */
int size_parse(const char *s, u64 *out);

#endif
