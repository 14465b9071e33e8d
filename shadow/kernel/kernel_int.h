/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of struct kernel among the files of shadow/kernel; everybody else uses
 * kernel.h.
 *
 * From the ground up, each file uses those before it: payload.c, vmlinux.c (ELF, segments,
 * sections), relocs.c, name_index.c, kallsyms.c, btf_types.c, btf.c, btf_print.c, ksymtab.c;
 * prepared_read.c, prepared_symbols.c, prepared.c; kernel.c (answers about an open kernel, and
 * placing it); bzimage.c; kernel_open.c; kernel_symbols.c, prepared_symbols_write.c,
 * prepared_write.c.
 */
#ifndef UMBRA_SHADOW_KERNEL_KERNEL_INT_H
#define UMBRA_SHADOW_KERNEL_KERNEL_INT_H

#include "base/little_endian.h"
#include "base/strmap.h"
#include "shadow/kernel/kernel.h"

#define KERNEL_MAP	  0xffffffff80000000ull /* __START_KERNEL_map */
#define KERNEL_IMAGE_SIZE ((u64)1 << 30)	/* of a kernel with KASLR */
#define KERNEL_SEGMENTS	  16
#define KERNEL_RELOCS	  3

struct prepared;

/* A PT_LOAD; the bytes lie within the image, memory within the layout's span. */
struct segment {
	u64 offset, filesz;
	u64 paddr, memsz;
};

/* A section of the image with its bytes; data is NULL if there is none or it holds none. */
struct section {
	const u8 *data;
	u64 addr;
	u64 size;
};

enum reloc_list {
	RELOC_32,
	RELOC_INVERSE_32,
	RELOC_64,
};

/* The sections that the tables come from. */
struct sections {
	struct section text, rodata, percpu, strings, btf;
	struct section ksymtab[2], kcrctab[2]; /* plain, _gpl */
};

/* A table whose entries have names. */
struct name_table {
	const char *(*name)(const void *of, u32 i); /* "" if it has none */
	const void *of;
};

/* What finds an entry by its name: one of both is there. */
struct name_index {
	struct strmap map;
	const u32 *order; /* the entries, ordered by name and then by number */
	u32 n;
};

struct kallsyms {
	u64 *addrs; /* ascending; per-CPU symbols have their offset, so they come first */
	u32 *names; /* offsets into text */
	char *text;
	size_t text_len, count;
	struct name_index index;
	bool borrowed; /* the three lie in a prepared kernel's file */
};

struct exports {
	struct kernel_export *list; /* plain, then _gpl, each in the order of the table */
	size_t count;
	u32 *by_addr; /* indexes of the SYMBOL_FUNCTION ones, by address then by name */
	size_t n_functions;
	struct strmap map;
};

/* The types of a BTF section, which stays where it is. */
struct btf_types {
	const u8 *types;
	const char *strings;
	const u32 *offsets; /* of each id, in types; number 0 is void */
	u32 types_len, strings_len, count;
	u8 *own_data; /* a copy of a section that was not aligned */
	u32 *own_offsets;
};

struct types {
	struct btf_types btf;
	struct name_index functions, structs; /* ids of types */
};

struct kernel {
	int source; /* descriptor of kernel_set_source(), or -1 */
	char *path;
	u8 *file;
	size_t file_len;
	bool bzimage, opaque;
	const u8 *image; /* ELF, with the relocation table behind it; NULL if opaque */
	size_t image_len;
	u8 *unpacked;		   /* image, if it is not the file itself */
	struct prepared *prepared; /* opened from a cache: then file is short, image perhaps NULL */
	char release[65];
	struct kernel_layout layout;
	struct segment segments[KERNEL_SEGMENTS];
	unsigned n_segments;
	const u8 *relocs[KERNEL_RELOCS]; /* little-endian s32 each */
	size_t n_relocs[KERNEL_RELOCS];
	bool loaded;   /* the members below are filled in */
	void *symbols; /* a mapping of those that a prepared kernel has in its file, or NULL */
	size_t symbols_len;
	bool symbols_damaged;
	struct sections sec;
	u64 text_start, text_end;
	char vermagic[256];
	struct exports exports;
	struct kallsyms syms;
	struct types types;
};

/* vmlinux.c: fills segments and layout from k->image; *end is where the ELF file ends in it. */
int vmlinux_parse(struct kernel *k, size_t *end, struct err *e);
int vmlinux_sections(const struct kernel *k, struct sections *s, struct err *e);
/* Finds "Linux version " in the image: an ELF file has no other place for its release. */
void vmlinux_release(struct kernel *k);

/* bzimage.c: the bytes of struct setup_header that are looked at are in front of this. */
#define BZIMAGE_HEADER 0x264
/*
 * Checks the header of k->file and decompresses the payload to k->image. A payload that only its
 * own decompressor can read sets k->opaque if @allow_opaque, else it is -EOPNOTSUPP. -EINVAL:
 * damaged, cut, or not for us.
 */
int bzimage_open(struct kernel *k, bool allow_opaque, struct err *e);
/* Returns true if the header says that the kernel may be loaded elsewhere. */
bool bzimage_relocatable(const struct kernel *k);

/* kernel.c: frees the tables that kernel_load_symbols() made. */
void kernel_forget_symbols(struct kernel *k);

/* relocs.c: finds the lists behind the ELF file; sets layout.relocatable or the reason why not. */
void relocs_parse(struct kernel *k, size_t elf_end);
void relocs_apply(const struct kernel *k, u8 *dst, u64 kaslr);
/* Returns true if every entry lies within a segment. */
bool relocs_fit(const struct kernel *k);

/*
 * prepared.c: takes over the prepared file @fd, which prepared_open() describes; after an error
 * kernel_close() frees everything.
 */
int prepared_load(struct kernel *k, int fd, unsigned uid, const u8 *key, struct err *e);

/*
 * prepared.c, prepared_read.c: prepared_read() reads the image as it lies in memory into @dst,
 * which is zeroed, or into k->image; prepared_sections() finds the sections in k->image. @in_two:
 * by two threads. -EBADMSG: the file is damaged.
 */
int prepared_read(const struct kernel *k, u8 *dst, bool in_two, struct err *e);
int prepared_unpack(struct kernel *k, struct err *e);
/*
 * prepared_symbols.c: takes the symbols from the file, which stays mapped. -ENOENT: it has none;
 * -EBADMSG: it is damaged.
 */
int prepared_symbols_load(struct kernel *k, struct err *e);
/* Frees the tables of symbols and types, wherever they came from. */
void prepared_symbols_free(struct kernel *k);
void prepared_sections(const struct kernel *k, struct sections *s);
void prepared_free(struct kernel *k);

/*
 * kallsyms.c: decodes the table. @text: the address that _text must turn out to have, which proves
 * the decoding right.
 */
int kallsyms_load(struct kallsyms *s, const struct section *rodata, u64 text, const char *path,
		  struct err *e);
void kallsyms_free(struct kallsyms *s);

/* name_index.c */

/* Finds @name in the table @t that @x was made for; returns false if it is not there. */
bool name_index_find(const struct name_index *x, const struct name_table *t, const char *name,
		     u32 *value);
void name_index_free(struct name_index *x);
/* Orders entries of @t by name, for name_index.order. */
void name_index_sort(u32 *order, u32 n, const struct name_table *t);

/* kallsyms.c: the table that its index is of. */
struct name_table kallsyms_table(const struct kallsyms *s);

/* btf_types.c */

/*
 * Opens a section of @len bytes at @data, which must stay there. @offsets: where each of @count
 * types lies, as an earlier call has found it; NULL: that is found by a walk. -EINVAL: damaged;
 * -ENOMEM.
 */
int btf_types_open(struct btf_types *b, const u8 *data, u64 len, const u32 *offsets, u32 count);
void btf_types_close(struct btf_types *b);
struct btf_type;
/* Returns type @id, whole; of 0 one of no kind, which is void. NULL: there is none. */
const struct btf_type *btf_type_at(const struct btf_types *b, u32 id);
/* Returns the string at @off of the section's strings, "" at 0; NULL: beyond them. */
const char *btf_name(const struct btf_types *b, u32 off);
/* Returns the bytes of what has type @id; -EINVAL: it has no size; -E2BIG. */
s64 btf_size(const struct btf_types *b, u32 id);

/* btf.c: loads the types of a section, which must stay where it is. */
int types_load(struct types *t, const struct section *btf, const char *path, struct err *e);
/* The table that functions and structs are indexes of. */
struct name_table types_table(const struct types *t);
void types_free(struct types *t);
u32 types_function(const struct types *t, const char *name);
/* Returns the prototype of a function; NULL: it has none. */
const struct btf_type *types_prototype(const struct types *t, const char *function);

/* ksymtab.c: loads the exports; needs text bounds, sections and types. */
int exports_load(struct kernel *k, struct err *e);
void exports_free(struct exports *x);
#endif
