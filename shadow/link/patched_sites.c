// SPDX-License-Identifier: GPL-2.0-only
/* Reads the tables of sites that the kernel patches from a driver's relocations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/link/module_int.h"
#include "shadow/link/patched_sites.h"

/* Tables whose relocations name the sites. The first relocation of an entry is the site. */
static const char *const tables[] = {
	".rela.return_sites",	   ".rela.retpoline_sites",  ".rela.call_sites",
	".rela.static_call_sites", ".rela.parainstructions", ".rela.altinstructions",
	".rela__mcount_loc",	   ".rela__jump_table",
};

static bool is_table(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		if (!strcmp(name, tables[i]))
			return true;
	return false;
}

static int by_section_and_offset(const void *a, const void *b)
{
	const struct module_site *x = a, *y = b;
	int c = strcmp(x->section, y->section);

	return c ? c : (x->offset > y->offset) - (x->offset < y->offset);
}

int module_patched_sites(const struct module *m, struct module_site **out, size_t *n)
{
	struct module_site *sites;
	size_t max = 0, used = 0;
	u64 r, count;
	u32 i;

	for (i = 0; i < m->n_sections; i++)
		if (m->sections[i].h.sh_type == SHT_RELA && is_table(m->sections[i].name))
			max += module_rela_count(&m->sections[i]);
	sites = calloc(max + 1, sizeof(*sites));
	if (!sites)
		return -ENOMEM;
	for (i = 0; i < m->n_sections; i++) {
		const struct module_section *s = &m->sections[i];

		if (s->h.sh_type != SHT_RELA || !is_table(s->name))
			continue;
		count = module_rela_count(s);
		for (r = 0; r < count && used < max; r++) {
			Elf64_Rela rela;
			Elf64_Sym sym;

			module_rela(m, s, r, &rela);
			if (ELF64_R_SYM(rela.r_info) >= m->n_symbols)
				continue;
			module_symbol(m, (u32)ELF64_R_SYM(rela.r_info), &sym);
			if (!sym.st_shndx || sym.st_shndx >= m->n_sections ||
			    !(m->sections[sym.st_shndx].h.sh_flags & SHF_EXECINSTR))
				continue;
			sites[used++] = (struct module_site){
				m->sections[sym.st_shndx].name,
				sym.st_value + (u64)rela.r_addend,
			};
		}
	}
	qsort(sites, used, sizeof(*sites), by_section_and_offset);
	*out = sites;
	*n = used;
	return 0;
}

bool module_site_find(const struct module_site *sites, size_t n, const char *section, u64 offset)
{
	struct module_site key = { section, offset };

	return bsearch(&key, sites, n, sizeof(*sites), by_section_and_offset);
}
