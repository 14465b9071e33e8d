/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines integer types and three macros, spelled as in the kernel. Every room includes this header
 * and it includes nothing of ours.
 */
#ifndef UMBRA_BASE_TYPES_H
#define UMBRA_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define __printf(f, v) __attribute__((format(printf, f, v)))
/* a must be a power of two */
#define ALIGN_UP(x, a) (((x) + ((a)-1)) & ~((a)-1))

#endif
