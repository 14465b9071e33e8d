// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks the tables of places that the guest's kernel patches in a driver, entry by entry.
 *
 * An instruction at a site is proved by its first bytes and by the relocation of its operand, which are
 * looked up among the relocations of the code, sorted by place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/link/module_int.h"
#include "shadow/link/patch_tables.h"

/* What a field of an entry must be. */
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

struct table {
	const char *section;
	const char *entry; /* struct in the kernel's BTF; NULL: @size is known */
	u32 size;	   /* of an entry, where the kernel does not tell */
	struct field fields[4];
};

static const struct table tables[] = {
	{ ".altinstructions", "alt_instr", 12, { { FIELD_ALTERNATIVE, 0 }, { FIELD_CODE, 4 } } },
	{ ".parainstructions", "paravirt_patch_site", 16, { { FIELD_PARAVIRT, 0 } } },
	{ ".retpoline_sites", NULL, 4, { { FIELD_RETPOLINE, 0 } } },
	{ ".return_sites", NULL, 4, { { FIELD_RETURN, 0 } } },
	{ ".call_sites", NULL, 4, { { FIELD_CALL, 0 } } },
	{ ".static_call_sites", NULL, 8, { { FIELD_STATIC_CALL, 0 }, { FIELD_KEY, 4 } } },
	{ "__mcount_loc", NULL, 8, { { FIELD_FENTRY, 0 } } },
	{ "__jump_table", NULL, 16, { { FIELD_CODE, 0 }, { FIELD_CODE, 4 }, { FIELD_KEY, 8 } } },
	{ "__ex_table", "exception_table_entry", 12, { { FIELD_CODE, 0 }, { FIELD_CODE, 4 } } },
	{ ".smp_locks", NULL, 4, { { FIELD_CODE, 0 } } },
	{ ".ibt_endbr_seal", NULL, 4, { { FIELD_CODE, 0 } } },
};

/* A relocation of code, by the place that it changes. */
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

/* Does SHT_RELA section @i change a section of code that is loaded? */
static bool changes_code(const struct module *m, u32 i)
{
	const u64 both = SHF_ALLOC | SHF_EXECINSTR;
	const Elf64_Shdr *h = &m->sections[i].h;

	return h->sh_type == SHT_RELA && h->sh_info < m->n_sections &&
	       (m->sections[h->sh_info].h.sh_flags & both) == both;
}

static int operands_collect(struct walk *w)
{
	const struct module *m = w->module;
	bool sorted = true;
	size_t n = 0;

	for (u32 i = 1; i < m->n_sections; i++)
		if (changes_code(m, i))
			n += module_rela_count(&m->sections[i]);
	w->operands = malloc((n + 1) * sizeof(*w->operands));
	if (!w->operands)
		return err_set(w->e, -ENOMEM, "%s: out of memory", m->label);
	for (u32 i = 1; i < m->n_sections; i++) {
		u64 count = changes_code(m, i) ? module_rela_count(&m->sections[i]) : 0;

		for (u64 j = 0; j < count; j++) {
			struct operand *o = &w->operands[w->n_operands];
			Elf64_Rela r;
			u32 type;

			module_rela(m, &m->sections[i], j, &r);
			type = (u32)ELF64_R_TYPE(r.r_info);
			if (type == R_X86_64_NONE)
				continue; /* of a place that objtool has made a nop */
			o->section = m->sections[i].h.sh_info;
			o->symbol = (u32)ELF64_R_SYM(r.r_info);
			o->at = r.r_offset;
			o->end = o->at + (type == R_X86_64_64 || type == R_X86_64_PC64 ? 8 : 4);
			w->n_operands++;
			sorted = sorted && (o == w->operands || operands_by_place(o - 1, o) < 0);
		}
	}
	if (!sorted)
		qsort(w->operands, w->n_operands, sizeof(*w->operands), operands_by_place);
	/* The later one would change what was checked of the earlier one. */
	for (size_t i = 1; i < w->n_operands; i++)
		if (w->operands[i].section == w->operands[i - 1].section &&
		    w->operands[i].at < w->operands[i - 1].end)
			return err_set(w->e, -EINVAL,
				       "%s: cannot be linked: two relocations change %s+%#llx",
				       m->label, m->sections[w->operands[i].section].name,
				       (unsigned long long)w->operands[i].at);
	return 0;
}

/* The name of what the operand at @at of section @section refers to; NULL: it has no relocation. */
static const char *operand_name(const struct walk *w, u32 section, u64 at)
{
	const struct operand key = { .section = section, .at = at };
	const struct operand *o;
	Elf64_Sym sym;

	o = bsearch(&key, w->operands, w->n_operands, sizeof(key), operands_by_place);
	if (!o)
		return NULL;
	module_symbol(w->module, o->symbol, &sym);
	return module_symbol_name(w->module, &sym);
}

static bool name_begins(const char *name, const char *with)
{
	return name && !strncmp(name, with, strlen(with));
}

/* Is the instruction at @at of section @section what the kernel expects at a site of this kind? */
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
	memcpy(in, w->module->data + h->sh_offset + at, len < sizeof(in) ? len : sizeof(in));
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

/* Does a branch into the kernel's text stand at such a site once the kernel has patched it? */
static bool becomes_kernel_branch(enum field_kind kind)
{
	return kind == FIELD_ALTERNATIVE || kind == FIELD_RETURN || kind == FIELD_RETPOLINE ||
	       kind == FIELD_STATIC_CALL || kind == FIELD_FENTRY || kind == FIELD_PARAVIRT;
}

static int table_odd(const struct walk *w, const struct table *t, u64 at, const char *what)
{
	return err_set(w->e, -EINVAL,
		       "%s: cannot be linked: entry at %s+%#llx %s; the kernel would patch by it",
		       w->module->label, t->section, (unsigned long long)at, what);
}

/* Member @name, of one byte, of @entry; -1: the kernel's entries have none. */
static int entry_byte(const struct walk *w, const struct table *t, const u8 *entry,
		      const char *name)
{
	u32 at, size;

	if (!t->entry || kernel_member(w->kernel, t->entry, name, &at, &size) || size != 1)
		return -1;
	return entry[at];
}

/*
 * What an entry says beside its places: an alternative must fit where it goes and lie in the driver's
 * code as a whole, a paravirt call must be one of those that the kernel has. @at is where @field leads
 * in a section of @len bytes.
 */
static bool entry_fits(const struct walk *w, const struct table *t, const struct field *field,
		       const u8 *entry, u64 at, u64 len)
{
	int instr, other;
	u32 calls = 0;

	if (!t->entry)
		return true;
	if (field->kind == FIELD_PARAVIRT) {
		other = entry_byte(w, t, entry, "type");
		return other < 0 ||
		       kernel_struct_size(w->kernel, "paravirt_patch_template", &calls) ||
		       (u32)other < calls / 8;
	}
	instr = entry_byte(w, t, entry, "instrlen");
	other = entry_byte(w, t, entry, "replacementlen");
	if (instr < 0 || other < 0)
		return true;
	return other <= instr && (u64)(field->kind == FIELD_CODE ? other : instr) <= len - at;
}

/* The relocation @r gives @field of an entry of @t its value. */
static int check_field(const struct walk *w, const struct table *t, const struct field *field,
		       const Elf64_Rela *r, const u8 *entry)
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
	if (!entry_fits(w, t, field, entry, at, in->h.sh_size))
		return table_odd(w, t, r->r_offset, "is larger than its place");
	if (field->kind == FIELD_CODE)
		return 0;
	if (!instruction_is(w, field->kind, sym.st_shndx, at))
		return table_odd(w, t, r->r_offset, "names another instruction than it is for");
	return w->site && becomes_kernel_branch(field->kind) ? w->site(w->arg, in, at) : 0;
}

/* The fields of @t in the table @i, each of which must have one relocation. */
static int check_table(const struct walk *w, const struct table *t, u32 i)
{
	const struct module *m = w->module;
	const Elf64_Shdr *h = &m->sections[i].h;
	u32 size = t->size, n_fields = 0;
	u64 n, found = 0;
	u8 *seen = NULL;
	int ret = 0;

	if (t->entry)
		(void)kernel_struct_size(w->kernel, t->entry, &size);
	while (t->fields[n_fields].kind != FIELD_END)
		n_fields++;
	if (!h->sh_size)
		return 0;
	if (!(h->sh_flags & SHF_ALLOC) || h->sh_type != SHT_PROGBITS || h->sh_size % size)
		return table_odd(w, t, h->sh_size, "is not as the kernel expects it");
	n = h->sh_size / size;
	seen = calloc(n, 1);
	if (!seen)
		return err_set(w->e, -ENOMEM, "%s: out of memory", m->label);
	for (u32 s = 1; !ret && s < m->n_sections; s++) {
		const struct module_section *rela = &m->sections[s];
		u64 count = rela->h.sh_type == SHT_RELA && rela->h.sh_info == i
				    ? module_rela_count(rela)
				    : 0;

		for (u64 j = 0; !ret && j < count; j++) {
			u32 f = 0;
			Elf64_Rela r;

			module_rela(m, rela, j, &r);
			while (f < n_fields && t->fields[f].at != r.r_offset % size)
				f++;
			if (ELF64_R_TYPE(r.r_info) == R_X86_64_NONE)
				continue; /* leaves the number that is there */
			if (f == n_fields || seen[r.r_offset / size] & 1U << f) {
				ret = table_odd(w, t, r.r_offset, "is relocated in an odd place");
				break;
			}
			seen[r.r_offset / size] |= (u8)(1U << f);
			found++;
			ret = check_field(w, t, &t->fields[f], &r,
					  m->data + h->sh_offset + r.r_offset / size * size);
		}
	}
	if (!ret && found != n * n_fields)
		ret = table_odd(w, t, 0, "or another has a number instead of a place");
	free(seen);
	return ret;
}

int patch_tables_walk(const struct kernel *k, const struct module *m, patch_site_fn *site,
		      void *arg, struct err *e)
{
	struct walk w = { .kernel = k, .module = m, .site = site, .arg = arg, .e = e };
	int ret = operands_collect(&w);

	for (u32 i = 1; !ret && i < m->n_sections; i++)
		for (size_t t = 0; !ret && t < ARRAY_SIZE(tables); t++)
			if (!strcmp(m->sections[i].name, tables[t].section))
				ret = check_table(&w, &tables[t], i);
	free(w.operands);
	return ret;
}
