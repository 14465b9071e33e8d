// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds the functions of its own whose addresses a driver hands out, and the references by which it
 * does: what the kernel may call.
 *
 * Over all modules of Debian's kernels such a reference is R_X86_64_64 in data or R_X86_64_32S in
 * code (`mov`, `push`, `cmp`), to the function's symbol or to its section's with an addend. No
 * compiler takes an own function's address by a distance (`lea`). So no instruction is decoded, and
 * data and comparisons are led alike.
 *
 * What is led is a function of C, by its symbol: STT_FUNC, with a size. Code that is written in
 * assembler names its inner places without a type, and may compute with their addresses (the
 * operations of KVM's emulator, em_add + 16 * size, do).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/plan_int.h"

#define NO_SYMBOL UINT32_MAX

/* Sections, by how their names begin, in which an address is more than one to be called. */
static const char *const tables[] = {
	/* What a tracepoint calls; registered as calls that are patched into code. */
	"__tracepoints",
	"__bpf_raw_tp_map",
	/* The kernel looks faults, warnings, forbidden probes and stack frames up in them. */
	"__bug_table",
	"__ex_table",
	"_kprobe_blacklist",
	"_error_injection_whitelist",
	".orc_unwind",
	/* It patches the code that they name. */
	".altinstructions",
	".parainstructions",
	".smp_locks",
	"__mcount_loc",
	"__jump_table",
	".static_call_sites",
	".static_call_tramp_key",
	".retpoline_sites",
	".return_sites",
	".call_sites",
	".ibt_endbr_seal",
	/* Exports are found by name, and called directly; types have no code. */
	"__ksymtab",
	"__kcrctab",
	".BTF",
};

static bool is_table(const char *section)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (!strncmp(section, tables[i], strlen(tables[i])))
			return true;
	return false;
}

/* A place in the driver's code to which something refers, and how many do. */
struct place {
	u64 value;
	u32 section;
	u32 symbol; /* of the function that begins there; NO_SYMBOL: none is known */
	unsigned references;
	bool exported;
	u32 entry; /* among plan.inward */
};

/* A reference whose place may be a function's begin. */
struct reference_to {
	u64 rela_at;
	struct place to;
};

struct finder {
	struct link_plan *plan;
	u32 init_at; /* where struct module has the address of the driver's init */
	u32 exit_at;
	struct place init, exit; /* section 0: it has none */
	struct reference_to *list;
	size_t n, max;
	struct place *places; /* sorted, each once */
	size_t n_places;
};

static int places_in_order(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;

	if (a->section != b->section)
		return a->section < b->section ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

static struct place *find_place(const struct finder *f, u32 section, u64 value)
{
	const struct place key = { .section = section, .value = value };

	return bsearch(&key, f->places, f->n_places, sizeof(key), places_in_order);
}

static int add_reference_to(struct finder *f, u64 rela_at, u32 section, u64 value)
{
	if (f->n == f->max) {
		size_t max = f->max ? f->max * 2 : 128;
		struct reference_to *list = realloc(f->list, max * sizeof(*list));

		if (!list)
			return -ENOMEM;
		f->list = list;
		f->max = max;
	}
	f->list[f->n++] = (struct reference_to){
		rela_at, { .value = value, .section = section, .symbol = NO_SYMBOL }
	};
	return 0;
}

static bool is_static_call(const struct module_section *s)
{
	return !strncmp(s->name, ".static_call.text", strlen(".static_call.text"));
}

/*
 * Returns why a reference from @to is left alone whatever it leads to, or INWARD_LEFT_REASONS. The
 * init is called once, by the loader, from memory that is freed afterwards, and neither it nor who
 * traces it (initcall_blacklist=) would know an entry; the exit is led as any other.
 */
static enum inward_left left_by_place(const struct finder *f, const struct module_section *to,
				      u64 offset)
{
	const struct module *m = f->plan->module;

	if (is_table(to->name))
		return LEFT_TABLE;
	if (to == &m->sections[m->idx.this_module] && offset == f->init_at)
		return LEFT_INIT;
	return INWARD_LEFT_REASONS;
}

/* Looks at a reference by address to a symbol of the module's own. */
static int look_at_own(struct finder *f, const struct module_section *to, const Elf64_Rela *r,
		       u64 rela_at)
{
	struct link_plan *p = f->plan;
	const struct module *m = p->module;
	const struct module_section *in;
	enum inward_left left;
	Elf64_Sym sym;
	u64 value;

	module_symbol(m, (u32)ELF64_R_SYM(r->r_info), &sym);
	if (sym.st_shndx == SHN_UNDEF || sym.st_shndx >= m->n_sections)
		return 0;
	in = &m->sections[sym.st_shndx];
	if (!(in->h.sh_flags & SHF_EXECINSTR) || !(in->h.sh_flags & SHF_ALLOC))
		return 0;
	value = sym.st_value + (u64)r->r_addend;
	left = left_by_place(f, to, r->r_offset);
	if (to == &m->sections[m->idx.this_module] && r->r_offset == f->exit_at)
		f->exit = (struct place){ .value = value, .section = sym.st_shndx };
	if (left == LEFT_INIT)
		f->init = (struct place){ .value = value, .section = sym.st_shndx };
	if (left == INWARD_LEFT_REASONS && is_static_call(in))
		left = LEFT_STATIC_CALL;
	if (left == INWARD_LEFT_REASONS && ELF64_ST_TYPE(sym.st_info) != STT_SECTION &&
	    (ELF64_ST_TYPE(sym.st_info) != STT_FUNC || !sym.st_size || r->r_addend))
		left = LEFT_LABEL;
	if (left != INWARD_LEFT_REASONS) {
		p->left[left]++;
		return 0;
	}
	return add_reference_to(f, rela_at, sym.st_shndx, value);
}

/* Notes a reference by address to what another driver of the session exports. */
static int add_peer(struct link_plan *p, const struct module_section *to, u32 import, u64 rela_at)
{
	struct address_site *list;

	if (!p->imports[import].provider || p->imports[import].kind != SYMBOL_FUNCTION ||
	    is_table(to->name))
		return 0;
	list = realloc(p->addresses, (p->n_addresses + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	p->addresses = list;
	list[p->n_addresses++] = (struct address_site){ rela_at, import, true };
	return 0;
}

static int look_at_section(struct finder *f, const struct module_section *rela)
{
	const struct module *m = f->plan->module;
	const struct module_section *to = &m->sections[rela->h.sh_info];
	const u8 *at = m->data + rela->h.sh_offset;
	const u8 *end = at + module_rela_count(rela) * sizeof(Elf64_Rela);
	int ret = 0;

	for (; !ret && at < end; at += sizeof(Elf64_Rela)) {
		u64 info = load_u64(at + offsetof(Elf64_Rela, r_info));
		u32 import;
		Elf64_Rela r;

		if (ELF64_R_TYPE(info) != R_X86_64_64 && ELF64_R_TYPE(info) != R_X86_64_32S)
			continue;
		memcpy(&r, at, sizeof(r));
		import = f->plan->import_of[ELF64_R_SYM(info)];
		if (import != NO_IMPORT)
			ret = add_peer(f->plan, to, import, (u64)(at - m->data));
		else
			ret = look_at_own(f, to, &r, (u64)(at - m->data));
	}
	return ret;
}

/* Sorts the places of all references and exports, each once. */
static int sort_places(struct finder *f)
{
	const struct module *m = f->plan->module;
	size_t n = 0, all = f->n + m->n_exports;

	f->places = calloc(all + 1, sizeof(*f->places));
	if (!f->places)
		return -ENOMEM;
	for (size_t i = 0; i < f->n; i++) {
		f->places[n] = f->list[i].to;
		f->places[n++].references = 1;
	}
	for (size_t i = 0; i < m->n_exports; i++) {
		const struct module_export *x = &m->exports[i];

		if (x->class == SYMBOL_FUNCTION && !is_static_call(&m->sections[x->section]))
			f->places[n++] = (struct place){ .value = x->value,
							 .section = x->section,
							 .symbol = NO_SYMBOL,
							 .exported = true };
	}
	qsort(f->places, n, sizeof(*f->places), places_in_order);
	for (size_t i = 0; i < n; i++) {
		struct place *last = f->n_places ? &f->places[f->n_places - 1] : NULL;

		if (last && !places_in_order(last, &f->places[i])) {
			last->references += f->places[i].references;
			last->exported |= f->places[i].exported;
		} else {
			f->places[f->n_places++] = f->places[i];
		}
	}
	return 0;
}

/*
 * Returns true for a symbol that is a function's begin. The compiler puts a function's unlikely
 * parts elsewhere, as one with ".cold" in its name: a place inside, which no pointer leads to.
 */
static bool is_function(const struct module *m, const Elf64_Sym *sym)
{
	return ELF64_ST_TYPE(sym->st_info) == STT_FUNC && sym->st_size &&
	       !strstr(module_symbol_name(m, sym), ".cold");
}

/* Finds the functions that begin at the places, and lists them in the order of the places. */
static int name_places(struct finder *f)
{
	struct link_plan *p = f->plan;
	const struct module *m = p->module;

	for (u32 i = 1; f->n_places && i < m->n_symbols; i++) {
		struct place *x;
		Elf64_Sym sym;

		module_symbol(m, i, &sym);
		if (sym.st_shndx == SHN_UNDEF || sym.st_shndx >= m->n_sections ||
		    !is_function(m, &sym))
			continue;
		x = find_place(f, sym.st_shndx, sym.st_value);
		if (x && x->symbol == NO_SYMBOL)
			x->symbol = i;
	}
	p->inward = calloc(f->n_places + 1, sizeof(*p->inward));
	if (!p->inward)
		return -ENOMEM;
	for (size_t i = 0; i < f->n_places; i++) {
		struct place *x = &f->places[i];
		Elf64_Sym sym;

		/* All of the init's are left, since one is, and modpost's macros make a second. */
		if (!places_in_order(x, &f->init)) {
			x->symbol = NO_SYMBOL;
			p->left[LEFT_INIT] += x->references;
			continue;
		}
		if (x->symbol == NO_SYMBOL) {
			p->left[LEFT_LABEL] += x->references;
			continue;
		}
		module_symbol(m, x->symbol, &sym);
		x->entry = (u32)p->n_inward;
		p->inward[p->n_inward++] = (struct link_inward){
			.name = module_symbol_name(m, &sym),
			.symbol = x->symbol,
			.args = KERNEL_ARGS_UNKNOWN,
			.references = x->references,
			.exported = x->exported,
			.is_exit = !places_in_order(x, &f->exit),
		};
	}
	return 0;
}

/* Lists the references whose places are functions. */
static int list_addresses(struct finder *f)
{
	struct link_plan *p = f->plan;
	struct address_site *list =
		realloc(p->addresses, (p->n_addresses + f->n + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	p->addresses = list;
	for (size_t i = 0; i < f->n; i++) {
		const struct reference_to *c = &f->list[i];
		const struct place *x = find_place(f, c->to.section, c->to.value);

		if (x && x->symbol != NO_SYMBOL)
			list[p->n_addresses++] =
				(struct address_site){ c->rela_at, x->entry, false };
	}
	return 0;
}

int plan_inward(struct link_plan *p, struct err *e)
{
	const struct module *m = p->module;
	struct finder f = { .plan = p };
	u32 size;
	int ret;

	ret = kernel_member(p->kernel, "module", "init", &f.init_at, &size);
	if (!ret)
		ret = kernel_member(p->kernel, "module", "exit", &f.exit_at, &size);
	if (ret)
		return err_set(e, -EINVAL, "%s: its struct module is not known",
			       kernel_path(p->kernel));
	for (u32 i = 1; !ret && i < m->n_sections; i++) {
		const Elf64_Shdr *h = &m->sections[i].h;

		if (h->sh_type == SHT_RELA && h->sh_info < m->n_sections &&
		    (m->sections[h->sh_info].h.sh_flags & SHF_ALLOC))
			ret = look_at_section(&f, &m->sections[i]);
	}
	if (!ret)
		ret = sort_places(&f);
	if (!ret)
		ret = name_places(&f);
	if (!ret)
		ret = list_addresses(&f);
	if (!ret)
		ret = module_read_results(p->kernel, m, p->inward, p->n_inward);
	free(f.list);
	free(f.places);
	return ret ? err_set(e, -ENOMEM, "%s: out of memory", m->label) : 0;
}

const struct link_inward *link_plan_inward(const struct link_plan *p, size_t *count)
{
	*count = p->n_inward;
	return p->inward;
}

unsigned link_plan_left(const struct link_plan *p, enum inward_left why)
{
	return p->left[why];
}

const char *inward_left_text(enum inward_left why)
{
	switch (why) {
	case LEFT_TABLE:
		return "in a table by which the kernel finds or patches code";
	case LEFT_STATIC_CALL:
		return "of a static call, which the kernel patches";
	case LEFT_INIT:
		return "of its init, which is called once";
	case LEFT_LABEL:
	case INWARD_LEFT_REASONS:
	default:
		return "of a place that is no function of C";
	}
}
