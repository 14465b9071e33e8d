/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of struct module among the files that read and copy drivers: module_unpack.c
 * (decompression), module.c (reading and checking), module_exports.c (its export table),
 * patch_tables.c and patched_sites.c (what the kernel patches), and by plan_int.h those that plan
 * and copy. Everybody else uses link.h.
 *
 * module_parse() checks once, for all others: every section with bytes lies within the file, the
 * section and symbol tables are whole, every name ends within its string table, and each of the
 * sections that the guest's loader looks for by name exists at most once and is one that the loader
 * sees, so that it cannot read another one than we do.
 */
#ifndef UMBRA_SHADOW_LINK_MODULE_INT_H
#define UMBRA_SHADOW_LINK_MODULE_INT_H

#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "base/strmap.h"
#include "shadow/link/link.h"

#define VERSION_SIZE 64 /* struct modversion_info: unsigned long crc, char name[56] */
#define KSYM_ENTRY   12 /* struct kernel_symbol: value, name and namespace as PREL32 */

struct module_section {
	const char *name;
	Elf64_Shdr h;
	u32 rela;	/* the last SHT_RELA section that changes this one; 0: none */
	bool unordered; /* several do, or their places do not ascend, or overlap */
};

/* Index of a section that the loader looks for; 0: it has none. */
struct module_special {
	u32 this_module, modinfo, versions, symtab, strtab, strings;
	u32 ksymtab[2], kcrctab[2], ksymtab_rela[2]; /* plain, _gpl */
};

struct module_export {
	const char *name;
	u64 name_rela; /* file offset of the relocation that gives the name */
	u32 name_at;   /* offset of the name in __ksymtab_strings */
	u32 entry;     /* index in its table */
	u64 value;     /* where what is exported lies in its section */
	u16 section;
	u8 table; /* 0: __ksymtab, 1: _gpl */
	enum symbol_class class;
	bool placed; /* its address was seen */
};

struct module {
	char *label;
	u8 *data;
	size_t len; /* without the signature */
	struct module_section *sections;
	u32 n_sections;
	struct module_special idx;
	const u8 *symbols; /* n_symbols * Elf64_Sym, at any alignment */
	const char *symbol_names;
	u32 n_symbols;
	char name[MODULE_NAME_LEN];
	const char *vermagic, *depends;
	bool livepatch;
	struct module_export *exports;
	size_t n_exports;
	struct strmap export_map;
};

/* Copies symbol @i < n_symbols. Inline, because a driver has some ten thousand. */
static inline void module_symbol(const struct module *m, u32 i, Elf64_Sym *sym)
{
	memcpy(sym, m->symbols + (size_t)i * sizeof(*sym), sizeof(*sym));
}

/* Returns the st_shndx of symbol @i alone. */
static inline u16 module_symbol_section(const struct module *m, u32 i)
{
	u16 section;

	memcpy(&section, m->symbols + (size_t)i * sizeof(Elf64_Sym) + offsetof(Elf64_Sym, st_shndx),
	       sizeof(section));
	return section;
}

static inline const char *module_symbol_name(const struct module *m, const Elf64_Sym *sym)
{
	return m->symbol_names + sym->st_name;
}

/* Copies relocation @i of the SHT_RELA section @s, which the caller took from m->sections. */
static inline void module_rela(const struct module *m, const struct module_section *s, u64 i,
			       Elf64_Rela *r)
{
	memcpy(r, m->data + s->h.sh_offset + i * sizeof(*r), sizeof(*r));
}

static inline u64 module_rela_count(const struct module_section *s)
{
	return s->h.sh_size / sizeof(Elf64_Rela);
}

/*
 * Returns how many bytes a relocation changes, of a form that the guest's loader knows; 0:
 * R_X86_64_NONE.
 */
static inline u32 module_rela_width(u32 type)
{
	if (type == R_X86_64_64 || type == R_X86_64_PC64)
		return 8;
	return type == R_X86_64_NONE ? 0 : 4;
}

/* Returns the value of "TAG=" in .modinfo, or NULL. */
const char *module_info(const struct module *m, const char *tag);
/* Returns false if the module does not export @name. */
bool module_find_export(const struct module *m, const char *name, size_t *i);

/*
 * module_unpack.c: decompresses *data, a file as it was read (malloc'ed), if it is compressed; else
 * it stays. -EFBIG: more than @max bytes come out of it; -EOPNOTSUPP: in a format that is not read
 * here; -EINVAL: damaged. *data stays then.
 */
int module_unpack(u8 **data, size_t *len, size_t max, const char *label, struct err *e);

/* module_exports.c: finds the driver's exports. */
int module_parse_exports(struct module *m, struct err *e);

#define PRIVATE_NAME_MAX (MODULE_NAME_LEN - 1)

#endif
