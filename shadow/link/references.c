// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a driver does with its imports, read from its relocations.
 *
 * Over all modules of Debian's kernels a branch to an imported function is R_X86_64_PLT32 with
 * addend -4 and a taken address is R_X86_64_64 or R_X86_64_32S with addend 0, without exception. So
 * no instruction needs to be decoded; and a function that is referred to in any other way is
 * refused, because nothing proves what the reference is. Data, per-CPU and special symbols keep
 * their addresses and may be referred to in any form.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shadow/link/plan_int.h"

static const char *type_name(u32 type, char *buf, size_t len)
{
	switch (type) {
	case R_X86_64_64:
		return "R_X86_64_64";
	case R_X86_64_PC32:
		return "R_X86_64_PC32";
	case R_X86_64_PLT32:
		return "R_X86_64_PLT32";
	case R_X86_64_32:
		return "R_X86_64_32";
	case R_X86_64_32S:
		return "R_X86_64_32S";
	case R_X86_64_PC64:
		return "R_X86_64_PC64";
	case R_X86_64_GOTPCREL:
		return "R_X86_64_GOTPCREL";
	case R_X86_64_GOTPCRELX:
		return "R_X86_64_GOTPCRELX";
	case R_X86_64_REX_GOTPCRELX:
		return "R_X86_64_REX_GOTPCRELX";
	default:
		snprintf(buf, len, "relocation type %u", type);
		return buf;
	}
}

/* A relocation, the section that it changes, and where it stands in the file. */
struct reference {
	Elf64_Rela r;
	const struct module_section *to;
	u64 rela_at;
};

static u32 reference_type(const struct reference *f)
{
	return (u32)ELF64_R_TYPE(f->r.r_info);
}

static int unknown_form(const struct link_plan *p, const struct reference *f, const char *symbol,
			const char *why, struct err *e)
{
	char buf[32];

	return err_set(
		e, -EINVAL,
		"%s: cannot be linked: %s%+lld to %.64s at %.48s+%#llx is %s; such code cannot be redirected safely",
		p->module->label, type_name(reference_type(f), buf, sizeof(buf)),
		(long long)f->r.r_addend, symbol, f->to->name, (unsigned long long)f->r.r_offset,
		why);
}

static int add_site(struct link_plan *p, u32 import, u64 rela_at)
{
	if (p->n_sites == p->max_sites) {
		size_t n = p->max_sites ? p->max_sites * 2 : 256;
		struct branch_site *s = realloc(p->sites, n * sizeof(*s));

		if (!s)
			return -ENOMEM;
		p->sites = s;
		p->max_sites = n;
	}
	p->sites[p->n_sites++] = (struct branch_site){ import, rela_at };
	return 0;
}

/*
 * A relocation to a symbol of the module itself cannot reach outside of it as an import does, but a
 * made-up one could: a branch to an absolute address, or far beyond the end of its section.
 */
static int check_own(const struct link_plan *p, const struct reference *f, const Elf64_Sym *sym,
		     struct err *e)
{
	const struct module *m = p->module;
	u32 type = reference_type(f);
	u64 target = sym->st_value + (u64)f->r.r_addend + 4;

	if (sym->st_shndx == SHN_ABS && (type == R_X86_64_PLT32 || type == R_X86_64_PC32))
		return unknown_form(p, f, module_symbol_name(m, sym),
				    "a branch to an absolute address", e);
	if (sym->st_shndx < m->n_sections && type == R_X86_64_PLT32 &&
	    target > m->sections[sym->st_shndx].h.sh_size)
		return unknown_form(p, f, m->sections[sym->st_shndx].name,
				    "a branch out of its section", e);
	return 0;
}

static int check_import(struct link_plan *p, const struct reference *f, u32 import, struct err *e)
{
	struct import *im = &p->imports[import];
	u32 type = reference_type(f);
	u64 left = f->to->h.sh_size - f->r.r_offset;
	bool branch = type == R_X86_64_PLT32 && f->r.r_addend == -4 && left >= 4;
	bool address = (type == R_X86_64_64 && left >= 8) || (type == R_X86_64_32S && left >= 4);

	/* only the kernel's own functions are redirected; the others are linked as they are */
	if (im->kind == SYMBOL_FUNCTION && im->target == TARGET_SHADOW) {
		if (branch && !(f->to->h.sh_flags & SHF_EXECINSTR))
			return unknown_form(p, f, im->symbol, "a branch outside of code", e);
		if (!branch && !(address && !f->r.r_addend))
			return unknown_form(p, f, im->symbol,
					    "neither a plain branch nor its plain address", e);
	}
	if (type != R_X86_64_PLT32) {
		im->address_taken++;
		return 0;
	}
	im->branches++;
	if (add_site(p, import, f->rela_at))
		return err_set(e, -ENOMEM, "%s: out of memory", p->module->label);
	return 0;
}

static int check_section(struct link_plan *p, const struct module_section *rela, struct err *e)
{
	const struct module *m = p->module;
	struct reference f = { .to = &m->sections[rela->h.sh_info] };
	int ret = 0;

	for (u64 i = 0; !ret && i < module_rela_count(rela); i++) {
		Elf64_Sym sym;
		u32 idx, import;

		module_rela(m, rela, i, &f.r);
		f.rela_at = rela->h.sh_offset + i * sizeof(f.r);
		idx = (u32)ELF64_R_SYM(f.r.r_info);
		import = p->import_of[idx];
		if (import == NO_IMPORT) {
			module_symbol(m, idx, &sym);
			ret = check_own(p, &f, &sym, e);
		} else {
			ret = check_import(p, &f, import, e);
		}
	}
	return ret;
}

int plan_references(struct link_plan *p, struct err *e)
{
	const struct module *m = p->module;
	int ret = 0;

	for (u32 i = 1; !ret && i < m->n_sections; i++) {
		const Elf64_Shdr *h = &m->sections[i].h;

		/* As the kernel's loader: sections that are not loaded are not relocated. */
		if (h->sh_type == SHT_RELA && h->sh_info < m->n_sections &&
		    (m->sections[h->sh_info].h.sh_flags & SHF_ALLOC))
			ret = check_section(p, &m->sections[i], e);
	}
	return ret;
}
