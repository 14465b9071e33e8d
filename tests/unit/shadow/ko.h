/* SPDX-License-Identifier: GPL-2.0-only */
/* Edits a .ko in memory, for tests that need a wrong one. */
#ifndef SHADOW_KO_H
#define SHADOW_KO_H

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"

struct ko {
	u8 *data;
	size_t len;
};

static inline Elf64_Shdr *ko_header(const struct ko *k, unsigned i)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)k->data;

	return (Elf64_Shdr *)(k->data + eh->e_shoff) + i;
}

/* Returns the index of section NAME; 0: there is none. */
static inline unsigned ko_section(const struct ko *k, const char *name)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)k->data;
	const Elf64_Shdr *str = ko_header(k, eh->e_shstrndx);

	for (unsigned i = 1; i < eh->e_shnum; i++)
		if (!strcmp((char *)k->data + str->sh_offset + ko_header(k, i)->sh_name, name))
			return i;
	return 0;
}

static inline u8 *ko_bytes(const struct ko *k, const char *section)
{
	return k->data + ko_header(k, ko_section(k, section))->sh_offset;
}

/* Returns the symbol NAME and, in *name, its name's place in the file. */
static inline Elf64_Sym *ko_symbol(const struct ko *k, const char *symbol, char **name)
{
	const Elf64_Shdr *h = ko_header(k, ko_section(k, ".symtab"));
	Elf64_Sym *sym = (Elf64_Sym *)(k->data + h->sh_offset);
	char *strings = (char *)ko_bytes(k, ".strtab");

	for (size_t i = 1; i < h->sh_size / sizeof(*sym); i++) {
		if (strcmp(strings + sym[i].st_name, symbol) != 0)
			continue;
		if (name)
			*name = strings + sym[i].st_name;
		return &sym[i];
	}
	return NULL;
}

/* Returns the first relocation to SYMBOL that section RELA holds. */
static inline Elf64_Rela *ko_rela(const struct ko *k, const char *rela, const char *symbol)
{
	const Elf64_Shdr *h = ko_header(k, ko_section(k, rela));
	const Elf64_Sym *first =
		(Elf64_Sym *)(k->data + ko_header(k, ko_section(k, ".symtab"))->sh_offset);
	Elf64_Rela *r = (Elf64_Rela *)(k->data + h->sh_offset);
	const Elf64_Sym *sym = ko_symbol(k, symbol, NULL);

	for (size_t i = 0; i < h->sh_size / sizeof(*r); i++)
		if (sym && ELF64_R_SYM(r[i].r_info) == (size_t)(sym - first))
			return &r[i];
	return NULL;
}

static inline void ko_set_type(Elf64_Rela *r, u32 type)
{
	r->r_info = ELF64_R_INFO(ELF64_R_SYM(r->r_info), type);
}

/* Returns the entry of __versions for SYMBOL: 8 bytes of CRC, then the name. */
static inline u8 *ko_version(const struct ko *k, const char *symbol)
{
	const Elf64_Shdr *h = ko_header(k, ko_section(k, "__versions"));
	u8 *p = k->data + h->sh_offset;

	for (size_t at = 0; at < h->sh_size; at += 64)
		if (!strcmp((char *)p + at + 8, symbol))
			return p + at;
	return NULL;
}

#endif
