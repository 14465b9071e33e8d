// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests every module of a Debian kernel's package, in one session: planned in dependency order,
 * copied, and the copies read again by libelf, which computes where each branch will end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <elf.h>
#include <libelf.h>
#include <limits.h>

#include "base/fnv.h"
#include "base/sanitizer.h"
#include "base/x86_insn.h"
#include "tests/unit/shadow/images.h"

#define KASLR	    0x1da00000ull
#define SHADOW	    0xffffffffc03d1000ull
#define MODULES	    0xffffffffc0000000ull
#define MODULES_END 0xffffffffff000000ull
#define GATES	    0xffffffffc2000000ull
#define INWARD	    0xffffffffc3000003ull /* the first inward entry of each driver */
#define PEERS	    0xffffffffc4000000ull /* the inward entries of other drivers' exports */
#define SUFFIX	    "__s1"
#define MAX	    4096

struct module_file {
	struct module *m;
	char path[PATH_MAX];
	char private[56];
	bool seen, linked;
};

static unsigned pages_of[4096]; /* of each driver's entries, both ways */
static size_t n_pages;
static size_t n_handed, n_entries, most_entries, n_functions, n_left[INWARD_LEFT_REASONS];
static struct module_file drivers[MAX];
static size_t n_drivers;
static const struct kernel *kernel;

static const char *const critical[] = { "filp_open",	      "filp_close",
					"kernel_write",	      "misc_register",
					"misc_deregister",    "register_netdevice",
					"rtnl_link_register", "call_usermodehelper" };

static bool is_critical(void *arg, const char *symbol)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(critical); i++)
		if (!strcmp(critical[i], symbol))
			return true;
	return false;
}

static u64 gate_of(void *arg, const char *symbol)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(critical); i++)
		if (!strcmp(critical[i], symbol))
			return GATES + 64 * i;
	return 0;
}

static u64 entry_of(void *arg, const struct import *im)
{
	return im->critical ? gate_of(arg, im->symbol) : shadow_entry(kernel, SHADOW, im);
}

static u64 inward_of(void *arg, size_t i)
{
	(void)arg;
	return INWARD + 24 * i;
}

static u64 peer_of(void *arg, const struct import *im)
{
	(void)arg;
	return PEERS + fnv_string(FNV_START, im->symbol) % 0x100000;
}

static const struct link_rules rules = { .critical = is_critical };
static const struct link_addresses addresses = {
	.kaslr = KASLR,
	.modules = MODULES,
	.modules_end = MODULES_END,
	.entry = entry_of,
	.inward = inward_of,
	.peer = peer_of,
};

static int add_driver(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t n = strlen(path);
	struct err e = { "" };

	(void)st;
	(void)ftw;
	if (type != FTW_F || n < 4 || strcmp(path + n - 3, ".ko") != 0 || n_drivers == MAX)
		return 0;
	if (module_open(&drivers[n_drivers].m, path, &e)) {
		printf("%s\n", e.text);
		return 1;
	}
	snprintf(drivers[n_drivers].private, sizeof(drivers[0].private), "%.44s" SUFFIX,
		 module_name(drivers[n_drivers].m));
	snprintf(drivers[n_drivers++].path, PATH_MAX, "%s", path);
	return 0;
}

static struct module_file *find_driver(const char *name, size_t len)
{
	for (size_t i = 0; i < n_drivers; i++) {
		const char *have = module_name(drivers[i].m);
		size_t j = 0;

		/* "depends" has the name of the file, with '-' for some '_' */
		while (j < len && (have[j] == name[j] || (have[j] == '_' && name[j] == '-')))
			j++;
		if (j == len && !have[len])
			return &drivers[i];
	}
	return NULL;
}

/* --- what libelf says of a copy ------------------------------------------------------------- */
struct view {
	Elf *elf;
	size_t shstrndx;
	Elf64_Sym *syms;
	size_t n_syms;
	size_t strndx;
};

static Elf_Data *section(const struct view *v, const char *name)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(v->elf, scn)))
		if (!strcmp(elf_strptr(v->elf, v->shstrndx, elf64_getshdr(scn)->sh_name), name))
			return elf_rawdata(scn, NULL);
	return NULL;
}

static void view_open(struct view *v, void *data, size_t len)
{
	Elf_Scn *scn = NULL;

	memset(v, 0, sizeof(*v));
	v->elf = elf_memory(data, len);
	assert_non_null(v->elf);
	assert_int_equal(elf_getshdrstrndx(v->elf, &v->shstrndx), 0);
	while ((scn = elf_nextscn(v->elf, scn))) {
		const Elf64_Shdr *sh = elf64_getshdr(scn);

		if (sh->sh_type != SHT_SYMTAB)
			continue;
		v->syms = elf_getdata(scn, NULL)->d_buf;
		v->n_syms = sh->sh_size / sizeof(*v->syms);
		v->strndx = sh->sh_link;
	}
	assert_non_null(v->syms);
}

static const char *symbol_name(const struct view *v, size_t i)
{
	return elf_strptr(v->elf, v->strndx, v->syms[i].st_name);
}

/*
 * Checks where a branch to an undefined symbol ends, by kallsyms (not by the table that the linker
 * uses).
 */
static void check_branch(const char *name, const Elf64_Rela *r, size_t *checked)
{
	u64 real = kernel_symbol(kernel, name) + KASLR;
	u64 target = real + (u64)r->r_addend + 4;
	const struct kernel_export *ex = kernel_export(kernel, name);

	assert_non_null(ex);
	if (is_critical(NULL, name)) {
		assert_true(target == gate_of(NULL, name));
	} else if (ex->class == SYMBOL_FUNCTION) {
		assert_true(target == SHADOW + (real - KASLR - 0xffffffff81000000ull));
	} else {
		assert_int_equal(ex->class, SYMBOL_SPECIAL);
		assert_int_equal(r->r_addend, -4);
		return;
	}
	/* what the kernel's loader cuts to 32 bits, from both ends of the module range */
	assert_in_range(target - MODULES + 0x80000000ull, 0, 0xffffffff);
	assert_true((s64)(target - MODULES_END) >= INT32_MIN);
	++*checked;
}

static void check_relocations(const struct view *v, size_t *branches)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(v->elf, scn))) {
		const Elf64_Shdr *sh = elf64_getshdr(scn), *to;
		const Elf64_Rela *r;

		if (sh->sh_type != SHT_RELA)
			continue;
		to = elf64_getshdr(elf_getscn(v->elf, sh->sh_info));
		if (!(to->sh_flags & SHF_ALLOC))
			continue;
		r = elf_getdata(scn, NULL)->d_buf;
		for (size_t i = 0; i < sh->sh_size / sizeof(*r); i++) {
			size_t idx = ELF64_R_SYM(r[i].r_info);
			const char *name = symbol_name(v, idx);

			if (v->syms[idx].st_shndx != SHN_UNDEF || !idx ||
			    strstr(name, SUFFIX)) /* of the session: linked by its own name */
				continue;
			if (ELF64_R_TYPE(r[i].r_info) == R_X86_64_PLT32)
				check_branch(name, &r[i], branches);
			else
				assert_true(r[i].r_addend < 0x10000000);
		}
	}
}

/*
 * Checks that every undefined symbol is exported by the kernel or, by its private name, by a
 * driver.
 */
static void check_imports(const struct view *v, char (*known)[56], size_t n_known)
{
	Elf_Data *d = section(v, "__versions");

	for (size_t i = 1; i < v->n_syms; i++) {
		const char *name = symbol_name(v, i);
		size_t j = 0;

		if (v->syms[i].st_shndx != SHN_UNDEF || !*name)
			continue;
		if (!strstr(name, SUFFIX)) {
			assert_non_null(kernel_export(kernel, name));
			continue;
		}
		while (j < n_known && strcmp(known[j], name) != 0)
			j++;
		assert_true(j < n_known);
		/* modversions: the CRC is found under the private name */
		for (j = 0; j < d->d_size / 64; j++)
			if (!strcmp((char *)d->d_buf + 64 * j + 8, name))
				break;
		assert_true(j < d->d_size / 64);
	}
}

/* Reads the names of __ksymtab*, through the relocations as the guest's loader would apply them. */
static size_t read_exports(const struct view *v, const char *table, char (*names)[56],
			   const struct module *original)
{
	Elf_Data *strings = section(v, "__ksymtab_strings"), *rela, *tab = section(v, table);
	char rela_name[64], prev[56] = "";
	const Elf64_Rela *r;
	size_t n;

	if (!tab)
		return 0;
	snprintf(rela_name, sizeof(rela_name), ".rela%s", table);
	rela = section(v, rela_name);
	r = rela->d_buf;
	n = tab->d_size / 12;
	for (size_t e = 0; e < n; e++) {
		const char *name = NULL;
		const char *target = NULL;

		for (size_t i = 0; i < rela->d_size / sizeof(*r); i++) {
			const Elf64_Sym *sym = &v->syms[ELF64_R_SYM(r[i].r_info)];

			if (r[i].r_offset == e * 12)
				target = symbol_name(v, ELF64_R_SYM(r[i].r_info));
			if (r[i].r_offset == e * 12 + 4)
				name = (char *)strings->d_buf + sym->st_value + r[i].r_addend;
		}
		if (!name || !target) {
			fail_msg("entry %zu of %s has no name or no target", e, table);
			return 0;
		}
		assert_true(name < (char *)strings->d_buf + strings->d_size);
		assert_true(strlen(name) < 56);
		assert_non_null(strstr(name, SUFFIX));
		/* the loader bisects */
		assert_true(strcmp(prev, name) < 0);
		snprintf(prev, sizeof(prev), "%s", name);
		snprintf(names[e], sizeof(names[e]), "%s", name);
		/* still the address of the function that it is the name of */
		if (strlen(target) + strlen(SUFFIX) < 56 && *target) {
			assert_memory_equal(name, target, strlen(target));
			assert_string_equal(name + strlen(target), SUFFIX);
		}
	}
	(void)original;
	return n;
}

/* CRCs moved with their names: compare with the original by name. */
static u32 crc_of(const struct view *v, const char *table, const char *crcs, const char *suffix,
		  const char *name)
{
	Elf_Data *strings = section(v, "__ksymtab_strings"), *rela, *crc = section(v, crcs);
	char rela_name[64], full[128];
	const Elf64_Rela *r;

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	snprintf(rela_name, sizeof(rela_name), ".rela%s", table);
	rela = section(v, rela_name);
	if (!rela || !crc)
		return 0;
	r = rela->d_buf;
	for (size_t i = 0; i < rela->d_size / sizeof(*r); i++) {
		const Elf64_Sym *sym = &v->syms[ELF64_R_SYM(r[i].r_info)];

		if (r[i].r_offset % 12 == 4 &&
		    !strcmp((char *)strings->d_buf + sym->st_value + r[i].r_addend, full)) {
			u32 v32;

			memcpy(&v32, (char *)crc->d_buf + r[i].r_offset / 12 * 4, 4);
			return v32;
		}
	}
	return 0;
}

/*
 * Checks that all code decodes, section by section, as `vmm driver verify` decodes it once it is
 * loaded: a relocation changes an operand, not a length. Adds the number of instructions.
 */
static void check_code(const struct view *v, const char *path, size_t *decoded)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(v->elf, scn))) {
		const Elf64_Shdr *sh = elf64_getshdr(scn);
		struct x86_insn in;
		const u8 *code;

		if (!(sh->sh_flags & SHF_EXECINSTR) || sh->sh_type != SHT_PROGBITS || !sh->sh_size)
			continue;
		code = elf_rawdata(scn, NULL)->d_buf;
		for (size_t at = 0; at < sh->sh_size; at += in.length, ++*decoded)
			if (x86_decode(code + at, sh->sh_size - at, &in))
				fail_msg("%s: %s+%#zx does not decode", path,
					 elf_strptr(v->elf, v->shstrndx, sh->sh_name), at);
	}
}

/* --- references by address to the driver's own functions ------------------------------------ */

/* What the loader makes of one, in the original: section and value, and in the copy. */
struct handed {
	u64 value, entry;
	u32 section;
};

static int handed_by_place(const void *pa, const void *pb)
{
	const struct handed *a = pa, *b = pb;

	if (a->section != b->section)
		return a->section < b->section ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

static const char *view_section_name(const struct view *v, size_t i)
{
	return elf_strptr(v->elf, v->shstrndx, elf64_getshdr(elf_getscn(v->elf, i))->sh_name);
}

/* Returns true for a symbol of code that is called: not of a static call's trampoline. */
static bool leads_to_code(const struct view *v, const Elf64_Sym *sym)
{
	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE)
		return false;
	return elf64_getshdr(elf_getscn(v->elf, sym->st_shndx))->sh_flags & SHF_EXECINSTR &&
	       strcmp(view_section_name(v, sym->st_shndx), ".static_call.text") != 0;
}

/*
 * Compares the relocations of one section in the original @o and the copy @v: one that was changed
 * was to code of the driver's or of another's, and is its entry's address now, by symbol 0. Lists
 * them.
 */
static size_t compare_section(const struct view *o, const struct view *v, size_t i,
			      struct handed *list, size_t max)
{
	const Elf64_Rela *was = elf_getdata(elf_getscn(o->elf, i), NULL)->d_buf;
	Elf_Data *d = elf_getdata(elf_getscn(v->elf, i), NULL);
	const Elf64_Rela *is = d->d_buf;
	size_t n = 0;

	for (size_t j = 0; j < d->d_size / sizeof(*is); j++) {
		const Elf64_Sym *sym = &o->syms[ELF64_R_SYM(was[j].r_info)];
		u32 type = ELF64_R_TYPE(was[j].r_info);

		assert_int_equal(type, ELF64_R_TYPE(is[j].r_info));
		if (was[j].r_info == is[j].r_info)
			continue;
		assert_true(type == R_X86_64_64 || type == R_X86_64_32S);
		assert_int_equal(ELF64_R_SYM(is[j].r_info), 0);
		if (sym->st_shndx == SHN_UNDEF) {
			assert_true((u64)is[j].r_addend - PEERS < 0x100000);
			continue;
		}
		assert_true(leads_to_code(o, sym));
		assert_true(n < max);
		list[n++] = (struct handed){ sym->st_value + (u64)was[j].r_addend,
					     (u64)is[j].r_addend, sym->st_shndx };
	}
	return n;
}

static size_t imports_led(const struct link_plan *p)
{
	size_t all, n = 0;
	const struct import *im = link_plan_imports(p, &all);

	for (size_t i = 0; i < all; i++)
		n += im[i].target == TARGET_SHADOW;
	return n;
}

static int unsigned_ascending(const void *pa, const void *pb)
{
	const unsigned *a = pa, *b = pb;

	return (*a > *b) - (*a < *b);
}

/* Returns how many functions' addresses the copy hands out, all of them as entries. */
static size_t check_handed(const struct view *o, const struct view *v, const struct link_plan *p)
{
	static struct handed list[65536];
	size_t n = 0, functions = 0, n_inward;
	const struct link_inward *in = link_plan_inward(p, &n_inward);
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(o->elf, scn))) {
		const Elf64_Shdr *sh = elf64_getshdr(scn);

		if (sh->sh_type == SHT_RELA)
			n += compare_section(o, v, elf_ndxscn(scn), list + n, ARRAY_SIZE(list) - n);
	}
	qsort(list, n, sizeof(*list), handed_by_place);
	for (size_t i = 0; i < n; i++) {
		const size_t entry = (list[i].entry - INWARD) / 24;
		const Elf64_Sym *sym;

		/* all references to one function are one entry's address, of that function alone */
		if (i && !handed_by_place(&list[i - 1], &list[i])) {
			assert_true(list[i].entry == list[i - 1].entry);
			continue;
		}
		assert_true(entry < n_inward && list[i].entry == inward_of(NULL, entry));
		sym = &v->syms[in[entry].symbol];
		assert_int_equal(sym->st_shndx, list[i].section);
		assert_true(sym->st_value == list[i].value);
		assert_int_equal(ELF64_ST_TYPE(sym->st_info), STT_FUNC);
		functions++;
	}
	n_handed += n;
	for (int why = 0; why < INWARD_LEFT_REASONS; why++)
		n_left[why] += link_plan_left(p, why);
	n_entries += n_inward;
	pages_of[n_pages++] = (unsigned)((imports_led(p) + 169) / 170 + (n_inward + 169) / 170);
	if (n_inward > most_entries)
		most_entries = n_inward;
	return functions;
}

static char (*all_exports)[56];
static size_t n_exports, n_branches, n_decoded, n_linked, n_planned, decode_each = 1;

static void check_copy(struct module_file *d, const struct link_plan *p, void *data, size_t len)
{
	static const char *const tables[] = { "__ksymtab", "__ksymtab_gpl" };
	static const char *const crcs[] = { "__kcrctab", "__kcrctab_gpl" };
	struct view v, o;
	struct module *again;
	struct err e = { "" };
	size_t first = n_exports, size = 0;
	u8 *original = slurp(d->path, &size);

	assert_non_null(original);
	if (module_parse(&again, "copy", data, len, &e))
		fail_msg("%s: the copy does not parse: %s", d->path, e.text);
	assert_string_equal(module_name(again), d->private);
	assert_int_equal(module_export_count(again), module_export_count(d->m));
	module_close(again);
	view_open(&v, data, len);
	view_open(&o, original, size);
	check_relocations(&v, &n_branches);
	n_functions += check_handed(&o, &v, p);
	if (n_planned % decode_each == 0)
		check_code(&v, d->path, &n_decoded);
	for (int t = 0; t < 2; t++)
		n_exports += read_exports(&v, tables[t], all_exports + n_exports, d->m);
	assert_int_equal(n_exports - first, module_export_count(d->m));
	for (size_t i = 0; i < module_export_count(d->m) && i < 8; i++) {
		const char *name = module_export_name(d->m, i);

		if (strlen(name) + strlen(SUFFIX) >= 56)
			continue;
		for (int t = 0; t < 2; t++)
			assert_int_equal(crc_of(&v, tables[t], crcs[t], SUFFIX, name),
					 crc_of(&o, tables[t], crcs[t], "", name));
	}
	check_imports(&v, all_exports, n_exports);
	elf_end(v.elf);
	elf_end(o.elf);
	free(original);
}

static void link_driver(struct module_file *d)
{
	struct link_provider providers[64];
	size_t n = 0, pages;
	struct err e = { "" };
	struct link_plan *p;
	const char *s = module_depends(d->m);
	u32 page[4096];
	struct link_image copy = { NULL, 0 };

	if (d->seen)
		return;
	d->seen = true;
	while (*s) {
		size_t l = strcspn(s, ",");
		struct module_file *dep = find_driver(s, l);

		if (dep) {
			link_driver(dep);
			assert_true(n < ARRAY_SIZE(providers));
			providers[n++] = (struct link_provider){ dep->m, dep->private, SUFFIX };
		}
		s += l + (s[l] == ',');
	}
	n_planned++;
	if (link_plan_create(&p, kernel, d->m, &(struct link_session){ providers, n, &rules },
			     &e)) {
		printf("%s\n", e.text);
		return;
	}
	if (link_plan_refused(p)) {
		printf("%s: %s: %s\n", d->path, link_plan_refused(p)->symbol,
		       link_plan_refused(p)->reason);
		link_plan_free(p);
		return;
	}
	if (link_emit(p, &addresses, &(struct link_identity){ d->private, SUFFIX }, &copy, &e))
		fail_msg("%s", e.text);
	check_copy(d, p, copy.data, copy.len);
	pages = shadow_pages_used(p, page, ARRAY_SIZE(page));
	for (size_t i = 1; i < pages; i++)
		assert_true(page[i - 1] < page[i]);
	n_linked++;
	free(copy.data);
	link_plan_free(p);
}

static void link_all(const char *flavour)
{
	char path[512], real[PATH_MAX];
	struct kernel *k = load_kernel(flavour);

	kernel = k;
	n_drivers = n_exports = n_branches = n_decoded = n_linked = n_planned = 0;
	n_pages = n_handed = n_entries = most_entries = n_functions = 0;
	memset(n_left, 0, sizeof(n_left));
	memset(drivers, 0, sizeof(drivers));
	all_exports = calloc(65536, sizeof(*all_exports));
	assert_non_null(realpath(image_path(path, sizeof(path), flavour, "modules/kernel"), real));
	assert_int_equal(nftw(real, add_driver, 16, FTW_PHYS), 0);
	for (size_t i = 0; i < n_drivers; i++)
		link_driver(&drivers[i]);
	printf("%s: %zu modules, %zu link completely, %zu branches checked, %zu exports, "
	       "%zu instructions\n",
	       flavour, n_planned, n_linked, n_branches, n_exports, n_decoded);
	printf("%s: %zu references hand out %zu functions; %zu inward entries, at most %zu; left "
	       "alone: %zu in tables, %zu of static calls, %zu init, %zu no functions\n",
	       flavour, n_handed, n_functions, n_entries, most_entries, n_left[LEFT_TABLE],
	       n_left[LEFT_STATIC_CALL], n_left[LEFT_INIT], n_left[LEFT_LABEL]);
	qsort(pages_of, n_pages, sizeof(*pages_of), unsigned_ascending);
	printf("%s: pages of entries of a driver: median %u, most %u\n", flavour,
	       pages_of[n_pages / 2], pages_of[n_pages - 1]);
	/* the goal is 64 KiB */
	assert_true(pages_of[n_pages / 2] <= 2);
	for (size_t i = 0; i < n_drivers; i++)
		module_close(drivers[i].m);
	free(all_exports);
	kernel_close(k);
}

/* Figures of linux-image-6.1.0-56-cloud-amd64; another release has others, but links as well. */
static void test_cloud(void **state)
{
	(void)state;
	link_all("cloud");
	assert_true(n_planned > 1000);
	assert_int_equal(n_linked, n_planned);
	assert_true(n_branches > 150000);
	assert_true(n_decoded > 3000000);
	assert_true(n_functions > 25000);
	assert_true(n_left[LEFT_STATIC_CALL] > 0 && n_left[LEFT_LABEL] > 0);
}

static void test_generic(void **state)
{
	char path[512];

	(void)state;
	if (access(image_path(path, sizeof(path), "generic", "modules/kernel"), R_OK)) {
		printf("SKIP no generic kernel\n");
		skip();
	}
#if SANITIZER_ADDRESS
	decode_each = 8; /* 16 million instructions are some seconds more */
#endif
	link_all("generic");
	assert_true(n_planned > 3000);
	assert_int_equal(n_linked, n_planned);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cloud),
		cmocka_unit_test(test_generic),
	};

	need_images();
	elf_version(EV_CURRENT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
