// SPDX-License-Identifier: GPL-2.0-only
/*
 * The linker's rules, on Debian's dummy.ko and on wrong versions of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>

#include "shadow/module.h"
#include "shadow_images.h"
#include "shadow_ko.h"

#define SHADOW	    0xffffffffc03d1000ull
#define MODULES	    0xffffffffc0000000ull
#define MODULES_END 0xffffffffff000000ull
#define GATE	    0xffffffffc2000000ull

static struct kernel *kernel;
static struct ko original;
static char original_path[512];

/* What the rules of a test say; a name in neither is neither. */
static const char *critical_name, *permitted_name;

static bool is_critical(void *arg, const char *symbol)
{
	(void)arg;
	return critical_name && !strcmp(critical_name, symbol);
}

static bool is_permitted(void *arg, const char *symbol)
{
	(void)arg;
	return permitted_name && !strcmp(permitted_name, symbol);
}

static u64 gate_of(void *arg, const char *symbol)
{
	(void)symbol;
	return arg ? 0 : GATE;
}

static const struct link_rules rules = { .critical = is_critical, .permitted = is_permitted };

static struct link_addresses where(void)
{
	return (struct link_addresses){ .kaslr = 0x200000,
					.shadow = SHADOW,
					.modules = MODULES,
					.modules_end = MODULES_END,
					.gate = gate_of };
}

static int setup_group(void **state)
{
	(void)state;
	kernel = load_kernel("cloud");
	image_path(original_path, sizeof(original_path), "cloud",
		   "modules/kernel/drivers/net/dummy.ko");
	original.data = slurp(original_path, &original.len);
	return original.data ? 0 : -1;
}

static int teardown_group(void **state)
{
	(void)state;
	free(original.data);
	kernel_close(kernel);
	return 0;
}

static int setup(void **state)
{
	struct ko *k = malloc(sizeof(*k));

	critical_name = permitted_name = NULL;
	k->data = malloc(original.len);
	k->len = original.len;
	memcpy(k->data, original.data, original.len);
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	struct ko *k = *state;

	free(k->data);
	free(k);
	return 0;
}

/* --- one plan at a time --- */
struct planned {
	struct module *m;
	struct link_plan *p;
};

static struct planned plan(const struct ko *k)
{
	struct planned pl = { NULL, NULL };
	struct err e = { "" };

	if (module_parse(&pl.m, "dummy.ko", k->data, k->len, &e) ||
	    link_plan_create(&pl.p, kernel, pl.m, NULL, 0, &rules, &e))
		fail_msg("%s", e.text);
	return pl;
}

static void drop(struct planned *pl)
{
	link_plan_free(pl->p);
	module_close(pl->m);
}

static const struct import *import_of(const struct planned *pl, const char *symbol)
{
	static const struct import none = { .symbol = "none" };
	size_t n;
	const struct import *im = link_plan_imports(pl->p, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(im[i].symbol, symbol))
			return &im[i];
	fail_msg("%s is not imported", symbol);
	return &none;
}

static void expect(const struct planned *pl, const char *symbol, enum symbol_class kind,
		   enum import_target target, unsigned branches, unsigned addresses)
{
	const struct import *im = import_of(pl, symbol);

	if (im->kind != kind || im->target != target || im->branches != branches ||
	    im->address_taken != addresses || !im->reason[0])
		fail_msg("%s: kind %d target %d branches %u addresses %u (%s)", symbol, im->kind,
			 im->target, im->branches, im->address_taken, im->reason);
}

/* The plan (or already the parsing) fails with a line that has both texts. */
static void expect_error(const struct ko *k, const char *a, const char *b)
{
	struct err e = { "" };
	struct link_plan *p = NULL;
	struct module *m = NULL;
	int ret = module_parse(&m, "wrong.ko", k->data, k->len, &e);

	if (!ret)
		ret = link_plan_create(&p, kernel, m, NULL, 0, &rules, &e);
	assert_int_equal(ret, -EINVAL);
	assert_null(p);
	assert_null(strchr(e.text, '\n'));
	if (!strstr(e.text, a) || !strstr(e.text, b) || !strstr(e.text, "wrong.ko"))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", e.text, a, b);
	module_close(m);
}

static int emit(const struct planned *pl, const struct link_addresses *a, const char *name,
		const char *suffix, struct ko *copy, struct err *e)
{
	void *data = NULL;
	int ret = link_emit(pl->p, a, name, suffix, &data, &copy->len, e);

	copy->data = data;
	return ret;
}

static void test_plan(void **state)
{
	struct planned pl;

	critical_name = "register_netdevice";
	pl = plan(*state);
	assert_string_equal(module_name(pl.m), "dummy");
	assert_string_equal(module_depends(pl.m), "");
	assert_non_null(strstr(module_vermagic(pl.m), "mod_unload"));
	assert_int_equal(module_export_count(pl.m), 0);
	expect(&pl, "register_netdevice", SYMBOL_FUNCTION, TARGET_SHADOW, 1, 0);
	assert_true(import_of(&pl, "register_netdevice")->critical);
	expect(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_SHADOW, 2, 0);
	assert_false(import_of(&pl, "consume_skb")->critical);
	expect(&pl, "eth_validate_addr", SYMBOL_FUNCTION, TARGET_KERNEL, 0, 1);
	assert_non_null(strstr(import_of(&pl, "eth_validate_addr")->reason, "address"));
	expect(&pl, "__fentry__", SYMBOL_SPECIAL, TARGET_KERNEL, 10, 0);
	expect(&pl, "nr_cpu_ids", SYMBOL_DATA, TARGET_KERNEL, 0, 2);
	expect(&pl, "this_cpu_off", SYMBOL_PERCPU, TARGET_KERNEL, 0, 1);
	assert_null(link_plan_refused(pl.p));
	drop(&pl);
}

static void test_permitted(void **state)
{
	struct planned pl;

	permitted_name = "consume_skb";
	pl = plan(*state);
	expect(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_KERNEL, 2, 0);
	drop(&pl);
	/* a permission does not take the gate away */
	critical_name = "consume_skb";
	pl = plan(*state);
	expect(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_SHADOW, 2, 0);
	assert_true(import_of(&pl, "consume_skb")->critical);
	drop(&pl);
}

static void test_address_taken(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.text", "consume_skb");
	struct planned pl;

	critical_name = "eth_validate_addr";
	pl = plan(k);
	expect(&pl, "eth_validate_addr", SYMBOL_FUNCTION, TARGET_REFUSED, 0, 1);
	assert_ptr_equal(link_plan_refused(pl.p), import_of(&pl, "eth_validate_addr"));
	drop(&pl);
	permitted_name = "eth_validate_addr";
	pl = plan(k);
	expect(&pl, "eth_validate_addr", SYMBOL_FUNCTION, TARGET_KERNEL, 0, 1);
	drop(&pl);

	/* called and taken: "mov $consume_skb, %reg" in place of one of the two calls */
	ko_set_type(r, R_X86_64_32S);
	r->r_addend = 0;
	critical_name = permitted_name = NULL;
	pl = plan(k);
	expect(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_SHADOW, 1, 1);
	drop(&pl);
	critical_name = "consume_skb";
	pl = plan(k);
	expect(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_REFUSED, 1, 1);
	drop(&pl);
}

static void test_not_redirectable(void **state)
{
	static const char *const names[] = { "__fentry__", "nr_cpu_ids", "this_cpu_off" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct planned pl;

		critical_name = names[i];
		pl = plan(*state);
		assert_int_equal(import_of(&pl, names[i])->target, TARGET_REFUSED);
		drop(&pl);
	}
}

static void test_unknown_forms(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.init.text", "register_netdevice"), old = *r;

	ko_set_type(r, R_X86_64_PC32);
	expect_error(k, "R_X86_64_PC32-4", "register_netdevice at .init.text+0x7e");
	ko_set_type(r, R_X86_64_GOTPCREL);
	expect_error(k, "R_X86_64_GOTPCREL", ".init.text");
	ko_set_type(r, 77);
	expect_error(k, "relocation type 77", ".init.text");
	*r = old;
	r->r_addend = -8;
	expect_error(k, "R_X86_64_PLT32-8", "register_netdevice");
	ko_set_type(r, R_X86_64_32S);
	r->r_addend = 4;
	expect_error(k, "R_X86_64_32S+4", "register_netdevice");
	*r = old;
	/* the last byte of a section is no place for four */
	r->r_offset = ko_header(k, ko_section(k, ".init.text"))->sh_size - 1;
	expect_error(k, "register_netdevice", "neither");
	r->r_offset = ~0ull;
	expect_error(k, "outside", ".init.text");
	*r = old;
	r = ko_rela(k, ".rela.rodata", "eth_validate_addr");
	ko_set_type(r, R_X86_64_PLT32);
	r->r_addend = -4;
	expect_error(k, "eth_validate_addr", "outside of code");
}

static void test_own_branches(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.init.text", "register_netdevice");
	Elf64_Sym *sym = ko_symbol(k, "init_module", NULL);

	/* a branch to a symbol of its own, far outside of it; then to an absolute one */
	r->r_info = ELF64_R_INFO(54, R_X86_64_PLT32);
	r->r_addend = 0x100000;
	assert_ptr_equal(sym, (Elf64_Sym *)ko_bytes(k, ".symtab") + 54);
	expect_error(k, "out of its section", ".init.text");
	r->r_addend = -4;
	sym->st_shndx = SHN_ABS;
	sym->st_value = 0xffffffff81000000ull;
	expect_error(k, "absolute", "init_module");
}

static void test_absent(void **state)
{
	struct ko *k = *state, copy;
	struct link_addresses a = where();
	struct err e = { "" };
	struct planned pl;
	Elf64_Sym *sym;
	char *name = NULL;

	sym = ko_symbol(k, "register_netdevice", &name);
	assert_non_null(name);
	memcpy(name, "register_netdevicX", 18);
	pl = plan(k);
	expect(&pl, "register_netdevicX", SYMBOL_FUNCTION, TARGET_REFUSED, 1, 0);
	assert_non_null(strstr(link_plan_refused(pl.p)->reason, "nothing in the session"));
	assert_int_equal(emit(&pl, &a, "dummy1", "__1", &copy, &e), -EPERM);
	assert_non_null(strstr(e.text, "register_netdevicX"));
	drop(&pl);
	permitted_name = "register_netdevicX";
	pl = plan(k);
	expect(&pl, "register_netdevicX", SYMBOL_FUNCTION, TARGET_KERNEL, 1, 0);
	drop(&pl);
	/* weak: absent for the driver even if some module of the guest exports it */
	permitted_name = NULL;
	sym->st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE);
	pl = plan(k);
	assert_int_equal(import_of(&pl, "register_netdevicX")->target, TARGET_KERNEL);
	assert_int_equal(emit(&pl, &a, "dummy1", "__1", &copy, &e), 0);
	assert_null(ko_symbol(&copy, "register_netdevicX", NULL));
	assert_non_null(ko_symbol(&copy, "register_netdevicX.absent", NULL));
	free(copy.data);
	drop(&pl);
	/* weak, and the kernel has it: an import like any other */
	memcpy(name, "register_netdevice", 18);
	pl = plan(k);
	expect(&pl, "register_netdevice", SYMBOL_FUNCTION, TARGET_SHADOW, 1, 0);
	drop(&pl);
}

/* Two names of one function, of which one is critical. */
static void test_alias(void **state)
{
	struct ko *k = *state;
	const char *a = NULL, *b = NULL;
	struct planned pl;
	char *name = NULL;
	size_t n;
	const struct kernel_export *x = kernel_exports(kernel, &n);

	for (size_t i = 0; i < n && !b; i++)
		for (size_t j = 0; j < n && !b; j++)
			if (i != j && x[i].addr == x[j].addr && x[i].class == SYMBOL_FUNCTION &&
			    x[j].class == SYMBOL_FUNCTION && strlen(x[i].name) < 20) {
				a = x[i].name;
				b = x[j].name;
			}
	if (!b || !a) {
		skip();
		return;
	}
	ko_symbol(k, "ethtool_op_get_ts_info", &name);
	assert_non_null(name);
	memcpy(name, a, strlen(a) + 1);
	ko_rela(k, ".rela.text", "consume_skb")->r_info = ELF64_R_INFO(
		ko_symbol(k, a, NULL) - (Elf64_Sym *)ko_bytes(k, ".symtab"), R_X86_64_PLT32);
	pl = plan(k);
	assert_int_equal(import_of(&pl, a)->target, TARGET_SHADOW);
	drop(&pl);
	critical_name = b;
	pl = plan(k);
	assert_int_equal(import_of(&pl, a)->target, TARGET_REFUSED);
	assert_non_null(strstr(import_of(&pl, a)->reason, b));
	drop(&pl);
}

static void test_other_kernel(void **state)
{
	struct ko *k = *state;
	u8 *crc = ko_version(k, "consume_skb"), *layout = ko_version(k, "module_layout");
	Elf64_Shdr *h = ko_header(k, ko_section(k, ".gnu.linkonce.this_module"));
	char *info = (char *)ko_bytes(k, ".modinfo"), *magic = info;

	crc[0] ^= 1;
	expect_error(k, "built for another kernel", "consume_skb");
	crc[0] ^= 1;
	layout[3] ^= 1;
	expect_error(k, "built for another kernel", "module_layout");
	layout[3] ^= 1;
	h->sh_size -= 16;
	expect_error(k, "struct module", "built for another kernel");
	h->sh_size += 16;
	while (strncmp(magic, "vermagic=", 9) != 0)
		magic += strlen(magic) + 1;
	magic[9] = '7'; /* the release is not compared where there are CRCs, the rest is */
	{
		struct planned pl = plan(k);

		drop(&pl);
	}
	strstr(magic, "mod_unload")[0] = 'M';
	expect_error(k, "built for another kernel", "vermagic");
	strstr(magic, "Mod_unload")[0] = 'm';
	while (strncmp(info, "retpoline=Y", 11) != 0)
		info += strlen(info) + 1;
	memcpy(info, "livepatch=Y", 11);
	expect_error(k, "live patch", "cannot be isolated");
}

static void test_not_a_module(void **state)
{
	struct ko *k = *state, other = { k->data, 0 };
	Elf64_Ehdr *eh = (Elf64_Ehdr *)k->data;
	struct module *m = NULL;
	struct err e = { "" };
	Elf64_Shdr *h;

	assert_int_equal(module_parse(&m, "x.ko", k->data, 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "empty"));
	assert_int_equal(module_open(&m, "/dev/null", &e), -EINVAL);
	assert_int_equal(module_open(&m, "/nonexistent.ko", &e), -ENOENT);
	other.len = 20;
	expect_error(&other, "truncated", "ELF header");
	eh->e_machine = EM_AARCH64;
	expect_error(k, "another architecture", "64-bit ARM");
	eh->e_machine = EM_386;
	expect_error(k, "another architecture", "32-bit x86");
	eh->e_machine = EM_X86_64;
	eh->e_type = ET_DYN;
	expect_error(k, "not a kernel module", "shared object");
	eh->e_type = ET_REL;
	k->data[0] = '#';
	expect_error(k, "not a kernel module", "no ELF");
	k->data[0] = 0x7f;
	h = ko_header(k, ko_section(k, ".gnu.linkonce.this_module"));
	h->sh_name++;
	expect_error(k, "not a kernel module", "this_module");
	h->sh_name--;
	/* two readers, two answers: refused */
	h = ko_header(k, ko_section(k, ".rela.exit.text"));
	h->sh_offset -= 24;
	expect_error(k, "overlap", "damaged");
	h->sh_offset += 24;
	h = ko_header(k, ko_section(k, ".comment"));
	h->sh_name = ko_header(k, ko_section(k, "__versions"))->sh_name;
	expect_error(k, "__versions", "twice"); /* the kernel would not see this one */
	h->sh_flags = SHF_ALLOC;
	expect_error(k, "__versions", "twice"); /* and of these it would see one */
	h->sh_type = SHT_SYMTAB;
	h->sh_name = 0;
	expect_error(k, "two symbol tables", "damaged");
}

/* Where a branch to SYMBOL ends in a copy. */
static u64 target_in(const struct ko *copy, const char *rela, const char *symbol)
{
	const Elf64_Rela *r = ko_rela(copy, rela, symbol);

	return kernel_symbol(kernel, symbol) + where().kaslr + (u64)r->r_addend + 4;
}

static void test_emit(void **state)
{
	static const char marker[] = "~Module signature appended~\n";
	struct link_addresses a = where();
	struct err e = { "" };
	struct planned pl;
	struct module *again;
	struct ko copy, now = { NULL, 0 };

	critical_name = "register_netdevice";
	pl = plan(*state);
	assert_int_equal(emit(&pl, &a, "dummy__red", "__red", &copy, &e), 0);
	assert_true(target_in(&copy, ".rela.init.text", "register_netdevice") == GATE);
	assert_true(target_in(&copy, ".rela.text", "consume_skb") ==
		    SHADOW + kernel_symbol(kernel, "consume_skb") - 0xffffffff81000000ull);
	assert_int_equal(ko_rela(&copy, ".rela.text", "__fentry__")->r_addend, -4);
	assert_int_equal(ko_rela(&copy, ".rela.rodata", "eth_validate_addr")->r_addend, 0);
	assert_string_equal((char *)ko_bytes(&copy, ".gnu.linkonce.this_module") + 24,
			    "dummy__red");
	/* the signature is gone, from here and nowhere else */
	assert_memory_equal(original.data + original.len - 28, marker, 28);
	assert_true(copy.len < original.len);
	assert_memory_not_equal(copy.data + copy.len - 28, marker, 28);
	assert_int_equal(module_parse(&again, "again", copy.data, copy.len, &e), 0);
	assert_string_equal(module_name(again), "dummy__red");
	assert_null(module_info(again, "name"));
	module_close(again);
	free(copy.data);
	/* the driver's file is as it was */
	now.data = slurp(original_path, &now.len);
	assert_int_equal(now.len, original.len);
	assert_memory_equal(now.data, original.data, now.len);
	free(now.data);
	drop(&pl);
}

/* Whoever signs a signed module appends a second signature. */
static void test_signatures(void **state)
{
	static const char marker[] = "~Module signature appended~\n";
	struct ko *k = *state;
	struct module *m;
	struct err e = { "" };
	u8 *p;

	k->data = realloc(k->data, k->len + 100 + 12 + 28);
	p = k->data + k->len;
	memset(p, 0xaa, 112);
	memset(p + 100, 0, 12);
	p[111] = 100;
	memcpy(p + 112, marker, 28);
	assert_int_equal(module_parse(&m, "twice", k->data, k->len + 140, &e), 0);
	assert_int_equal(m->len, 0x4188); /* the section table, which is last, ends there */
	module_close(m);
	p[109] = 1; /* longer than the file */
	assert_int_equal(module_parse(&m, "long", k->data, k->len + 140, &e), -EINVAL);
	assert_non_null(strstr(e.text, "signature"));
}

static void test_emit_limits(void **state)
{
	static const char *const names[] = {
		"", "a b", "../x", "a\n", "12345678901234567890123456789012345678901234567890123456"
	};
	struct link_addresses a = where();
	struct err e = { "" };
	struct planned pl;
	struct ko copy;

	critical_name = "register_netdevice";
	pl = plan(*state);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(emit(&pl, &a, names[i], "__1", &copy, &e), -EINVAL);
	assert_int_equal(emit(&pl, &a, "d", "1234567890123456789012345", &copy, &e), -EINVAL);
	a.arg = &a; /* gate_of() then has none */
	assert_int_equal(emit(&pl, &a, "d", "__1", &copy, &e), -ENOENT);
	assert_non_null(strstr(e.text, "register_netdevice"));
	a = where();
	/* out of reach of the lower, then of the upper end of the module range */
	a.shadow = MODULES_END - 0x80000000ull - ((u64)16 << 20);
	assert_int_equal(emit(&pl, &a, "d", "__1", &copy, &e), -ERANGE);
	assert_non_null(strstr(e.text, "2 GiB"));
	a.shadow = MODULES_END - 0x80000000ull + 4096;
	a.modules = MODULES_END - 4096;
	assert_int_equal(emit(&pl, &a, "d", "__1", &copy, &e), 0);
	free(copy.data);
	a = where();
	a.shadow = 0x1000;
	a.modules = 0xffffffff80800000ull;
	assert_int_equal(emit(&pl, &a, "d", "__1", &copy, &e), -ERANGE);
	a = where();
	a.modules_end = a.modules;
	assert_int_equal(emit(&pl, &a, "d", "__1", &copy, &e), -EINVAL);
	drop(&pl);
}

/*
 * The names of exports can be reached by a symbol each, as modpost does it, or all by one symbol and
 * an addend, as an assembler may do it. Both become the same.
 */
static void test_export_forms(void **state)
{
	char path[512];
	struct link_addresses a = where();
	struct err e = { "" };
	struct ko k = { NULL, 0 }, one, two;
	struct planned pl;
	const Elf64_Shdr *h;
	Elf64_Rela *r;
	Elf64_Sym *first, *base;

	(void)state;
	k.data = slurp(image_path(path, sizeof(path), "cloud", "modules/kernel/mm/zsmalloc.ko"),
		       &k.len);
	assert_non_null(k.data);
	pl = plan(&k);
	assert_int_equal(emit(&pl, &a, "z", "__z", &one, &e), 0);
	drop(&pl);
	first = (Elf64_Sym *)ko_bytes(&k, ".symtab");
	base = ko_symbol(&k, "__kstrtab_zs_huge_class_size", NULL);
	h = ko_header(&k, ko_section(&k, ".rela__ksymtab_gpl"));
	r = (Elf64_Rela *)(k.data + h->sh_offset);
	for (size_t i = 0; i < h->sh_size / sizeof(*r); i++) {
		const Elf64_Sym *sym = &first[ELF64_R_SYM(r[i].r_info)];

		if (r[i].r_offset % 12 != 4)
			continue;
		r[i].r_addend = (s64)(sym->st_value - base->st_value);
		r[i].r_info = ELF64_R_INFO(base - first, R_X86_64_PC32);
	}
	pl = plan(&k);
	assert_int_equal(module_export_count(pl.m), 10);
	assert_string_equal(module_export_name(pl.m, 0), "zs_compact");
	assert_int_equal(emit(&pl, &a, "z", "__z", &two, &e), 0);
	drop(&pl);
	for (int i = 0; i < 2; i++) {
		const struct ko *c = i ? &two : &one;
		struct module *m;

		assert_int_equal(module_parse(&m, "copy", c->data, c->len, &e), 0);
		assert_int_equal(module_export_count(m), 10);
		assert_string_equal(module_export_name(m, 0), "zs_compact__z");
		assert_string_equal(module_export_name(m, 9), "zs_unmap_object__z");
		module_close(m);
		free(c->data);
	}
	free(k.data);
}

static void test_private_names(void **state)
{
	const char *long_a = "a_very_long_name_of_an_exported_function_that_does_not_fit_a";
	const char *long_b = "a_very_long_name_of_an_exported_function_that_does_not_fit_b";
	char a[MODULE_NAME_LEN], b[MODULE_NAME_LEN];

	(void)state;
	module_private_name("zs_malloc", "__red", a);
	assert_string_equal(a, "zs_malloc__red");
	module_private_name("12345678901234567890123456789012345678901234567890", "__red", a);
	assert_string_equal(a, "12345678901234567890123456789012345678901234567890__red");
	module_private_name(long_a, "__red", a);
	module_private_name(long_b, "__red", b);
	assert_true(strlen(a) < MODULE_NAME_LEN && strcmp(a, b) != 0);
	assert_string_equal(a + strlen(a) - 5, "__red");
	module_private_name(long_a, "__red", b);
	assert_string_equal(a, b);
	module_private_name(long_a, "123456789012345678901234", b);
	assert_int_equal(strlen(b), MODULE_NAME_LEN - 1);
}

static void try_module(const u8 *data, size_t len)
{
	struct link_addresses a = where();
	struct link_plan *p = NULL;
	struct module *m = NULL;
	struct err e = { "" };
	void *copy = NULL;
	size_t copy_len;
	int ret = module_parse(&m, "try.ko", data, len, &e);

	if (!ret)
		ret = link_plan_create(&p, kernel, m, NULL, 0, &rules, &e);
	if (!ret) {
		ret = link_emit(p, &a, "try", "__t", &copy, &copy_len, &e);
		if (!ret) {
			struct module *again;

			/* what we make we must be able to read */
			if (module_parse(&again, "again", copy, copy_len, &e))
				fail_msg("%s", e.text);
			module_close(again);
		}
	}
	assert_true(ret <= 0);
	assert_true(!ret || e.text[0]);
	free(copy);
	link_plan_free(p);
	module_close(m);
}

static void test_truncated(void **state)
{
	struct ko *k = *state;

	for (size_t len = 1; len < k->len; len += len < 256 ? 1 : 29) {
		u8 *exact = malloc(len);

		memcpy(exact, k->data, len);
		try_module(exact, len);
		free(exact);
	}
}

static void test_flipped(void **state)
{
	struct ko *k = *state;

	srand(5);
	for (size_t at = 0; at < k->len; at += 1 + (size_t)rand() % 3) {
		u8 old = k->data[at];

		k->data[at] ^= (u8)(1 << rand() % 8);
		try_module(k->data, k->len);
		k->data[at] = old;
	}
}

/* The same with a driver that exports. */
static void test_flipped_exports(void **state)
{
	char path[512];
	struct ko k = { NULL, 0 };

	(void)state;
	k.data = slurp(image_path(path, sizeof(path), "cloud", "modules/kernel/mm/zsmalloc.ko"),
		       &k.len);
	assert_non_null(k.data);
	critical_name = NULL;
	srand(6);
	for (size_t at = 0; at < k.len; at += 1 + (size_t)rand() % 8) {
		u8 old = k.data[at];

		k.data[at] ^= (u8)(1 << rand() % 8);
		try_module(k.data, k.len);
		k.data[at] = old;
	}
	free(k.data);
}

/* --- pages of the shadow --- */
static u64 real_address(void *arg, const struct kernel_export *ex)
{
	(void)arg;
	return ex->addr + 0x200000;
}

static u64 real_or_gate(void *arg, const struct kernel_export *ex)
{
	return strcmp(ex->name, arg) != 0 ? real_address(NULL, ex) : GATE;
}

static void test_pages(void **state)
{
	u64 start, end;
	size_t n, entries = 0, distinct = 0;
	const struct kernel_export *x = kernel_exports(kernel, &n);
	u8 *shadow;
	size_t pages;

	(void)state;
	kernel_text(kernel, &start, &end);
	pages = (end - start + 4095) / 4096;
	shadow = malloc(pages * 4096);
	for (size_t i = 0; i < pages; i++)
		entries += (size_t)shadow_fill_page(kernel, SHADOW, i, shadow + i * 4096,
						    real_address, NULL);
	for (size_t i = 0; i < n; i++) {
		u8 *at = shadow + (x[i].addr - start);
		s32 rel;

		if (x[i].class == SYMBOL_SPECIAL && x[i].addr < end && x[i].addr >= start)
			assert_int_equal(*at, 0xcc);
		if (x[i].class != SYMBOL_FUNCTION)
			continue;
		distinct += *at == 0xe9;
		memcpy(&rel, at + 1, 4);
		assert_true(SHADOW + (x[i].addr - start) + 5 + (u64)(s64)rel ==
			    x[i].addr + 0x200000);
		memset(at, 0xcc, 5); /* an alias finds it gone; not one, but not an entry more */
		for (size_t j = 0; j < n; j++)
			if (j != i && x[j].addr == x[i].addr && x[j].class == SYMBOL_FUNCTION) {
				*at = 0xe9;
				memcpy(at + 1, &rel, 4);
				distinct -= j > i;
			}
	}
	assert_int_equal(entries, distinct);
	assert_true(shadow_fill_page(kernel, SHADOW, pages, shadow, real_address, NULL) == 0);
	assert_int_equal(shadow[0], 0xcc);
	free(shadow);
}

static void test_page_targets(void **state)
{
	const struct kernel_export *x = kernel_export(kernel, "filp_open");
	u8 page[4096];
	char name[] = "filp_open";
	u64 start, end, off;
	s32 rel;

	(void)state;
	kernel_text(kernel, &start, &end);
	off = x->addr - start;
	assert_true(shadow_fill_page(kernel, SHADOW, off / 4096, page, real_or_gate, name) > 0);
	assert_int_equal(page[off % 4096], 0xe9);
	memcpy(&rel, page + off % 4096 + 1, 4);
	assert_true(SHADOW + off + 5 + (u64)(s64)rel == GATE);
	/* a target that no jump reaches stays a trap */
	assert_int_equal(shadow_fill_page(kernel, 1ull << 33, off / 4096, page, real_or_gate, name),
			 0);
	assert_int_equal(page[off % 4096], 0xcc);
}

static void test_pages_used(void **state)
{
	struct planned pl = plan(*state);
	size_t n, used, found = 0;
	const struct import *im = link_plan_imports(pl.p, &n);
	u32 pages[256], few[2];
	u64 start, end;

	kernel_text(kernel, &start, &end);
	used = shadow_pages_used(pl.p, pages, ARRAY_SIZE(pages));
	assert_true(used > 0 && used <= ARRAY_SIZE(pages));
	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		if (im[i].target != TARGET_SHADOW || im[i].critical)
			continue;
		while (j < used && pages[j] != (im[i].export->addr - start) / 4096)
			j++;
		assert_true(j < used);
		found++;
	}
	assert_true(found >= used);
	for (size_t i = 1; i < used; i++)
		assert_true(pages[i - 1] < pages[i]);
	assert_int_equal(shadow_pages_used(pl.p, few, 2), used);
	assert_true(few[0] == pages[0] && few[1] == pages[1]);
	drop(&pl);
}

#define with_ko(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_ko(test_plan),	      with_ko(test_permitted),
		with_ko(test_address_taken),  with_ko(test_not_redirectable),
		with_ko(test_unknown_forms),  with_ko(test_own_branches),
		with_ko(test_absent),	      with_ko(test_alias),
		with_ko(test_other_kernel),   with_ko(test_not_a_module),
		with_ko(test_emit),	      with_ko(test_signatures),
		with_ko(test_emit_limits),    cmocka_unit_test(test_export_forms),
		with_ko(test_private_names),  with_ko(test_truncated),
		with_ko(test_flipped),	      with_ko(test_flipped_exports),
		cmocka_unit_test(test_pages), cmocka_unit_test(test_page_targets),
		with_ko(test_pages_used),
	};

	need_images();
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
