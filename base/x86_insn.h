/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decodes as much of an x86 instruction as Umbra needs: its length, where it branches to, and which
 * memory it refers to; and writes the jump that entries are made of. 64-bit mode only. Pure: reads
 * the bytes that it is given, allocates nothing.
 *
 * Why not a disassembler library: mnemonics and operands of some 2,000 instructions are 1.5 MB that
 * every vmm would carry, and libcapstone 4 takes some AVX-512 forms for other lengths, after which
 * nothing that follows is decoded as the processor does. An instruction's length depends on its
 * prefixes, its map, whether its opcode has a ModRM byte, and the size of its immediate, which is
 * four tables. The test compares all of it with objdump over every module of a kernel.
 */
#ifndef UMBRA_BASE_X86_INSN_H
#define UMBRA_BASE_X86_INSN_H

#include "base/little_endian.h"
#include "base/types.h"

#define X86_INSN_MAX 15
#define X86_JUMP     5 /* bytes of `jmp rel32` */

/* Writes `jmp rel32` for @va to @target; false: it does not reach, and nothing is written. */
static inline bool x86_jump(u8 *to, u64 va, u64 target)
{
	const s64 rel = (s64)(target - (va + X86_JUMP));

	if (rel != (s32)rel)
		return false;
	to[0] = 0xe9;
	store_u32(to + 1, (u32)rel);
	return true;
}

enum x86_kind {
	X86_PLAIN,
	X86_DIRECT,   /* jump or call to the next instruction's address + rel */
	X86_INDIRECT, /* jump or call through a register or memory; no return */
};

enum x86_segment { X86_SEG_FLAT, X86_SEG_FS, X86_SEG_GS };

/* A register by its number (0 RAX, 1 RCX, ... 15 R15), or: */
#define X86_NONE 0xff
#define X86_RIP	 0xfe /* the next instruction's address */

struct x86_insn {
	u8 length;
	u8 kind; /* enum x86_kind */
	s32 rel;
	/*
	 * base + index * scale + disp. A vector index (gather, scatter) is X86_NONE. The
	 * displacement of an EVEX instruction is scaled as for a whole vector, which most stores
	 * are.
	 */
	bool has_mem;
	u8 base, index, scale, segment;
	s32 disp;
	u16 width; /* of the memory operand in bytes; 0: not known */
};

/* Decodes at @p, where @left bytes are. Returns 0, or -EINVAL: no instruction, or cut off. */
int x86_decode(const u8 *p, size_t left, struct x86_insn *in);

#endif
