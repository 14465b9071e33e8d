// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks the tables of places that the guest's kernel patches in a driver, entry by entry.
 *
 * An instruction at a site is proved by its first bytes and by the relocation of its operand. That
 * is looked up among the relocations of its section, which compilers write in order of their
 * places. Where they are not in order, a sorted list of them is made first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/module_int.h"
#include "shadow/link/patch_tables.h"

/* The kind of address that a field of an entry must hold. */
enum field_kind {
	FIELD_END,
	FIELD_CODE, /* an address in the driver's own code */
	FIELD_KEY,  /* data, whose relocation is checked as every other */
	/* the address of an instruction of the driver's own code: */
	FIELD_ALTERNATIVE, /* any */
	FIELD_RETURN,	   /* jmp __x86_return_thunk */
	FIELD_RETPOLINE,   /* call or jump to __x86_indirect_thunk_REG */
	FIELD_CALL,	   /* call or jmp */
	FIELD_STATIC_CALL, /* call or jmp to __SCT__NAME */
	FIELD_FENTRY,	   /* call __fentry__, or the nop in its place */
	FIELD_PARAVIRT,	   /* call *pv_ops+N */
};

struct field {
	enum field_kind kind;
	u32 at;
};

struct patch_table {
	const char *section;
	size_t section_len;
	const char *entry; /* struct in the kernel's BTF; NULL: @size is known */
	u32 size;	   /* of an entry, where the kernel does not tell */
	struct field fields[4];
};

#define NAME(s) s, sizeof(s) - 1

static const struct patch_table tables[] = {
	{ NAME(".altinstructions"),
	  "alt_instr",
	  12,
	  { { FIELD_ALTERNATIVE, 0 }, { FIELD_CODE, 4 } } },
	{ NAME(".parainstructions"), "paravirt_patch_site", 16, { { FIELD_PARAVIRT, 0 } } },
	{ NAME(".retpoline_sites"), NULL, 4, { { FIELD_RETPOLINE, 0 } } },
	{ NAME(".return_sites"), NULL, 4, { { FIELD_RETURN, 0 } } },
	{ NAME(".call_sites"), NULL, 4, { { FIELD_CALL, 0 } } },
	{ NAME(".static_call_sites"), NULL, 8, { { FIELD_STATIC_CALL, 0 }, { FIELD_KEY, 4 } } },
	{ NAME("__mcount_loc"), NULL, 8, { { FIELD_FENTRY, 0 } } },
	{ NAME("__jump_table"),
	  NULL,
	  16,
	  { { FIELD_CODE, 0 }, { FIELD_CODE, 4 }, { FIELD_KEY, 8 } } },
	{ NAME("__ex_table"),
	  "exception_table_entry",
	  12,
	  { { FIELD_CODE, 0 }, { FIELD_CODE, 4 } } },
	{ NAME(".smp_locks"), NULL, 4, { { FIELD_CODE, 0 } } },
	{ NAME(".ibt_endbr_seal"), NULL, 4, { { FIELD_CODE, 0 } } },
};

/* A relocation of a section of code that has them in no order, by the place that it changes. */
struct operand {
	u32 section;
	u32 symbol;
	u64 at, end;
};

struct walk {
	const struct kernel *kernel;
	const struct module *module;
	struct operand *operands;
	size_t n_operands;
	patch_site_fn *site;
	void *arg;
	struct err *e;
};

static int operands_by_place(const void *pa, const void *pb)
{
	const struct operand *a = pa, *b = pb;

	if (a->section != b->section)
		return a->section < b->section ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

/* Returns true if SHT_RELA section @i changes, in no order, a section of code that is loaded. */
static bool changes_code(const struct module *m, u32 i)
{
	const u64 both = SHF_ALLOC | SHF_EXECINSTR;
	const Elf64_Shdr *h = &m->sections[i].h;

	return h->sh_type == SHT_RELA && h->sh_info < m->n_sections &&
	       m->sections[h->sh_info].unordered &&
	       (m->sections[h->sh_info].h.sh_flags & both) == both;
}

static void operands_add(struct walk *w, u32 rela)
{
	const struct module *m = w->module;
	u64 count = module_rela_count(&m->sections[rela]);

	for (u64 j = 0; j < count; j++) {
		struct operand *o = &w->operands[w->n_operands];
		Elf64_Rela r;
		u32 type;

		module_rela(m, &m->sections[rela], j, &r);
		type = (u32)ELF64_R_TYPE(r.r_info);
		if (type == R_X86_64_NONE)
			continue; /* of a place that objtool has made a nop */
		o->section = m->sections[rela].h.sh_info;
		o->symbol = (u32)ELF64_R_SYM(r.r_info);
		o->at = r.r_offset;
		o->end = o->at + module_rela_width(type);
		w->n_operands++;
	}
}

static int operands_collect(struct walk *w)
{
	const struct module *m = w->module;
	size_t n = 0;

	for (u32 i = 1; i < m->n_sections; i++)
		if (changes_code(m, i))
			n += module_rela_count(&m->sections[i]);
	if (!n)
		return 0;
	w->operands = malloc(n * sizeof(*w->operands));
	if (!w->operands)
		return err_set(w->e, -ENOMEM, "%s: out of memory", m->label);
	for (u32 i = 1; i < m->n_sections; i++)
		if (changes_code(m, i))
			operands_add(w, i);
	qsort(w->operands, w->n_operands, sizeof(*w->operands), operands_by_place);
	/*
	 * If two relocations change one place, the later would change the operand that the check of
	 * the earlier has accepted.
	 */
	for (size_t i = 1; i < w->n_operands; i++)
		if (w->operands[i].section == w->operands[i - 1].section &&
		    w->operands[i].at < w->operands[i - 1].end)
			return err_set(w->e, -EINVAL,
				       "%s: cannot be linked: two relocations change %s+%#llx",
				       m->label, m->sections[w->operands[i].section].name,
				       (unsigned long long)w->operands[i].at);
	return 0;
}

/*
 * Finds the relocation of the place @at, among those of a section that has them in order: the last
 * one whose place is no greater, since one that changes nothing may stand at the same place before
 * it. Halves in a way that has no branch to mispredict.
 */
static bool rela_find(const struct module *m, const struct module_section *rela, u64 at,
		      Elf64_Rela *r)
{
	const u8 *p = m->data + rela->h.sh_offset;
	u64 n = module_rela_count(rela);

	if (!n)
		return false;
	while (n > 1) {
		const u8 *middle = p + n / 2 * sizeof(*r);

		p = load_u64(middle + offsetof(Elf64_Rela, r_offset)) <= at ? middle : p;
		n -= n / 2;
	}
	memcpy(r, p, sizeof(*r));
	return r->r_offset == at && ELF64_R_TYPE(r->r_info) != R_X86_64_NONE;
}

/*
 * Returns the name of the symbol that the operand at @at of section @section refers to; NULL: it
 * has no relocation.
 */
static const char *operand_name(const struct walk *w, u32 section, u64 at)
{
	const struct module_section *s = &w->module->sections[section];
	const struct operand key = { .section = section, .at = at };
	const struct operand *o;
	Elf64_Sym sym;
	Elf64_Rela r;
	u32 symbol;

	if (!s->unordered) {
		/* Without relocations s->rela is section 0, which has no bytes. */
		if (!rela_find(w->module, &w->module->sections[s->rela], at, &r))
			return NULL;
		symbol = (u32)ELF64_R_SYM(r.r_info);
	} else {
		o = w->n_operands ? bsearch(&key, w->operands, w->n_operands, sizeof(key),
					    operands_by_place)
				  : NULL;
		if (!o)
			return NULL;
		symbol = o->symbol;
	}
	module_symbol(w->module, symbol, &sym);
	return module_symbol_name(w->module, &sym);
}

static bool name_begins(const char *name, const char *with)
{
	return name && !strncmp(name, with, strlen(with));
}

/*
 * Returns true if the kernel expects the instruction at @at of section @section at a site of this
 * kind.
 */
static bool instruction_is(const struct walk *w, enum field_kind kind, u32 section, u64 at)
{
	static const u8 nop[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	const Elf64_Shdr *h = &w->module->sections[section].h;
	u8 in[8] = { 0 };
	const char *name;
	bool branch;
	u64 len = at < h->sh_size ? h->sh_size - at : 0;

	if (h->sh_type == SHT_NOBITS || !len)
		return false;
	if (len >= sizeof(in)) /* of a length that is known, which is no call */
		memcpy(in, w->module->data + h->sh_offset + at, sizeof(in));
	else
		memcpy(in, w->module->data + h->sh_offset + at, len);
	if (kind == FIELD_RETPOLINE && in[0] == 0x2e) { /* a prefix, for alignment */
		memmove(in, in + 1, sizeof(in) - 1);
		at++;
	}
	branch = in[0] == 0xe8 || in[0] == 0xe9;
	name = operand_name(w, section, at + 1);
	switch (kind) {
	case FIELD_ALTERNATIVE:
		return true;
	case FIELD_RETURN:
		return in[0] == 0xe9 && name && !strcmp(name, "__x86_return_thunk");
	case FIELD_RETPOLINE:
		if (in[0] == 0x0f && (in[1] & 0xf0) == 0x80) { /* jcc */
			branch = true;
			name = operand_name(w, section, at + 2);
		}
		return branch && name_begins(name, "__x86_indirect_");
	case FIELD_CALL:
		return branch;
	case FIELD_STATIC_CALL:
		if (in[0] == 0x0f && (in[1] & 0xf0) == 0x80) {
			branch = true;
			name = operand_name(w, section, at + 2);
		}
		return branch && name_begins(name, "__SCT__");
	case FIELD_FENTRY:
		return (in[0] == 0xe8 && name && !strcmp(name, "__fentry__")) ||
		       !memcmp(in, nop, sizeof(nop));
	case FIELD_PARAVIRT:
		name = operand_name(w, section, in[1] == 0x14 ? at + 3 : at + 2);
		return in[0] == 0xff && (in[1] == 0x15 || (in[1] == 0x14 && in[2] == 0x25)) &&
		       name && !strcmp(name, "pv_ops");
	case FIELD_END:
	case FIELD_CODE:
	case FIELD_KEY:
	default:
		return false;
	}
}

/*
 * Returns true if a branch into the kernel's text stands at such a site once the kernel has patched
 * it.
 */
static bool becomes_kernel_branch(enum field_kind kind)
{
	return kind == FIELD_ALTERNATIVE || kind == FIELD_RETURN || kind == FIELD_RETPOLINE ||
	       kind == FIELD_STATIC_CALL || kind == FIELD_FENTRY || kind == FIELD_PARAVIRT;
}

static int table_odd(const struct walk *w, const struct patch_table *t, u64 at, const char *what)
{
	return err_set(w->e, -EINVAL,
		       "%s: cannot be linked: entry at %s+%#llx %s; the kernel would patch by it",
		       w->module->label, t->section, (unsigned long long)at, what);
}

/* The layout of a table's entries, from the kernel's BTF. */
struct layout {
	u32 size, n_fields;
	s64 instrlen, replacementlen, type; /* offsets of members of one byte; -1: there is none */
	u32 calls; /* that a paravirt site may name; UINT32_MAX: not known */
};

static s64 byte_member(const struct kernel *k, const struct patch_table *t, u32 entry_size,
		       const char *name)
{
	u32 at, size;

	if (!t->entry || kernel_member(k, t->entry, name, &at, &size) || size != 1 ||
	    at >= entry_size)
		return -1;
	return at;
}

static struct layout table_layout(const struct kernel *k, const struct patch_table *t)
{
	struct layout l = { .size = t->size, .calls = UINT32_MAX };
	u32 template;

	if (t->entry)
		(void)kernel_struct_size(k, t->entry, &l.size);
	while (t->fields[l.n_fields].kind != FIELD_END)
		l.n_fields++;
	l.instrlen = byte_member(k, t, l.size, "instrlen");
	l.replacementlen = byte_member(k, t, l.size, "replacementlen");
	l.type = byte_member(k, t, l.size, "type");
	if (l.type >= 0 && !kernel_struct_size(k, "paravirt_patch_template", &template))
		l.calls = template / 8;
	return l;
}

/*
 * Checks an entry's fields that are no addresses: an alternative must fit where it goes and lie in
 * the driver's code as a whole, a paravirt call must be one of those that the kernel has. @at is
 * where @field leads in a section of @len bytes.
 */
static bool entry_fits(const struct layout *l, const struct field *field, const u8 *entry, u64 at,
		       u64 len)
{
	u8 instr, other;

	if (field->kind == FIELD_PARAVIRT)
		return l->type < 0 || entry[l->type] < l->calls;
	if (l->instrlen < 0 || l->replacementlen < 0)
		return true;
	instr = entry[l->instrlen];
	other = entry[l->replacementlen];
	return other <= instr && (u64)(field->kind == FIELD_CODE ? other : instr) <= len - at;
}

/* Checks the relocation @r, which gives @field of an entry of @t its value. */
static int check_field(const struct walk *w, const struct patch_table *t, const struct layout *l,
		       const struct field *field, const Elf64_Rela *r, const u8 *entry)
{
	const struct module *m = w->module;
	const struct module_section *in;
	Elf64_Sym sym;
	u64 at;

	if (field->kind == FIELD_KEY)
		return 0;
	module_symbol(m, (u32)ELF64_R_SYM(r->r_info), &sym);
	if (sym.st_shndx == SHN_UNDEF || sym.st_shndx >= m->n_sections)
		return table_odd(w, t, r->r_offset, "does not lead to the driver's own code");
	in = &m->sections[sym.st_shndx];
	if (!(in->h.sh_flags & SHF_ALLOC) || !(in->h.sh_flags & SHF_EXECINSTR) ||
	    __builtin_add_overflow(sym.st_value, (u64)r->r_addend, &at) || at > in->h.sh_size)
		return table_odd(w, t, r->r_offset, "does not lead to the driver's own code");
	if (!entry_fits(l, field, entry, at, in->h.sh_size))
		return table_odd(w, t, r->r_offset, "is larger than its place");
	if (field->kind == FIELD_CODE)
		return 0;
	if (!instruction_is(w, field->kind, sym.st_shndx, at))
		return table_odd(w, t, r->r_offset, "names another instruction than it is for");
	return w->site && becomes_kernel_branch(field->kind) ? w->site(w->arg, in, at) : 0;
}

/* A table of the driver while it is read. */
struct open_table {
	const struct patch_table *t;
	const struct module_section *s;
	struct layout l;
	u8 *seen; /* by entry: the fields that have their relocation */
	u64 found;
};

/* Checks the relocations of the SHT_RELA section @rela, which fill the table. */
static int check_entries(const struct walk *w, struct open_table *o,
			 const struct module_section *rela)
{
	const struct module *m = w->module;
	u64 count = module_rela_count(rela);
	int ret = 0;

	for (u64 j = 0; !ret && j < count; j++) {
		u32 at, entry, in_entry, f = 0;
		Elf64_Rela r;

		module_rela(m, rela, j, &r);
		at = (u32)r.r_offset; /* the table lies in a file of less than 4 GiB */
		entry = at / o->l.size;
		in_entry = at % o->l.size;
		while (f < o->l.n_fields && o->t->fields[f].at != in_entry)
			f++;
		if (ELF64_R_TYPE(r.r_info) == R_X86_64_NONE)
			continue; /* leaves the number that is there */
		if (f == o->l.n_fields || o->seen[entry] & 1U << f)
			return table_odd(w, o->t, r.r_offset, "is relocated in an odd place");
		o->seen[entry] |= (u8)(1U << f);
		o->found++;
		ret = check_field(w, o->t, &o->l, &o->t->fields[f], &r,
				  m->data + o->s->h.sh_offset + at - in_entry);
	}
	return ret;
}

/* Checks the fields of @t in the table @i, each of which must have one relocation. */
static int check_table(const struct walk *w, const struct patch_table *t, u32 i)
{
	const struct module *m = w->module;
	const Elf64_Shdr *h = &m->sections[i].h;
	struct open_table o = { .t = t, .s = &m->sections[i] };
	int ret = 0;
	u64 n;

	if (!h->sh_size)
		return 0;
	o.l = table_layout(w->kernel, t);
	if (!(h->sh_flags & SHF_ALLOC) || h->sh_type != SHT_PROGBITS || !o.l.size ||
	    h->sh_size % o.l.size)
		return table_odd(w, t, h->sh_size, "is not as the kernel expects it");
	n = h->sh_size / o.l.size;
	o.seen = calloc(n, 1);
	if (!o.seen)
		return err_set(w->e, -ENOMEM, "%s: out of memory", m->label);
	for (u32 s = 1; !ret && s < m->n_sections; s++)
		if (m->sections[s].h.sh_type == SHT_RELA && m->sections[s].h.sh_info == i)
			ret = check_entries(w, &o, &m->sections[s]);
	if (!ret && o.found != n * o.l.n_fields)
		ret = table_odd(w, t, 0, "or another has a number instead of a place");
	free(o.seen);
	return ret;
}

/* Returns the table that the kernel reads in a section of this name, or NULL. */
static const struct patch_table *table_of_section(const char *name)
{
	size_t len = strlen(name);

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		if (tables[t].section_len == len && !memcmp(tables[t].section, name, len))
			return &tables[t];
	return NULL;
}

int patch_tables_walk(const struct kernel *k, const struct module *m, patch_site_fn *site,
		      void *arg, struct err *e)
{
	struct walk w = { .kernel = k, .module = m, .site = site, .arg = arg, .e = e };
	int ret = operands_collect(&w);

	for (u32 i = 1; !ret && i < m->n_sections; i++) {
		const struct patch_table *t = table_of_section(m->sections[i].name);

		if (t)
			ret = check_table(&w, t, i);
	}
	free(w.operands);
	return ret;
}
