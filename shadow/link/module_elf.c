// SPDX-License-Identifier: GPL-2.0-only
/* Symbols and relocations of a module whose tables module_parse() has checked. */
#include <string.h>

#include "shadow/link/module_int.h"

void module_symbol(const struct module *m, u32 i, Elf64_Sym *sym)
{
	const u8 *p = m->data + m->sections[m->idx.symtab].h.sh_offset;

	memcpy(sym, p + (size_t)i * sizeof(*sym), sizeof(*sym));
}

const char *module_symbol_name(const struct module *m, const Elf64_Sym *sym)
{
	return (const char *)m->data + m->sections[m->idx.strtab].h.sh_offset + sym->st_name;
}

u64 module_rela_count(const struct module_section *s)
{
	return s->h.sh_size / sizeof(Elf64_Rela);
}

void module_rela(const struct module *m, const struct module_section *s, u64 i, Elf64_Rela *r)
{
	memcpy(r, m->data + s->h.sh_offset + i * sizeof(*r), sizeof(*r));
}
