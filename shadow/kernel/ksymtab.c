// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the kernel's export table, and classes each export.
 *
 * A wrong class wedges the guest (an oops in the loader's notifiers leaves a mutex held), so only
 * an export that is proved to be an ordinary function is SYMBOL_FUNCTION: it lies in .text, has a
 * prototype in BTF, is not one of the names that the kernel patches or compares at call sites, and
 * leaves room for a jump before the next such entry. Everything else is left alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel_int.h"

#define ENTRY_SIZE 12 /* struct kernel_symbol, CONFIG_HAVE_ARCH_PREL32_RELOCATIONS */
#define JMP_SIZE   5

/*
 * Returns true for functions whose call sites are rewritten, or must have exactly this target,
 * whatever BTF says.
 */
static bool is_patched(const char *name)
{
	static const char *const names[] = { "__fentry__", "mcount", "x86_verw_sel",
					     "asm_exc_nmi_noist" };
	static const char *const prefixes[] = {
		"__x86_indirect_",		  /* retpolines: apply_retpolines() */
		"__x86_return_thunk",		  /* apply_returns() */
		"its_return_thunk",    "__SCT__", /* static calls */
		"__put_user_nocheck_",		  /* no prototype, arguments in odd registers */
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static bool section_holds(const struct section *s, u64 addr)
{
	return addr >= s->addr && addr - s->addr < s->size;
}

static enum symbol_class classify_export(const struct kernel *k, const struct kernel_export *x)
{
	if (section_holds(&k->sec.percpu, x->addr))
		return SYMBOL_PERCPU;
	if (x->addr >= k->text_start && x->addr < k->text_end)
		return x->btf_id && !is_patched(x->name) ? SYMBOL_FUNCTION : SYMBOL_SPECIAL;
	/* .text behind _etext; whatever is there, it is not in the shadow */
	if (section_holds(&k->sec.text, x->addr))
		return SYMBOL_SPECIAL;
	return SYMBOL_DATA;
}

/*
 * Returns true for code that begins with a place for ftrace, which the compiler puts there (-pg
 * -mfentry), behind ENDBR64 with IBT; nobody does in assembler. @fentry: 0 if there is none.
 */
static bool has_place_for_ftrace(const struct kernel *k, u64 addr, u64 fentry)
{
	static const u8 endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa }, nop[] = { 0x0f, 0x1f, 0x44, 0, 0 };
	const struct section *text = &k->sec.text;
	const u64 off = addr - text->addr;
	const u8 *p;

	if (!fentry || !text->data || !section_holds(text, addr) ||
	    text->size - off < sizeof(endbr) + JMP_SIZE)
		return false;
	p = text->data + off;
	if (!memcmp(p, endbr, sizeof(endbr))) {
		p += sizeof(endbr);
		addr += sizeof(endbr);
	}
	return !memcmp(p, nop, sizeof(nop)) ||
	       (*p == 0xe8 && addr + JMP_SIZE + (u64)(s64)(s32)load_u32(p + 1) == fentry);
}

/* Returns a name that ends within __ksymtab_strings, or NULL. */
static const char *ksymtab_string_at(const struct section *strings, u64 addr)
{
	u64 off = addr - strings->addr;

	if (!section_holds(strings, addr) || !memchr(strings->data + off, 0, strings->size - off))
		return NULL;
	return (const char *)strings->data + off;
}

/* Returns the target of a PREL32, an address relative to the place where it stands. */
static u64 prel32_target(const struct section *s, u64 off)
{
	return s->addr + off + (u64)(s64)(s32)load_u32(s->data + off);
}

static int read_entry(const struct kernel *k, const struct section *tab, u64 off, u64 fentry,
		      struct kernel_export *x)
{
	x->name = ksymtab_string_at(&k->sec.strings, prel32_target(tab, off + 4));
	if (!x->name || !*x->name)
		return -EINVAL;
	if (load_u32(tab->data + off + 8)) {
		x->ns = ksymtab_string_at(&k->sec.strings, prel32_target(tab, off + 8));
		if (!x->ns)
			return -EINVAL;
		if (!*x->ns)
			x->ns = NULL;
	}
	x->addr = prel32_target(tab, off);
	x->btf_id = types_function(&k->types, x->name);
	x->class = classify_export(k, x);
	x->compiled = x->class == SYMBOL_FUNCTION && has_place_for_ftrace(k, x->addr, fentry);
	return 0;
}

static int read_export_table(struct kernel *k, unsigned which, struct err *e)
{
	const struct section *tab = &k->sec.ksymtab[which], *crc = &k->sec.kcrctab[which];
	size_t n = tab->data ? tab->size / ENTRY_SIZE : 0;
	bool has_crc = crc->data && crc->size == n * 4;
	const u64 fentry = kernel_symbol(k, "__fentry__");

	if (n && tab->size % ENTRY_SIZE)
		return err_set(e, -EINVAL, "%s: its export table is in a form that is not known",
			       k->path);
	for (size_t i = 0; i < n; i++) {
		struct kernel_export *x = &k->exports.list[k->exports.count];

		if (read_entry(k, tab, i * ENTRY_SIZE, fentry, x))
			return err_set(e, -EINVAL, "%s: entry %zu of its export table is damaged",
				       k->path, i);
		x->gpl_only = which == 1;
		x->has_crc = has_crc;
		if (has_crc)
			x->crc = load_u32(crc->data + 4 * i);
		if (!strmap_add(&k->exports.map, x->name, (u32)k->exports.count))
			return err_set(e, -EINVAL, "%s: exports \"%.64s\" twice: damaged", k->path,
				       x->name);
		k->exports.count++;
	}
	return 0;
}

static int exports_by_addr(const void *pa, const void *pb, void *arg)
{
	const struct kernel_export *list = arg;
	const struct kernel_export *a = &list[*(const u32 *)pa], *b = &list[*(const u32 *)pb];

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void collect_functions(struct exports *x)
{
	x->n_functions = 0;
	for (size_t i = 0; i < x->count; i++)
		if (x->list[i].class == SYMBOL_FUNCTION)
			x->by_addr[x->n_functions++] = (u32)i;
	qsort_r(x->by_addr, x->n_functions, sizeof(*x->by_addr), exports_by_addr, x->list);
}

/*
 * Drops entries that would overlap, since they cannot both hold a jump; aliases, at one address,
 * share theirs.
 */
static void exports_drop_crowded(struct exports *x)
{
	size_t group = 0; /* where the aliases of the previous address begin */

	for (size_t i = 1; i < x->n_functions; i++) {
		u64 prev = x->list[x->by_addr[i - 1]].addr, addr = x->list[x->by_addr[i]].addr;

		if (addr == prev)
			continue;
		if (addr - prev < JMP_SIZE) {
			for (size_t j = group; j < x->n_functions; j++) {
				struct kernel_export *ex = &x->list[x->by_addr[j]];

				if (ex->addr > addr)
					break;
				ex->class = SYMBOL_SPECIAL;
			}
		}
		group = i;
	}
	collect_functions(x);
}

int exports_load(struct kernel *k, struct err *e)
{
	struct exports *x = &k->exports;
	size_t n = 0;
	int ret;

	for (unsigned i = 0; i < 2; i++)
		n += k->sec.ksymtab[i].data ? k->sec.ksymtab[i].size / ENTRY_SIZE : 0;
	x->list = calloc(n + 1, sizeof(*x->list));
	x->by_addr = calloc(n + 1, sizeof(*x->by_addr));
	ret = x->list && x->by_addr ? strmap_init(&x->map, n) : -ENOMEM;
	if (ret)
		return err_set(e, ret, "%s: out of memory", k->path);
	for (unsigned i = 0; i < 2; i++) {
		ret = read_export_table(k, i, e);
		if (ret)
			return ret;
	}
	collect_functions(x);
	exports_drop_crowded(x);
	return 0;
}

void exports_free(struct exports *x)
{
	free(x->list);
	free(x->by_addr);
	strmap_free(&x->map);
	memset(x, 0, sizeof(*x));
}

const struct kernel_export *kernel_function(const struct kernel *k, size_t i)
{
	const struct exports *x = &k->exports;

	return i < x->n_functions ? &x->list[x->by_addr[i]] : NULL;
}

size_t kernel_function_from(const struct kernel *k, u64 addr)
{
	size_t lo = 0, hi = k->exports.n_functions;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (kernel_function(k, mid)->addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct kernel_export *kernel_export(const struct kernel *k, const char *name)
{
	u32 i;

	return strmap_find(&k->exports.map, name, &i) ? &k->exports.list[i] : NULL;
}

const struct kernel_export *kernel_exports(const struct kernel *k, size_t *count)
{
	*count = k->exports.count;
	return k->exports.list;
}
