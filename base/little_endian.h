/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loads and stores little-endian numbers at any address, aligned or not: fields of file formats,
 * tables, registers and instructions. Bytes that the guest changes meanwhile need more than this
 * (devices/virtqueue.c).
 */
#ifndef UMBRA_BASE_LITTLE_ENDIAN_H
#define UMBRA_BASE_LITTLE_ENDIAN_H

#include "base/types.h"

static inline u16 load_u16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static inline void store_u16(u8 *p, u16 v)
{
	p[0] = (u8)v;
	p[1] = (u8)(v >> 8);
}

static inline u32 load_u32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static inline void store_u32(u8 *p, u32 v)
{
	p[0] = (u8)v;
	p[1] = (u8)(v >> 8);
	p[2] = (u8)(v >> 16);
	p[3] = (u8)(v >> 24);
}

static inline u64 load_u64(const u8 *p)
{
	return load_u32(p) | (u64)load_u32(p + 4) << 32;
}

static inline void store_u64(u8 *p, u64 v)
{
	store_u32(p, (u32)v);
	store_u32(p + 4, (u32)(v >> 32));
}

#endif
