// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a driver's private copy, damaged drivers, and the pages of the shadow that copies branch
 * to.
 */
#include "tests/unit/shadow/dummy_ko.h"

/* Returns where a branch to SYMBOL ends in a copy. */
static u64 target_in(const struct ko *copy, const char *rela, const char *symbol)
{
	const Elf64_Rela *r = ko_rela(copy, rela, symbol);

	return kernel_symbol(kernel, symbol) + made_up_addresses().kaslr + (u64)r->r_addend + 4;
}

static void test_emit(void **state)
{
	static const char marker[] = "~Module signature appended~\n";
	struct link_addresses a = made_up_addresses();
	struct err e = { "" };
	struct planned pl;
	struct module *again;
	struct ko copy, now = { NULL, 0 };

	critical_name = "register_netdevice";
	pl = plan_ko(*state);
	assert_int_equal(emit_copy(&pl, &a, "dummy__red", "__red", &copy, &e), 0);
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
	drop_plan(&pl);
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
	struct link_addresses a = made_up_addresses();
	struct err e = { "" };
	struct planned pl;
	struct ko copy;

	critical_name = "register_netdevice";
	pl = plan_ko(*state);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(emit_copy(&pl, &a, names[i], "__1", &copy, &e), -EINVAL);
	assert_int_equal(emit_copy(&pl, &a, "d", "1234567890123456789012345", &copy, &e), -EINVAL);
	a.arg = &a; /* entry_of() then has none */
	assert_int_equal(emit_copy(&pl, &a, "d", "__1", &copy, &e), -ENOENT);
	assert_non_null(strstr(e.text, "register_netdevice"));
	a = made_up_addresses();
	/* out of reach of the lower, then of the upper end of the module range */
	shadow_at = MODULES_END - 0x80000000ull - ((u64)16 << 20);
	assert_int_equal(emit_copy(&pl, &a, "d", "__1", &copy, &e), -ERANGE);
	assert_non_null(strstr(e.text, "2 GiB"));
	shadow_at = MODULES_END - 0x80000000ull + 4096;
	a.modules = MODULES_END - 4096;
	assert_int_equal(emit_copy(&pl, &a, "d", "__1", &copy, &e), 0);
	free(copy.data);
	a = made_up_addresses();
	shadow_at = 0x1000;
	a.modules = 0xffffffff80800000ull;
	assert_int_equal(emit_copy(&pl, &a, "d", "__1", &copy, &e), -ERANGE);
	shadow_at = SHADOW;
	a = made_up_addresses();
	a.modules_end = a.modules;
	assert_int_equal(emit_copy(&pl, &a, "d", "__1", &copy, &e), -EINVAL);
	drop_plan(&pl);
}

/*
 * The names of exports can be reached by a symbol each, as modpost does it, or all by one symbol
 * and an addend, as an assembler may do it. Both become the same.
 */
static void test_export_forms(void **state)
{
	char path[512];
	struct link_addresses a = made_up_addresses();
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
	pl = plan_ko(&k);
	assert_int_equal(emit_copy(&pl, &a, "z", "__z", &one, &e), 0);
	drop_plan(&pl);
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
	pl = plan_ko(&k);
	assert_int_equal(module_export_count(pl.m), 10);
	assert_string_equal(module_export_name(pl.m, 0), "zs_compact");
	assert_int_equal(emit_copy(&pl, &a, "z", "__z", &two, &e), 0);
	drop_plan(&pl);
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
	struct link_addresses a = made_up_addresses();
	struct link_plan *p = NULL;
	struct module *m = NULL;
	struct err e = { "" };
	struct link_image copy = { NULL, 0 };
	int ret = module_parse(&m, "try.ko", data, len, &e);

	if (!ret)
		ret = link_plan_create(&p, kernel, m, &(struct link_session){ .rules = &rules },
				       &e);
	if (!ret) {
		ret = link_emit(p, &a, &(struct link_identity){ "try", "__t" }, &copy, &e);
		if (!ret) {
			struct module *again;

			/* what we make we must be able to read */
			if (module_parse(&again, "again", copy.data, copy.len, &e))
				fail_msg("%s", e.text);
			module_close(again);
		}
	}
	assert_true(ret <= 0);
	assert_true(!ret || e.text[0]);
	free(copy.data);
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
	struct planned pl = plan_ko(*state);
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
	drop_plan(&pl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
