/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes up a kernel image of a few pages: an ELF file with two segments (one as the per-CPU
 * segment, whose p_vaddr is 0), a relocation table behind it, and a bzImage around both in any
 * compression.
 */
#ifndef SHADOW_SYNTH_H
#define SHADOW_SYNTH_H

#include <bzlib.h>
#include <elf.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/types.h"

#define SYNTH_TEXT	0xffffffff81000000ull
#define SYNTH_PHYS	0x1000000ull
#define SYNTH_SEG	8192u
#define SYNTH_PERCPU	(SYNTH_PHYS + 0x10000)
#define SYNTH_ELF	(4096u + 2 * SYNTH_SEG)
#define SYNTH_INIT_SIZE 0x200000u
#define SYNTH_BANNER	"Linux version 9.8.7-synth (nobody)"

struct synth {
	u8 *data;
	size_t len;
};

static inline void synth_put32(struct synth *s, u32 v)
{
	s->data = realloc(s->data, s->len + 4);
	memcpy(s->data + s->len, &v, 4);
	s->len += 4;
}

/*
 * Makes the ELF file, without relocations. Byte i of segment 0 is i & 0xff, of segment 1 its
 * complement.
 */
static inline struct synth synth_elf(void)
{
	struct synth s = { calloc(1, SYNTH_ELF), SYNTH_ELF };
	Elf64_Ehdr eh = { .e_type = ET_EXEC,
			  .e_machine = EM_X86_64,
			  .e_version = EV_CURRENT,
			  .e_entry = SYNTH_PHYS,
			  .e_phoff = sizeof(Elf64_Ehdr),
			  .e_ehsize = sizeof(Elf64_Ehdr),
			  .e_phentsize = sizeof(Elf64_Phdr),
			  .e_phnum = 2,
			  .e_shentsize = sizeof(Elf64_Shdr) };
	Elf64_Phdr ph[2] = { { .p_type = PT_LOAD,
			       .p_offset = 4096,
			       .p_vaddr = SYNTH_TEXT,
			       .p_paddr = SYNTH_PHYS,
			       .p_filesz = SYNTH_SEG,
			       .p_memsz = SYNTH_SEG + 4096 },
			     { .p_type = PT_LOAD,
			       .p_offset = 4096 + SYNTH_SEG,
			       .p_paddr = SYNTH_PERCPU,
			       .p_filesz = SYNTH_SEG,
			       .p_memsz = SYNTH_SEG } };

	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(s.data, &eh, sizeof(eh));
	memcpy(s.data + sizeof(eh), ph, sizeof(ph));
	for (u32 i = 0; i < SYNTH_SEG; i++) {
		s.data[4096 + i] = (u8)i;
		s.data[4096 + SYNTH_SEG + i] = (u8)~i;
	}
	memcpy(s.data + 4096 + 512, SYNTH_BANNER, sizeof(SYNTH_BANNER));
	return s;
}

static inline size_t synth_deflate(const struct synth *in, u8 *out, size_t room)
{
	z_stream z = { 0 };

	deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
	z.next_in = in->data;
	z.avail_in = (uInt)in->len;
	z.next_out = out;
	z.avail_out = (uInt)room;
	deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return z.total_out;
}

static inline size_t synth_xz(const struct synth *in, u8 *out, size_t room)
{
	lzma_options_lzma opt = { 0 };
	lzma_filter filters[] = { { LZMA_FILTER_X86, NULL },
				  { LZMA_FILTER_LZMA2, &opt },
				  { LZMA_VLI_UNKNOWN, NULL } };
	size_t n = 0;

	if (lzma_lzma_preset(&opt, 6) ||
	    lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, in->data, in->len, out, &n,
				      room) != LZMA_OK)
		abort();
	return n;
}

static inline size_t synth_lzma(const struct synth *in, u8 *out, size_t room)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma opt = { 0 };

	if (lzma_lzma_preset(&opt, 6) || lzma_alone_encoder(&s, &opt) != LZMA_OK)
		abort();
	s.next_in = in->data;
	s.avail_in = in->len;
	s.next_out = out;
	s.avail_out = room;
	if (lzma_code(&s, LZMA_FINISH) != LZMA_STREAM_END)
		abort();
	room -= s.avail_out;
	lzma_end(&s);
	return room;
}

static inline size_t synth_lz4(const struct synth *in, u8 *out, size_t room)
{
	size_t at = 4, block = (size_t)8 << 20;

	memcpy(out, "\x02\x21\x4c\x18", 4);
	for (size_t from = 0; from < in->len; from += block) {
		size_t len = in->len - from < block ? in->len - from : block;
		int n = LZ4_compress_default((char *)in->data + from, (char *)out + at + 4,
					     (int)len, (int)(room - at - 4));

		memcpy(out + at, &n, 4);
		at += 4 + (size_t)n;
	}
	return at;
}

/* Compress as the kernel's build does; @format as payload.c names them, "LZO" only by its magic. */
static inline struct synth synth_pack(const struct synth *in, const char *format)
{
	size_t room = in->len * 2 + 65536, n = 0;
	struct synth s = { malloc(room), 0 };
	unsigned bz = (unsigned)room;

	if (!strcmp(format, "LZ4")) {
		n = synth_lz4(in, s.data, room);
	} else if (!strcmp(format, "XZ")) {
		n = synth_xz(in, s.data, room);
	} else if (!strcmp(format, "zstd")) {
		n = ZSTD_compress(s.data, room, in->data, in->len, 3);
	} else if (!strcmp(format, "gzip")) {
		n = synth_deflate(in, s.data, room);
	} else if (!strcmp(format, "bzip2")) {
		BZ2_bzBuffToBuffCompress((char *)s.data, &bz, (char *)in->data, (unsigned)in->len,
					 9, 0, 0);
		n = bz;
	} else if (!strcmp(format, "LZMA")) {
		n = synth_lzma(in, s.data, room);
	} else {
		memcpy(s.data, in->data, in->len);
		n = in->len;
		if (!strcmp(format, "LZO"))
			memcpy(s.data, "\x89LZO", 4);
	}
	s.len = n;
	if (strcmp(format, "gzip") != 0 && strcmp(format, "none") != 0)
		synth_put32(&s, (u32)in->len);
	return s;
}

/* Makes a bzImage around @payload. */
static inline struct synth synth_bzimage(const struct synth *payload, u32 init_size)
{
	const size_t setup = 5 * 512, offset = 64;
	struct synth s = { calloc(1, setup + offset + payload->len),
			   setup + offset + payload->len };
	u8 *d = s.data;
	u32 v;

	d[0x1f1] = 4;
	d[0x1fe] = 0x55;
	d[0x1ff] = 0xaa;
	d[0x201] = 0x6a;
	memcpy(d + 0x202, "HdrS\x0f\x02", 6);
	d[0x20e] = 0x00;
	d[0x20f] = 0x01; /* kernel_version at 0x300 */
	memcpy(d + 0x300, "9.8.7-synth (nobody@nowhere) #1", 32);
	d[0x211] = 1;
	v = 0x200000;
	memcpy(d + 0x230, &v, 4);
	d[0x234] = 1;
	d[0x236] = 0x7f;
	v = (u32)offset;
	memcpy(d + 0x248, &v, 4);
	v = (u32)payload->len;
	memcpy(d + 0x24c, &v, 4);
	v = (u32)SYNTH_PHYS;
	memcpy(d + 0x258, &v, 4);
	memcpy(d + 0x260, &init_size, 4);
	memcpy(d + setup + offset, payload->data, payload->len);
	return s;
}

/* Appends the table behind the ELF file: 64-bit, inverse (if @lists is 3) and 32-bit entries. */
static inline void synth_relocs(struct synth *s, unsigned lists)
{
	synth_put32(s, 0);
	synth_put32(s, (u32)(SYNTH_TEXT + 0x100)); /* 64 */
	synth_put32(s, (u32)(SYNTH_TEXT + 0x10000 + 0x20));
	synth_put32(s, 0);
	if (lists == 3) {
		synth_put32(s,
			    (u32)(SYNTH_TEXT + 0x10000 + 0x40)); /* inverse 32, per-CPU segment */
		synth_put32(s, 0);
	}
	synth_put32(s, (u32)(SYNTH_TEXT + 0x200)); /* 32 */
	synth_put32(s, (u32)(SYNTH_TEXT + SYNTH_SEG - 4));
}

/* Makes a bzImage with three relocation lists. */
static inline struct synth synth_full(const char *format)
{
	struct synth elf = synth_elf(), packed, image;

	synth_relocs(&elf, 3);
	packed = synth_pack(&elf, format);
	image = synth_bzimage(&packed, SYNTH_INIT_SIZE);
	free(elf.data);
	free(packed.data);
	return image;
}

#endif
