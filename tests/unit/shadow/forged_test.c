// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests drivers that lie about themselves: addends that lead elsewhere, tables by which the kernel
 * would patch the wrong place, symbols and exports that are not theirs. Each is refused by the
 * linker.
 */
#include "shadow/link/patched_sites.h"
#include "tests/unit/shadow/dummy_ko.h"

/* Checks that the driver is refused, with a line that has @what; before the edit it was linked. */
static void expect_refused(const struct ko *k, const char *what)
{
	struct err e = { "" };
	struct link_plan *p = NULL;
	struct module *m = NULL;
	int ret = module_parse(&m, "forged.ko", k->data, k->len, &e);

	if (!ret)
		ret = link_plan_create(&p, kernel, m, &(struct link_session){ .rules = &rules },
				       &e);
	if (ret != -EINVAL || p || !strstr(e.text, what) || !strstr(e.text, "forged.ko"))
		fail_msg("%d \"%s\" lacks \"%s\"", ret, e.text, what);
	module_close(m);
}

static void expect_linked(const struct ko *k)
{
	struct planned pl = plan_ko(k);

	drop_plan(&pl);
}

static u64 symbol_index(const struct ko *k, const char *name)
{
	const Elf64_Sym *sym = ko_symbol(k, name, NULL);

	assert_non_null(sym);
	return (u64)(sym - (const Elf64_Sym *)ko_bytes(k, ".symtab"));
}

static s64 symbol_distance(const char *from, const char *to)
{
	return (s64)(kernel_export(kernel, to)->addr - kernel_export(kernel, from)->addr);
}

/*
 * Makes the relocation TYPE to SYMBOL + ADDEND, checks that the driver is refused, and puts it
 * back.
 */
static void try_rela(const struct ko *k, Elf64_Rela *r, u64 symbol, u32 type, s64 addend,
		     const char *what)
{
	Elf64_Rela old = *r;

	r->r_info = ELF64_R_INFO(symbol, type);
	r->r_addend = addend;
	expect_refused(k, what);
	*r = old;
}

/* call nr_cpu_ids + (filp_open - nr_cpu_ids) is a call of filp_open, in every form. */
static void data_is_no_way_to_code(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.init.text", "register_netdevice");
	s64 delta = symbol_distance("nr_cpu_ids", "filp_open");
	u64 data = symbol_index(k, "nr_cpu_ids");

	expect_linked(k);
	try_rela(k, r, data, R_X86_64_PLT32, delta - 4, "a branch to data");
	try_rela(k, r, data, R_X86_64_PLT32, -4, "a branch to data");
	try_rela(k, r, data, R_X86_64_PC32, delta - 4, "under the name of data");
	try_rela(k, r, data, R_X86_64_32S, delta, "under the name of data");
	try_rela(k, r, data, R_X86_64_PC32, -(1 << 20), "far from its symbol");
	try_rela(k, r, data, R_X86_64_PC32, INT64_MIN, "far from its symbol");
	try_rela(k, r, data, R_X86_64_PC32, INT64_MAX, "far from its symbol");
	/* an offset in per-CPU data, up to an address of the kernel's text */
	try_rela(k, r, symbol_index(k, "this_cpu_off"), R_X86_64_PC32,
		 (s64)(kernel_export(kernel, "filp_open")->addr -
		       kernel_export(kernel, "this_cpu_off")->addr - 4),
		 "out of the per-CPU data");
	/* what is not redirected must not lead beside itself either */
	try_rela(k, r, symbol_index(k, "__fentry__"), R_X86_64_PLT32,
		 symbol_distance("__fentry__", "filp_open") - 4, "neither a plain branch");
	try_rela(k, r, symbol_index(k, "__fentry__"), R_X86_64_PC32,
		 symbol_distance("__fentry__", "filp_open") - 4, "neither a plain branch");
	/* an ordinary member of an array is none of these */
	r = ko_rela(k, ".rela.init.text", "nr_cpu_ids");
	if (!r)
		r = ko_rela(k, ".rela.text", "nr_cpu_ids");
	assert_non_null(r);
	r->r_addend += 64;
	expect_linked(k);
}

/* Permission of one function is none of what lies beside it. */
static void a_permitted_function_is_not_its_neighbour(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.init.text", "register_netdevice");

	permitted_name = "register_netdevice";
	expect_linked(k);
	r->r_addend = symbol_distance("register_netdevice", "filp_open") - 4;
	expect_refused(k, "neither a plain branch");
}

/* Neither is the address of something that nobody has: 0, and the addend counts from there. */
static void an_absent_symbol_is_not_an_address(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.init.text", "register_netdevice");
	u64 symbol = symbol_index(k, "register_netdevice");
	char *name = NULL;
	Elf64_Sym *sym = ko_symbol(k, "register_netdevice", &name);

	memcpy(name, "register_netdevicX", 18);
	sym->st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE);
	expect_linked(k);
	try_rela(k, r, symbol, R_X86_64_PLT32, (s64)0xffffffff81000000ull, "not a plain branch");
	try_rela(k, r, symbol, R_X86_64_PC32, (s64)0xffffffff81000000ull, "far from its symbol");
	try_rela(k, r, 0, R_X86_64_PC32, (s64)0xffffffff81000000ull, "nothing that is loaded");
	try_rela(k, r, 0, R_X86_64_64, 0, "nothing that is loaded");
}

static void own_references_stay_at_home(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.init.text", "register_netdevice");
	u64 own = symbol_index(k, "init_module"), data = symbol_index(k, "__this_module");

	try_rela(k, r, own, R_X86_64_PC32, -0x40000000, "a branch out of its section");
	try_rela(k, r, own, R_X86_64_PC32, INT64_MAX, "a branch out of its section");
	try_rela(k, r, data, R_X86_64_PC32, -0x40000000, "a reference out of its section");
	try_rela(k, r, data, R_X86_64_PC64, 0x40000000, "a reference out of its section");
	try_rela(k, r, data, R_X86_64_PLT32, -4, "a branch to data");
	/* the value itself may be the lie */
	ko_symbol(k, "init_module", NULL)->st_value = 0x40000000;
	expect_refused(k, "a symbol lies outside of its section");
}

/* A relocation by symbol 0 takes its value as it stands in the file. */
static void the_empty_symbol_is_empty(void **state)
{
	struct ko *k = *state;
	Elf64_Sym *none = (Elf64_Sym *)ko_bytes(k, ".symtab");

	expect_linked(k);
	none->st_value = 0xffffffff81000000;
	expect_refused(k, "its symbol 0 is not empty");
	*none = (Elf64_Sym){ .st_name = 0xffffffff };
	expect_refused(k, "its symbol 0 is not empty");
	*none = (Elf64_Sym){ .st_shndx = 0xff00 };
	expect_refused(k, "its symbol 0 is not empty");
}

static void relocations_do_not_overlap(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.init.text", "register_netdevice");
	Elf64_Rela *other = r->r_offset > 64 ? r - 1 : r + 1;

	expect_linked(k);
	other->r_offset = r->r_offset + 2;
	expect_refused(k, "two relocations change .init.text");
}

/* Returns the relocations of table @name, and how many. */
static Elf64_Rela *table(const struct ko *k, const char *name, size_t *n)
{
	unsigned i = ko_section(k, name);

	assert_int_not_equal(i, 0);
	*n = ko_header(k, i)->sh_size / sizeof(Elf64_Rela);
	return (Elf64_Rela *)ko_bytes(k, name);
}

static void tables_name_the_right_instruction(void **state)
{
	static const char *const tables[] = { ".rela.return_sites", ".rela__mcount_loc",
					      ".rela.static_call_sites" };
	struct ko *k = *state;

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
		size_t n;
		Elf64_Rela *r = table(k, tables[t], &n), old = *r;

		expect_linked(k);
		r->r_addend += 1;
		expect_refused(k, "names another instruction");
		r->r_addend = (s64)ko_header(k, ko_section(k, ".text"))->sh_size + 16;
		expect_refused(k, "does not lead to the driver's own code");
		*r = old;
		/* a place in the kernel, which the kernel would patch */
		r->r_info = ELF64_R_INFO(symbol_index(k, "nr_cpu_ids"), ELF64_R_TYPE(old.r_info));
		r->r_addend = t == 1 ? 0 : 8;
		expect_refused(k, "does not lead to the driver's own code");
		*r = old;
		/* a number in the place of an address */
		ko_set_type(r, R_X86_64_NONE);
		expect_refused(k, "a number instead of a place");
		*r = old;
		if (n > 1) {
			r[1].r_offset = r[0].r_offset;
			expect_refused(k, "relocated in an odd place");
			r[1].r_offset = r[0].r_offset + 1;
			expect_refused(k, "relocated in an odd place");
			r[1].r_offset = r[0].r_offset + (t == 0 ? 4 : t == 1 ? 8 : 4);
		}
		expect_linked(k);
	}
}

static void reverse_relocations(Elf64_Rela *r, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		Elf64_Rela old = r[i];

		r[i] = r[n - 1 - i];
		r[n - 1 - i] = old;
	}
}

/* Compilers write relocations in the order of their places, but nobody has to. */
static void relocations_may_have_any_order(void **state)
{
	struct ko *k = *state;
	struct module_site *sites, *again;
	struct planned pl = plan_ko(k), turned;
	size_t n_sites, n_again, n, n_returns;
	Elf64_Rela *r = table(k, ".rela.text", &n), *returns, old;

	assert_int_equal(module_patched_sites(kernel, pl.m, &sites, &n_sites), 0);
	reverse_relocations(r, n);
	turned = plan_ko(k);
	assert_int_equal(module_patched_sites(kernel, turned.m, &again, &n_again), 0);
	assert_int_equal(n_again, n_sites);
	for (size_t i = 0; i < n_again; i++) {
		assert_string_equal(again[i].section, sites[i].section);
		assert_int_equal(again[i].offset, sites[i].offset);
	}
	free(sites);
	free(again);
	drop_plan(&pl);
	drop_plan(&turned);
	/* what is refused of a driver in order is refused of this one */
	returns = table(k, ".rela.return_sites", &n_returns);
	returns->r_addend += 1;
	expect_refused(k, "names another instruction");
	returns->r_addend -= 1;
	old = r[n / 2];
	r[n / 2].r_offset = r[0].r_offset + 2;
	expect_refused(k, "two relocations change .text");
	r[n / 2] = old;
	expect_linked(k);
}

/*
 * One that changes nothing stands where objtool has made a nop; it does not hide what stands beside
 * it.
 */
static void what_changes_nothing_hides_nothing(void **state)
{
	struct ko *k = *state;
	u64 thunk = symbol_index(k, "__x86_return_thunk"), call = symbol_index(k, "consume_skb");
	size_t n, tried = 0;
	Elf64_Rela *r = table(k, ".rela.text", &n);

	for (size_t i = 0; i + 1 < n; i++) {
		Elf64_Rela old = r[i];

		if (ELF64_R_SYM(r[i].r_info) != call || ELF64_R_SYM(r[i + 1].r_info) != thunk)
			continue;
		tried++;
		ko_set_type(&r[i], R_X86_64_NONE);
		expect_linked(k);
		r[i].r_offset = r[i + 1].r_offset;
		expect_linked(k);
		reverse_relocations(&r[i], 2);
		expect_linked(k);
		reverse_relocations(&r[i], 2);
		r[i] = old;
		/* nor is it a relocation, whatever it names */
		ko_set_type(&r[i + 1], R_X86_64_NONE);
		expect_refused(k, "names another instruction");
		ko_set_type(&r[i + 1], R_X86_64_PLT32);
	}
	assert_int_not_equal(tried, 0);
}

/* A jump whose target is a number, behind one that is relocated. */
static void the_relocation_of_another_jump_proves_nothing(void **state)
{
	struct ko *k = *state;
	size_t n;
	Elf64_Rela *r = table(k, ".rela.return_sites", &n);
	u8 *behind = (u8 *)ko_bytes(k, ".text") + r->r_addend + 5;

	assert_int_equal(behind[-5], 0xe9);
	*behind = 0xe9;
	expect_linked(k);
	r->r_addend += 5;
	expect_refused(k, "names another instruction");
}

/*
 * A table of another kind under a name that the kernel reads: __mcount_loc's entries are 8 bytes,
 * which is two of .call_sites'. What a driver lists there excuses none of its branches.
 */
static void a_renamed_table_excuses_nothing(void **state)
{
	struct ko *k = *state;
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)k->data;
	char *names = (char *)k->data + ko_header(k, eh->e_shstrndx)->sh_offset;
	Elf64_Shdr *h = ko_header(k, ko_section(k, ".return_sites"));
	struct module_site *sites;
	struct planned pl;
	size_t n, all;

	pl = plan_ko(k);
	assert_int_equal(module_patched_sites(kernel, pl.m, &sites, &all), 0);
	/* 10 functions that ftrace could trace, 10 returns, 1 static call */
	assert_int_equal(all, 21);
	for (size_t i = 1; i < all; i++)
		assert_true(module_site_find(sites, all, sites[i].section, sites[i].offset));
	assert_false(module_site_find(sites, all, ".text", 0x1234567));
	free(sites);
	drop_plan(&pl);
	/* .return_sites -> .call_sites: "call" lies within ".static_call_sites" */
	for (size_t i = 0; i < ko_header(k, eh->e_shstrndx)->sh_size; i++)
		if (!strcmp(names + i, "_call_sites"))
			names[i] = '.', h->sh_name = (u32)i;
	assert_int_not_equal(ko_section(k, ".call_sites"), 0);
	pl = plan_ko(k);
	assert_int_equal(module_patched_sites(kernel, pl.m, &sites, &n), 0);
	assert_int_equal(n, all - 11);
	free(sites);
	drop_plan(&pl);
}

/* Alternatives that are larger than their place would run over the code behind it. */
static void alternatives_fit(void **state)
{
	struct ko k = { NULL, 0 };
	char path[512];
	Elf64_Shdr *h;
	u8 *entry;
	size_t n;

	(void)state;
	k.data = slurp(
		image_path(path, sizeof(path), "cloud", "modules/kernel/net/netfilter/x_tables.ko"),
		&k.len);
	assert_non_null(k.data);
	expect_linked(&k);
	h = ko_header(&k, ko_section(&k, ".altinstructions"));
	entry = k.data + h->sh_offset;
	/* struct alt_instr of 6.1: instr, replacement, cpuid, instrlen, replacementlen */
	entry[11] = (u8)(entry[10] + 1);
	expect_refused(&k, "is larger than its place");
	entry[10] = entry[11] = 255;
	table(&k, ".rela.altinstructions", &n)[0].r_addend =
		(s64)ko_header(&k, ko_section(&k, ".text"))->sh_size - 5;
	expect_refused(&k, "is larger than its place");
	free(k.data);
}

/* Another driver of the session would import it as this driver's own. */
static void an_export_is_the_drivers_own(void **state)
{
	struct ko k = { NULL, 0 };
	char path[512];
	Elf64_Rela *r, old;
	size_t n;

	(void)state;
	k.data = slurp(image_path(path, sizeof(path), "cloud", "modules/kernel/mm/zsmalloc.ko"),
		       &k.len);
	assert_non_null(k.data);
	r = table(&k, ".rela__ksymtab_gpl", &n);
	while (r->r_offset % 12)
		r++;
	old = *r;
	r->r_info = ELF64_R_INFO(symbol_index(&k, "__fentry__"), R_X86_64_PC32);
	r->r_addend = symbol_distance("__fentry__", "filp_open");
	expect_refused(&k, "its export table (__ksymtab_gpl)");
	*r = old;
	r->r_addend = 0x40000000;
	expect_refused(&k, "its export table (__ksymtab_gpl)");
	*r = old;
	ko_set_type(r, R_X86_64_NONE);
	expect_refused(&k, "its export table (__ksymtab_gpl)");
	free(k.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_ko(data_is_no_way_to_code),
		with_ko(a_permitted_function_is_not_its_neighbour),
		with_ko(an_absent_symbol_is_not_an_address),
		with_ko(own_references_stay_at_home),
		with_ko(the_empty_symbol_is_empty),
		with_ko(relocations_do_not_overlap),
		with_ko(tables_name_the_right_instruction),
		with_ko(relocations_may_have_any_order),
		with_ko(what_changes_nothing_hides_nothing),
		with_ko(the_relocation_of_another_jump_proves_nothing),
		with_ko(a_renamed_table_excuses_nothing),
		cmocka_unit_test(alternatives_fit),
		cmocka_unit_test(an_export_is_the_drivers_own),
	};

	need_images();
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
