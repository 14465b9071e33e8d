// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decodes instructions by tables, in the order of their parts: prefixes, opcode, ModRM, immediate.
 */
#include "base/x86_insn.h"

#include <errno.h>
#include <string.h>

/* Opcode maps (Intel SDM volume 2, appendix A). */
enum opcode_map {
	MAP_1,
	MAP_0F,
	MAP_0F38,
	MAP_0F3A,
	MAP_EVEX5,
	MAP_EVEX6,
	MAP_XOP8,
	MAP_XOP9,
	MAP_XOPA
};
enum encoding { LEGACY, VEX, EVEX, XOP };

/* The bytes that follow an opcode: a letter of the tables below. */
#define BAD	 '-' /* not in 64-bit mode */
#define NOTHING	 '.'
#define MODRM	 'm'
#define MODRM_8	 'b' /* ModRM and an immediate of 1 byte */
#define MODRM_Z	 'z' /* ModRM and 2 or 4, by operand size */
#define IMM_8	 '1'
#define IMM_16	 '2'
#define IMM_Z	 '4'
#define IMM_V	 '8' /* 2, 4 or 8 */
#define ENTER	 '3'
#define OFFSET	 'o' /* an absolute address */
#define GROUP_F6 'g' /* ModRM; an immediate if its reg is 0 or 1 */
#define REL_8	 's'
#define REL_Z	 'r'

static const char map_1[] = "mmmm14--mmmm14--" /* 0f, 26, 2e, ... are read before */
			    "mmmm14--mmmm14--"
			    "mmmm14--mmmm14--"
			    "mmmm14--mmmm14--"
			    "----------------" /* REX */
			    "................"
			    "---m----4z1b...." /* 62: EVEX */
			    "ssssssssssssssss"
			    "bz-bmmmmmmmmmmmm"
			    "..........-....."
			    "oooo....14......"
			    "1111111188888888"
			    "bb2.--bz3.2..1-." /* c4, c5: VEX */
			    "mmmm---.mmmmmmmm"
			    "ssss1111rr-s...."
			    "-.--..gg......mm";

static const char map_0f[] = "mmmm-.....-.-m.b"
			     "mmmmmmmmmmmmmmmm"
			     "mmmm----mmmmmmmm"
			     "......-.--------" /* 38, 3a: maps of their own */
			     "mmmmmmmmmmmmmmmm"
			     "mmmmmmmmmmmmmmmm"
			     "mmmmmmmmmmmmmmmm"
			     "bbbbmmm.mmmmmmmm"
			     "rrrrrrrrrrrrrrrr"
			     "mmmmmmmmmmmmmmmm"
			     "...mbmmm...mbmmm"
			     "mmmmmmmmmmbmmmmm"
			     "mmbmbbbm........"
			     "mmmmmmmmmmmmmmmm"
			     "mmmmmmmmmmmmmmmm"
			     "mmmmmmmmmmmmmmmm";

struct decoder {
	const u8 *p, *end;
	struct x86_insn *in;
	enum encoding encoding;
	enum opcode_map map;
	u8 opcode, modrm;
	u8 rex;		/* WRXB, also those of VEX, EVEX and XOP */
	u8 vector;	/* L: 0, 1, 2 for 16, 32, 64 bytes */
	bool size16;	/* prefix 66 */
	bool address32; /* prefix 67 */
	u8 repeat;	/* prefix f2 or f3, the last one; 0: none */
	bool broadcast; /* EVEX.b */
};

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

static bool take_byte(struct decoder *d, u8 *byte)
{
	if (d->p == d->end)
		return false;
	*byte = *d->p++;
	return true;
}

/* Takes a signed number of @size bytes: 1 or 4. */
static bool take_signed(struct decoder *d, unsigned size, s32 *out)
{
	unsigned i, unused = 32 - 8 * size;
	u32 v = 0;
	u8 b;

	for (i = 0; i < size; i++) {
		if (!take_byte(d, &b))
			return false;
		v |= (u32)b << 8 * i;
	}
	*out = (s32)(v << unused) >> unused;
	return true;
}

static bool skip_bytes(struct decoder *d, unsigned n)
{
	if ((size_t)(d->end - d->p) < n)
		return false;
	d->p += n;
	return true;
}

/* Takes legacy prefixes and REX; *byte is the first that is none of them. */
static bool take_prefixes(struct decoder *d, u8 *byte)
{
	for (;;) {
		if (!take_byte(d, byte))
			return false;
		switch (*byte) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0xf0:
			break;
		case 0x64:
			d->in->segment = X86_SEG_FS;
			break;
		case 0x65:
			d->in->segment = X86_SEG_GS;
			break;
		case 0x66:
			d->size16 = true;
			break;
		case 0x67:
			d->address32 = true;
			break;
		case 0xf2:
		case 0xf3:
			d->repeat = *byte;
			break;
		default:
			if ((*byte & 0xf0) != 0x40)
				return true;
			d->rex = *byte & 0xf;
			continue;
		}
		d->rex = 0; /* REX counts only right before the opcode */
	}
}

/*
 * Takes the field pp of VEX, EVEX and XOP, which stands for a prefix that then cannot be there
 * itself.
 */
static bool take_pp(struct decoder *d, u8 pp)
{
	static const u8 repeat[] = { 0, 0, 0xf3, 0xf2 };

	if (d->size16 || d->repeat || d->rex)
		return false;
	d->size16 = (pp & 3) == 1;
	d->repeat = repeat[pp & 3];
	return true;
}

static bool take_vex2(struct decoder *d)
{
	u8 b;

	if (!take_byte(d, &b) || !take_pp(d, b))
		return false;
	d->encoding = VEX;
	d->map = MAP_0F;
	d->rex = b & 0x80 ? 0 : REX_R;
	d->vector = b >> 2 & 1;
	return take_byte(d, &d->opcode);
}

/* Takes VEX of three bytes, or XOP, which is the same with other maps. */
static bool take_vex3(struct decoder *d, bool xop)
{
	static const enum opcode_map maps[] = { MAP_0F, MAP_0F38, MAP_0F3A },
				     xop_maps[] = { MAP_XOP8, MAP_XOP9, MAP_XOPA };
	u8 b, c, map;

	if (!take_byte(d, &b) || !take_byte(d, &c) || !take_pp(d, c))
		return false;
	map = (u8)((b & 0x1f) - (xop ? 8 : 1));
	if (map >= ARRAY_SIZE(maps))
		return false;
	d->encoding = xop ? XOP : VEX;
	d->map = xop ? xop_maps[map] : maps[map];
	d->rex = (u8)((~b >> 5 & 7) | (c >> 4 & REX_W));
	d->vector = c >> 2 & 1;
	return take_byte(d, &d->opcode);
}

static bool take_evex(struct decoder *d)
{
	u8 b, c, l;

	if (!take_byte(d, &b) || !take_byte(d, &c) || !take_byte(d, &l) || !take_pp(d, c) ||
	    !(c & 4) || b & 8)
		return false;
	switch (b & 7) {
	case 1:
		d->map = MAP_0F;
		break;
	case 2:
		d->map = MAP_0F38;
		break;
	case 3:
		d->map = MAP_0F3A;
		break;
	case 5:
		d->map = MAP_EVEX5;
		break;
	case 6:
		d->map = MAP_EVEX6;
		break;
	default:
		return false;
	}
	d->encoding = EVEX;
	d->rex = (u8)((~b >> 5 & 7) | (c >> 4 & REX_W));
	d->vector = l >> 5 & 3;
	d->broadcast = l & 0x10;
	return take_byte(d, &d->opcode);
}

static bool take_0f(struct decoder *d)
{
	u8 b;

	if (!take_byte(d, &b))
		return false;
	d->map = b == 0x38 ? MAP_0F38 : b == 0x3a ? MAP_0F3A : MAP_0F;
	d->opcode = b;
	return d->map == MAP_0F || take_byte(d, &d->opcode);
}

static bool take_opcode(struct decoder *d)
{
	u8 b;

	if (!take_prefixes(d, &b))
		return false;
	switch (b) {
	case 0x0f:
		return take_0f(d);
	case 0x62:
		return take_evex(d);
	case 0xc4:
		return take_vex3(d, false);
	case 0xc5:
		return take_vex2(d);
	case 0x8f:
		/* POP, whose ModRM has 0 where XOP has its map, from 8 on */
		if (d->p < d->end && (*d->p & 0x1f) >= 8)
			return take_vex3(d, true);
		break;
	default:
		break;
	}
	d->map = MAP_1;
	d->opcode = b;
	return true;
}

/* Returns the letter for the bytes that follow the opcode, BAD if it is none. */
static char opcode_form(const struct decoder *d)
{
	switch (d->map) {
	case MAP_1:
		return map_1[d->opcode];
	case MAP_0F:
		/* EXTRQ and INSERTQ of SSE4a, with two immediates, are in no kernel */
		if (d->opcode == 0x78 && d->encoding == LEGACY && (d->size16 || d->repeat))
			return BAD;
		/* an opcode without ModRM has no vector form, VZEROUPPER excepted */
		if (d->encoding != LEGACY && d->opcode != 0x77 &&
		    (map_0f[d->opcode] == REL_Z || map_0f[d->opcode] == NOTHING))
			return BAD;
		return map_0f[d->opcode];
	case MAP_0F3A:
	case MAP_XOP8:
		return MODRM_8;
	case MAP_XOPA:
		return MODRM_Z;
	case MAP_0F38:
	case MAP_EVEX5:
	case MAP_EVEX6:
	case MAP_XOP9:
	default:
		return MODRM;
	}
}

static bool take_sib(struct decoder *d)
{
	struct x86_insn *in = d->in;
	u8 sib;

	if (!take_byte(d, &sib))
		return false;
	in->base = (u8)((sib & 7) | (d->rex & REX_B ? 8 : 0));
	in->index = (u8)((sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0));
	in->scale = (u8)(1U << (sib >> 6));
	if (in->index == 4)
		in->index = X86_NONE;
	if ((sib & 7) == 5 && !(d->modrm >> 6)) {
		in->base = X86_NONE;
		return take_signed(d, 4, &in->disp);
	}
	return true;
}

static bool take_modrm(struct decoder *d)
{
	struct x86_insn *in = d->in;
	unsigned mod;

	if (!take_byte(d, &d->modrm))
		return false;
	mod = d->modrm >> 6;
	/* moves to and from control and debug registers ignore mod */
	if (mod == 3 || (d->map == MAP_0F && d->encoding == LEGACY && d->opcode >> 2 == 0x20 >> 2))
		return true;
	in->has_mem = true;
	in->base = (u8)((d->modrm & 7) | (d->rex & REX_B ? 8 : 0));
	if ((d->modrm & 7) == 4) {
		if (!take_sib(d))
			return false;
	} else if (!mod && (d->modrm & 7) == 5) {
		in->base = X86_RIP;
		return take_signed(d, 4, &in->disp);
	}
	if (mod == 2)
		return take_signed(d, 4, &in->disp);
	if (mod != 1)
		return true;
	if (!take_signed(d, 1, &in->disp))
		return false;
	if (d->encoding == EVEX && !d->broadcast && d->vector < 3)
		in->disp *= 16 << d->vector;
	return true;
}

/*
 * Returns the size in bytes of the immediate that @form says, once ModRM is known; not for
 * branches.
 */
static unsigned immediate_size(const struct decoder *d, char form)
{
	unsigned z = d->size16 && !(d->rex & REX_W) ? 2 : 4;

	switch (form) {
	case MODRM_8:
	case IMM_8:
		return 1;
	case IMM_16:
		return 2;
	case ENTER:
		return 3;
	case MODRM_Z:
		return d->map == MAP_XOPA ? 4 : z;
	case IMM_Z:
		return z;
	case IMM_V:
		return d->rex & REX_W ? 8 : z;
	case OFFSET:
		return d->address32 ? 4 : 8;
	case GROUP_F6:
		return d->modrm & 0x30 ? 0 : d->opcode & 1 ? z : 1;
	default:
		return 0;
	}
}

/*
 * Takes a branch. With the prefix 66, AMD takes 16 bits and Intel ignores it, so the target is
 * unknown.
 */
static bool take_branch(struct decoder *d, unsigned size)
{
	if (d->size16 && !(d->rex & REX_W))
		return false;
	d->in->kind = X86_DIRECT;
	return take_signed(d, size, &d->in->rel);
}

/* Stores of SSE and AVX in map 0f, by opcode; the prefix decides between scalar and vector. */
static unsigned vector_width(const struct decoder *d)
{
	unsigned whole = d->vector < 3 ? 16U << d->vector : 0;

	switch (d->opcode) {
	case 0x11:
		return d->repeat == 0xf3 ? 4 : d->repeat == 0xf2 ? 8 : whole;
	case 0x13:
	case 0x17:
	case 0xd6:
		return 8;
	case 0x7f:
	case 0xe7:
		return d->size16 || d->repeat || d->encoding != LEGACY ? whole : 8;
	case 0x7e:
		return d->repeat || d->rex & REX_W ? 8 : 4;
	case 0xae:
		return d->modrm >> 3 & 7 ? 0 : 512; /* FXSAVE */
	case 0xc7:
		return d->rex & REX_W ? 16 : 8; /* CMPXCHG8B, CMPXCHG16B */
	case 0x29:
	case 0x2b:
		return whole;
	default:
		return 0;
	}
}

static unsigned memory_width(const struct decoder *d)
{
	unsigned operand = d->rex & REX_W ? 8 : d->size16 ? 2 : 4;
	unsigned width = 0;

	switch (d->map) {
	case MAP_1:
		if (d->opcode >= 0xd8 && d->opcode <= 0xdf)
			return 0; /* x87 */
		if (d->opcode == 0x8f || d->opcode == 0xff)
			return d->size16 ? 2 : 8; /* mostly of the stack's width */
		return d->opcode & 1 || d->opcode == 0x8c ? operand : 1;
	case MAP_0F:
		width = vector_width(d);
		if (!width && d->encoding == LEGACY && d->opcode >= 0x90 && d->opcode != 0xae)
			width = d->opcode <= 0x9f || d->opcode == 0xb0 || d->opcode == 0xc0
					? 1 /* SETcc, CMPXCHG, XADD */
				: d->opcode < 0xd0 ? operand
						   : 0;
		return width;
	default:
		return d->encoding == LEGACY || d->vector == 3 ? 0 : 16U << d->vector;
	}
}

/* Takes FF: /2 to /5 are branches through a register or memory, /7 is nothing. */
static bool take_group_branch(struct decoder *d)
{
	unsigned reg = d->modrm >> 3 & 7;

	if (d->map != MAP_1)
		return true;
	if (d->opcode == 0xff && reg >= 2 && reg <= 5)
		d->in->kind = X86_INDIRECT;
	return d->opcode != 0xff || reg != 7;
}

int x86_decode(const u8 *p, size_t left, struct x86_insn *in)
{
	struct decoder d = { .p = p,
			     .end = p + (left < X86_INSN_MAX ? left : X86_INSN_MAX),
			     .in = in };
	unsigned size;
	char form;

	*in = (struct x86_insn){ .base = X86_NONE, .index = X86_NONE, .scale = 1 };
	if (!take_opcode(&d))
		return -EINVAL;
	form = opcode_form(&d);
	if (form == BAD)
		return -EINVAL;
	if (strchr("mbzg", form) && (!take_modrm(&d) || !take_group_branch(&d)))
		return -EINVAL;
	/* XBEGIN (c7 f8) goes on at its displacement when the transaction is aborted */
	if (d.map == MAP_1 && d.opcode == 0xc7 && d.modrm == 0xf8)
		form = REL_Z;
	size = immediate_size(&d, form);
	if (form == REL_8 || form == REL_Z ? !take_branch(&d, form == REL_8 ? 1 : 4)
					   : !skip_bytes(&d, size))
		return -EINVAL;
	if (in->has_mem)
		in->width = (u16)memory_width(&d);
	in->length = (u8)(d.p - p);
	return 0;
}
