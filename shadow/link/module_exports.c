// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a driver's own export table. Its entries are zero in the file: the relocations of __ksymtab
 * give each entry's address (+0), name (+4) and namespace (+8). Their names lie in
 * __ksymtab_strings, reached by a symbol __kstrtab_X or by the section's symbol and an addend; both
 * are read alike.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/link/module_int.h"

static int odd_table(const struct module *m, unsigned table, struct err *e)
{
	return err_set(e, -EINVAL,
		       "%s: its export table (__ksymtab%s) is in a form that is not known",
		       m->label, table ? "_gpl" : "");
}

static enum symbol_class symbol_class_of(const struct module *m, const Elf64_Sym *sym)
{
	const struct module_section *s;

	if (sym->st_shndx >= m->n_sections)
		return SYMBOL_DATA;
	s = &m->sections[sym->st_shndx];
	if (s->h.sh_flags & SHF_EXECINSTR)
		return SYMBOL_FUNCTION;
	return strcmp(s->name, ".data..percpu") != 0 ? SYMBOL_DATA : SYMBOL_PERCPU;
}

/*
 * Returns true if the relocation leads to something of the driver's own. An export of something
 * else would be a way to it under the driver's own name.
 */
static bool leads_to_own(const struct module *m, const Elf64_Sym *sym, const Elf64_Rela *r)
{
	const Elf64_Shdr *h;
	u64 at;

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= m->n_sections)
		return false;
	h = &m->sections[sym->st_shndx].h;
	return (h->sh_flags & SHF_ALLOC) &&
	       !__builtin_add_overflow(sym->st_value, (u64)r->r_addend, &at) && at <= h->sh_size;
}

static int module_read_export_name(struct module *m, struct module_export *x, const Elf64_Sym *sym,
				   const Elf64_Rela *r)
{
	const Elf64_Shdr *h = &m->sections[m->idx.strings].h;
	const char *strings = (const char *)m->data + h->sh_offset;
	u64 at = sym->st_value + (u64)r->r_addend;

	if (!m->idx.strings || sym->st_shndx != m->idx.strings || at >= h->sh_size || x->name ||
	    !memchr(strings + at, 0, h->sh_size - at) || !strings[at])
		return -EINVAL;
	x->name = strings + at;
	x->name_at = (u32)at;
	return 0;
}

static int module_read_table(struct module *m, unsigned table, struct module_export *list,
			     struct err *e)
{
	const struct module_section *rela = &m->sections[m->idx.ksymtab_rela[table]];
	u64 n = m->sections[m->idx.ksymtab[table]].h.sh_size / KSYM_ENTRY;

	for (u64 i = 0; i < module_rela_count(rela); i++) {
		struct module_export *x;
		Elf64_Rela r;
		Elf64_Sym sym;

		module_rela(m, rela, i, &r);
		if (r.r_offset % 4 || r.r_offset / KSYM_ENTRY >= n ||
		    ELF64_R_TYPE(r.r_info) != R_X86_64_PC32)
			return odd_table(m, table, e);
		x = &list[r.r_offset / KSYM_ENTRY];
		module_symbol(m, (u32)ELF64_R_SYM(r.r_info), &sym);
		if (r.r_offset % KSYM_ENTRY == 0) {
			if (x->placed || !leads_to_own(m, &sym, &r))
				return odd_table(m, table, e);
			x->placed = true;
			x->section = sym.st_shndx;
			x->value = sym.st_value + (u64)r.r_addend;
			x->class = symbol_class_of(m, &sym);
		}
		if (r.r_offset % KSYM_ENTRY == 4) {
			if (module_read_export_name(m, x, &sym, &r))
				return odd_table(m, table, e);
			x->name_rela = rela->h.sh_offset + i * sizeof(r);
		}
	}
	for (u64 i = 0; i < n; i++) {
		list[i].entry = (u32)i;
		list[i].table = (u8)table;
		if (!list[i].name || !list[i].placed)
			return odd_table(m, table, e);
	}
	return 0;
}

/* Finds the relocations of each table; refuses more than one section of them for one table. */
static int find_relas(struct module *m, struct err *e)
{
	for (u32 i = 1; i < m->n_sections; i++) {
		const Elf64_Shdr *h = &m->sections[i].h;

		for (unsigned t = 0; t < 2; t++) {
			/* CRCs are plain numbers since 5.19; privatize.c moves them as such */
			if (h->sh_type == SHT_RELA && m->idx.kcrctab[t] &&
			    h->sh_info == m->idx.kcrctab[t])
				return odd_table(m, t, e);
			if (h->sh_type != SHT_RELA || !m->idx.ksymtab[t] ||
			    h->sh_info != m->idx.ksymtab[t])
				continue;
			if (m->idx.ksymtab_rela[t])
				return odd_table(m, t, e);
			m->idx.ksymtab_rela[t] = i;
		}
	}
	return 0;
}

int module_parse_exports(struct module *m, struct err *e)
{
	u64 n[2] = { 0, 0 };
	int ret;

	ret = find_relas(m, e);
	for (unsigned t = 0; !ret && t < 2; t++) {
		u64 size = m->idx.ksymtab[t] ? m->sections[m->idx.ksymtab[t]].h.sh_size : 0;
		u64 crcs = m->idx.kcrctab[t] ? m->sections[m->idx.kcrctab[t]].h.sh_size : 0;

		n[t] = size / KSYM_ENTRY;
		if (size % KSYM_ENTRY || (crcs && crcs != n[t] * 4) ||
		    (n[t] && !m->idx.ksymtab_rela[t]))
			ret = odd_table(m, t, e);
	}
	if (ret || !(n[0] + n[1]))
		return ret;
	m->exports = calloc(n[0] + n[1], sizeof(*m->exports));
	if (!m->exports || strmap_init(&m->export_map, n[0] + n[1]))
		return err_set(e, -ENOMEM, "%s: out of memory", m->label);
	m->n_exports = n[0] + n[1];
	for (unsigned t = 0; !ret && t < 2; t++)
		if (n[t])
			ret = module_read_table(m, t, m->exports + (t ? n[0] : 0), e);
	for (size_t i = 0; !ret && i < m->n_exports; i++)
		if (!strmap_add(&m->export_map, m->exports[i].name, (u32)i))
			ret = err_set(e, -EINVAL, "%s: exports \"%.64s\" twice: damaged", m->label,
				      m->exports[i].name);
	return ret;
}
