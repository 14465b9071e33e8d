// SPDX-License-Identifier: GPL-2.0-only
/* Lists the functions of a driver's own, by which addresses in its text are told. */
#include <errno.h>
#include <stdlib.h>

#include "shadow/link/module_int.h"

static bool is_text(const struct module *m, u32 section)
{
	return section < m->n_sections && m->sections[section].h.sh_flags & SHF_ALLOC &&
	       m->sections[section].h.sh_flags & SHF_EXECINSTR;
}

static int compare_places(const void *a, const void *b)
{
	const struct module_function *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

int module_functions(const struct module *m, struct module_function **out, size_t *n)
{
	struct module_function *list = calloc(m->n_symbols + 1, sizeof(*list));

	*n = 0;
	*out = list;
	if (!list)
		return -ENOMEM;
	for (u32 i = 0; i < m->n_symbols; i++) {
		Elf64_Sym sym;

		module_symbol(m, i, &sym);
		if (ELF64_ST_TYPE(sym.st_info) == STT_FUNC && is_text(m, sym.st_shndx))
			list[(*n)++] = (struct module_function){ module_symbol_name(m, &sym),
								 sym.st_shndx, sym.st_value };
	}
	qsort(list, *n, sizeof(*list), compare_places);
	return 0;
}

bool module_text_section(const struct module *m, u32 i, const char **name, u64 *size)
{
	if (!is_text(m, i))
		return false;
	*name = m->sections[i].name;
	*size = m->sections[i].h.sh_size;
	return true;
}
