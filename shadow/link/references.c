// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads from a driver's relocations how it refers to its imports.
 *
 * Over all modules of Debian's kernels a branch to an imported function is R_X86_64_PLT32 with
 * addend -4 and a taken address is R_X86_64_64 or R_X86_64_32S with addend 0, without exception. So
 * no instruction needs to be decoded; and a function that is referred to in any other way is
 * refused, because nothing proves what the reference is. Data, per-CPU and special symbols keep
 * their addresses; a reference to them is bounded, because an addend could make it lead elsewhere:
 * a call of `jiffies + (filp_open - jiffies)` is a call of filp_open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/plan_int.h"

#define FAR_DATA   4096 /* beside the section, or before the symbol, that is referred to */
#define FAR_IMPORT ((u64)1 << 20) /* behind an imported symbol, whose size is not known */

static const char *reloc_type_name(u32 type, char *buf, size_t len)
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

/* The effect of a type of relocation. */
struct form {
	bool known;    /* to the guest's loader, and not out of place */
	bool relative; /* a distance, as a direct branch has it; else an address as a number */
	bool branch;
	u8 width; /* bytes that it changes */
};

#define FORM_UNKNOWN 31
#define FORMS_OF_DATA                                                                       \
	[R_X86_64_NONE] = { .known = true }, [R_X86_64_64] = { .known = true, .width = 8 }, \
	[R_X86_64_PC32] = { .known = true, .relative = true, .width = 4 },                  \
	[R_X86_64_32] = { .known = true, .width = 4 },                                      \
	[R_X86_64_32S] = { .known = true, .width = 4 },                                     \
	[R_X86_64_PC64] = { .known = true, .relative = true, .width = 8 }

static const struct form forms_in_data[FORM_UNKNOWN + 1] = { FORMS_OF_DATA };
static const struct form forms_in_code[FORM_UNKNOWN + 1] = {
	FORMS_OF_DATA,
	[R_X86_64_PLT32] = { .known = true, .relative = true, .branch = true, .width = 4 },
};

/* A relocation, the section that it changes, and where it stands in the file. */
struct reference {
	Elf64_Rela r;
	const struct form *form;
	const struct module_section *to;
	bool to_code; /* @to is a section of code */
	u64 roomy;    /* a place in @to that is less has room for every form */
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
		p->module->label, reloc_type_name(reference_type(f), buf, sizeof(buf)),
		(long long)f->r.r_addend, symbol, f->to->name, (unsigned long long)f->r.r_offset,
		why);
}

static int plan_add_site(struct link_plan *p, u32 import, u64 rela_at)
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

static bool in_code(const struct module_section *s)
{
	return s->h.sh_flags & SHF_EXECINSTR;
}

/*
 * Returns how far from its symbol a reference leads. In code a distance counts from the end of its
 * field; an instruction that has a constant behind the field, or a table of data, is off by up to 8
 * bytes, which the bounds below leave room for.
 */
static s64 reference_offset(const struct reference *f)
{
	s64 off = f->r.r_addend;

	return f->form->relative && f->to_code && off < INT64_MAX - 4 ? off + 4 : off;
}

/*
 * Returns true if @at, in an object of @size bytes at 0, is within it or at most @slack bytes
 * beside it.
 */
static bool place_is_near(s64 at, u64 size, s64 slack)
{
	return at >= -slack && (at < 0 || (u64)at <= size + (u64)slack);
}

/* Returns the reason in words why the reference cannot even be judged by its target, or NULL. */
static inline const char *reference_form_fault(const struct reference *f)
{
	if (!f->form->known)
		return reference_type(f) == R_X86_64_PLT32
			       ? "a branch outside of code"
			       : "not a form that the kernel's loader knows";
	if (f->r.r_offset >= f->roomy &&
	    (f->r.r_offset > f->to->h.sh_size || f->form->width > f->to->h.sh_size - f->r.r_offset))
		return "beyond the end of its section";
	return NULL;
}

/*
 * Checks a relocation to a symbol of the module itself. A compiler's cannot reach outside of the
 * module, but a made-up one could: its addend is any number. A branch leads into its own section;
 * other distances, which a branch could use as well, stay within a page of theirs. Of 2.9 million
 * in Debian's modules one array index leads furthest, 3675 bytes behind a section; guard pages lie
 * around a module. Returns the fault in words, or NULL.
 */
static inline const char *own_reference_fault(const struct module *m, const struct reference *f,
					      u16 section, u64 value)
{
	const char *fault = reference_form_fault(f);
	const struct module_section *in;
	bool code;
	s64 at;

	if (fault || !f->form->width)
		return fault;
	if (section == SHN_ABS)
		return f->form->relative ? "a branch to an absolute address" : NULL;
	/* For SHN_UNDEF, which is 0, module_parse() has made an empty section. */
	in = &m->sections[section];
	if (!(in->h.sh_flags & SHF_ALLOC))
		return "to nothing that is loaded";
	if (!f->form->relative)
		return NULL;
	if (f->form->branch && !in_code(in))
		return "a branch to data";
	code = f->to_code && in_code(in);
	if (!__builtin_add_overflow((s64)value, reference_offset(f), &at) &&
	    (code ? place_is_near(at, in->h.sh_size, 0)
		  : place_is_near(at, in->h.sh_size, FAR_DATA)))
		return NULL;
	return code ? "a branch out of its section" : "a reference out of its section";
}

/* Refuses a reference to the module itself; symbols of sections have no name of their own. */
static int refuse_own_reference(const struct link_plan *p, const struct reference *f, u32 symbol,
				const char *fault, struct err *e)
{
	const struct module *m = p->module;
	const char *name;
	Elf64_Sym sym;

	module_symbol(m, symbol, &sym);
	name = module_symbol_name(m, &sym);
	if (!*name && sym.st_shndx < m->n_sections)
		name = m->sections[sym.st_shndx].name;
	return unknown_form(p, f, name, fault, e);
}

/*
 * Checks a reference to a function: a plain branch, which can be redirected, or its plain address.
 */
static int check_function_reference(const struct link_plan *p, const struct reference *f,
				    const struct import *im, struct err *e)
{
	u32 type = reference_type(f);
	bool branch = type == R_X86_64_PLT32 && f->r.r_addend == -4;
	bool address = (type == R_X86_64_64 || type == R_X86_64_32S) && !f->r.r_addend;

	if (branch || address)
		return 0;
	return unknown_form(p, f, im->symbol, "neither a plain branch nor its plain address", e);
}

/*
 * Checks a reference to text that the kernel patches or compares: as it is, and in the table of
 * static calls with flags.
 */
static int check_special(const struct link_plan *p, const struct reference *f,
			 const struct import *im, struct err *e)
{
	s64 off = reference_offset(f);

	if (!off ||
	    (off > 0 && off < 4 && !f->to_code && !strcmp(f->to->name, ".static_call_sites")))
		return 0;
	return unknown_form(p, f, im->symbol, "neither a plain branch nor its plain address", e);
}

/*
 * Checks a reference to data of the kernel or of another driver: an addend may lead about in it,
 * but not to something else, least of all into code, where it would be a way to a function under
 * another name.
 */
static int check_data(const struct link_plan *p, const struct reference *f, const struct import *im,
		      struct err *e)
{
	u64 percpu = kernel_percpu_size(p->kernel), at, start, end;
	s64 off = reference_offset(f);

	if (f->form->branch)
		return unknown_form(p, f, im->symbol, "a branch to data", e);
	if (im->export && im->kind == SYMBOL_PERCPU)
		/* The addend is bounded first, since the sum could overflow. */
		return place_is_near(off, percpu, (s64)percpu) &&
				       place_is_near((s64)im->export->addr + off, percpu, FAR_DATA)
			       ? 0
			       : unknown_form(p, f, im->symbol, "out of the per-CPU data", e);
	if (im->export) {
		at = im->export->addr + (u64)off;
		kernel_text(p->kernel, &start, &end);
		if (at + 4 >= start && at < end)
			return unknown_form(p, f, im->symbol,
					    "in the kernel's code, under the name of data", e);
	}
	if (f->form->relative && !place_is_near(off, FAR_IMPORT, FAR_DATA))
		return unknown_form(p, f, im->symbol, "far from its symbol", e);
	return 0;
}

/*
 * Checks a reference to a symbol that is not known here: the kernel leaves it 0, or another module
 * provides it.
 */
static int check_absent(const struct link_plan *p, const struct reference *f,
			const struct import *im, struct err *e)
{
	s64 off = reference_offset(f);

	if (f->form->branch)
		return off ? unknown_form(p, f, im->symbol, "not a plain branch", e) : 0;
	if (!place_is_near(off, FAR_IMPORT, FAR_DATA))
		return unknown_form(p, f, im->symbol, "far from its symbol", e);
	return 0;
}

static int check_import(struct link_plan *p, const struct reference *f, u32 import, struct err *e)
{
	struct import *im = &p->imports[import];
	const char *fault = reference_form_fault(f);
	int ret;

	if (fault)
		return unknown_form(p, f, im->symbol, fault, e);
	if (!f->form->width)
		return 0;
	if (!im->export && !im->provider)
		ret = check_absent(p, f, im, e);
	else if (im->kind == SYMBOL_FUNCTION)
		ret = check_function_reference(p, f, im, e);
	else if (im->kind == SYMBOL_SPECIAL)
		ret = check_special(p, f, im, e);
	else
		ret = check_data(p, f, im, e);
	if (ret)
		return ret;
	if (!f->form->branch) {
		im->address_taken++;
		return 0;
	}
	im->branches++;
	if (plan_add_site(p, import, f->rela_at))
		return err_set(e, -ENOMEM, "%s: out of memory", p->module->label);
	return 0;
}

/*
 * Checks all references of a section. Each check gets a copy of the reference, so that the compiler
 * can hold the loop's own in registers.
 */
static int check_section(struct link_plan *p, const struct module_section *rela, struct err *e)
{
	const struct module *m = p->module;
	const struct module_section *to = &m->sections[rela->h.sh_info];
	const struct form *forms = in_code(to) ? forms_in_code : forms_in_data;
	const u8 *at = m->data + rela->h.sh_offset;
	const u8 *end = at + module_rela_count(rela) * sizeof(Elf64_Rela);
	struct reference f = { .to = to, .to_code = in_code(to) };
	int ret;

	f.roomy = to->h.sh_size < 8 ? 0 : to->h.sh_size - 7;
	for (; at < end; at += sizeof(f.r)) {
		u32 type, symbol, import;
		const char *fault;
		const u8 *sym;

		f.r.r_offset = load_u64(at + offsetof(Elf64_Rela, r_offset));
		f.r.r_info = load_u64(at + offsetof(Elf64_Rela, r_info));
		f.r.r_addend = (s64)load_u64(at + offsetof(Elf64_Rela, r_addend));
		type = reference_type(&f);
		f.form = &forms[type < FORM_UNKNOWN ? type : FORM_UNKNOWN];
		symbol = (u32)ELF64_R_SYM(f.r.r_info);
		import = p->import_of[symbol];
		if (import != NO_IMPORT) {
			struct reference copy = f;

			copy.rela_at = (u64)(at - m->data);
			ret = check_import(p, &copy, import, e);
			if (ret)
				return ret;
			continue;
		}
		sym = m->symbols + (size_t)symbol * sizeof(Elf64_Sym);
		fault = own_reference_fault(m, &f, module_symbol_section(m, symbol),
					    load_u64(sym + offsetof(Elf64_Sym, st_value)));
		if (fault) {
			const struct reference copy = f;

			return refuse_own_reference(p, &copy, symbol, fault, e);
		}
	}
	return 0;
}

int plan_references(struct link_plan *p, struct err *e)
{
	const struct module *m = p->module;
	int ret = 0;

	for (u32 i = 1; !ret && i < m->n_sections; i++) {
		const Elf64_Shdr *h = &m->sections[i].h;

		/* Sections that are not loaded are not relocated, as in the kernel's loader. */
		if (h->sh_type == SHT_RELA && h->sh_info < m->n_sections &&
		    (m->sections[h->sh_info].h.sh_flags & SHF_ALLOC))
			ret = check_section(p, &m->sections[i], e);
	}
	return ret;
}
