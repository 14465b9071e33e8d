// SPDX-License-Identifier: GPL-2.0-only
/* Tests the linker's rules: which import goes where, and what is refused. */
#include "tests/unit/shadow/dummy_ko.h"

/* Checks that the plan (or already the parsing) fails with a line that has both texts. */
static void expect_error(const struct ko *k, const char *a, const char *b)
{
	struct err e = { "" };
	struct link_plan *p = NULL;
	struct module *m = NULL;
	int ret = module_parse(&m, "wrong.ko", k->data, k->len, &e);

	if (!ret)
		ret = link_plan_create(&p, kernel, m, &(struct link_session){ .rules = &rules },
				       &e);
	assert_int_equal(ret, -EINVAL);
	assert_null(p);
	assert_null(strchr(e.text, '\n'));
	if (!strstr(e.text, a) || !strstr(e.text, b) || !strstr(e.text, "wrong.ko"))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", e.text, a, b);
	module_close(m);
}

static void test_plan(void **state)
{
	struct planned pl;

	critical_name = "register_netdevice";
	pl = plan_ko(*state);
	assert_string_equal(module_name(pl.m), "dummy");
	assert_string_equal(module_depends(pl.m), "");
	assert_non_null(strstr(module_vermagic(pl.m), "mod_unload"));
	assert_int_equal(module_export_count(pl.m), 0);
	expect_import(&pl, "register_netdevice", SYMBOL_FUNCTION, TARGET_SHADOW, 1, 0);
	assert_true(import_of(&pl, "register_netdevice")->critical);
	expect_import(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_SHADOW, 2, 0);
	assert_false(import_of(&pl, "consume_skb")->critical);
	expect_import(&pl, "eth_validate_addr", SYMBOL_FUNCTION, TARGET_KERNEL, 0, 1);
	assert_non_null(strstr(import_of(&pl, "eth_validate_addr")->reason, "address"));
	expect_import(&pl, "__fentry__", SYMBOL_SPECIAL, TARGET_KERNEL, 10, 0);
	expect_import(&pl, "nr_cpu_ids", SYMBOL_DATA, TARGET_KERNEL, 0, 2);
	expect_import(&pl, "this_cpu_off", SYMBOL_PERCPU, TARGET_KERNEL, 0, 1);
	assert_null(link_plan_refused(pl.p));
	drop_plan(&pl);
}

static void test_permitted(void **state)
{
	struct planned pl;

	permitted_name = "consume_skb";
	pl = plan_ko(*state);
	expect_import(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_KERNEL, 2, 0);
	drop_plan(&pl);
	/* a permission does not take the gate away */
	critical_name = "consume_skb";
	pl = plan_ko(*state);
	expect_import(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_SHADOW, 2, 0);
	assert_true(import_of(&pl, "consume_skb")->critical);
	drop_plan(&pl);
}

static void test_address_taken(void **state)
{
	struct ko *k = *state;
	Elf64_Rela *r = ko_rela(k, ".rela.text", "consume_skb");
	struct planned pl;

	critical_name = "eth_validate_addr";
	pl = plan_ko(k);
	expect_import(&pl, "eth_validate_addr", SYMBOL_FUNCTION, TARGET_REFUSED, 0, 1);
	assert_ptr_equal(link_plan_refused(pl.p), import_of(&pl, "eth_validate_addr"));
	drop_plan(&pl);
	permitted_name = "eth_validate_addr";
	pl = plan_ko(k);
	expect_import(&pl, "eth_validate_addr", SYMBOL_FUNCTION, TARGET_KERNEL, 0, 1);
	drop_plan(&pl);

	/* called and taken: "mov $consume_skb, %reg" in place of one of the two calls */
	ko_set_type(r, R_X86_64_32S);
	r->r_addend = 0;
	critical_name = permitted_name = NULL;
	pl = plan_ko(k);
	expect_import(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_SHADOW, 1, 1);
	drop_plan(&pl);
	critical_name = "consume_skb";
	pl = plan_ko(k);
	expect_import(&pl, "consume_skb", SYMBOL_FUNCTION, TARGET_REFUSED, 1, 1);
	drop_plan(&pl);
}

static void test_not_redirectable(void **state)
{
	static const char *const names[] = { "__fentry__", "nr_cpu_ids", "this_cpu_off" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct planned pl;

		critical_name = names[i];
		pl = plan_ko(*state);
		assert_int_equal(import_of(&pl, names[i])->target, TARGET_REFUSED);
		drop_plan(&pl);
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
	expect_error(k, "register_netdevice", "beyond the end of its section");
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
	struct link_addresses a = made_up_addresses();
	struct err e = { "" };
	struct planned pl;
	Elf64_Sym *sym;
	char *name = NULL;

	sym = ko_symbol(k, "register_netdevice", &name);
	assert_non_null(name);
	memcpy(name, "register_netdevicX", 18);
	pl = plan_ko(k);
	expect_import(&pl, "register_netdevicX", SYMBOL_FUNCTION, TARGET_REFUSED, 1, 0);
	assert_non_null(strstr(link_plan_refused(pl.p)->reason, "nothing in the session"));
	assert_int_equal(emit_copy(&pl, &a, "dummy1", "__1", &copy, &e), -EPERM);
	assert_non_null(strstr(e.text, "register_netdevicX"));
	drop_plan(&pl);
	permitted_name = "register_netdevicX";
	pl = plan_ko(k);
	expect_import(&pl, "register_netdevicX", SYMBOL_FUNCTION, TARGET_KERNEL, 1, 0);
	drop_plan(&pl);
	/* weak: absent for the driver even if some module of the guest exports it */
	permitted_name = NULL;
	sym->st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE);
	pl = plan_ko(k);
	assert_int_equal(import_of(&pl, "register_netdevicX")->target, TARGET_KERNEL);
	assert_int_equal(emit_copy(&pl, &a, "dummy1", "__1", &copy, &e), 0);
	assert_null(ko_symbol(&copy, "register_netdevicX", NULL));
	assert_non_null(ko_symbol(&copy, "register_netdevicX.absent", NULL));
	free(copy.data);
	drop_plan(&pl);
	/* neither weak nor there, and the kernel's loader takes it all the same */
	sym->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE);
	ko_symbol(k, "ethtool_op_get_ts_info", &name);
	assert_non_null(name);
	memcpy(name, "_GLOBAL_OFFSET_TABLE_", 22);
	memset(ko_version(k, "ethtool_op_get_ts_info") + 8, 0, 56);
	pl = plan_ko(k);
	assert_int_equal(import_of(&pl, "_GLOBAL_OFFSET_TABLE_")->target, TARGET_KERNEL);
	drop_plan(&pl);
	memcpy(name, "ethtool_op_get_ts_info", 23);
	name = NULL;
	sym = ko_symbol(k, "register_netdevicX", &name);
	sym->st_info = ELF64_ST_INFO(STB_WEAK, STT_NOTYPE);
	/* weak, and the kernel has it: an import like any other */
	memcpy(name, "register_netdevice", 18);
	pl = plan_ko(k);
	expect_import(&pl, "register_netdevice", SYMBOL_FUNCTION, TARGET_SHADOW, 1, 0);
	drop_plan(&pl);
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
	pl = plan_ko(k);
	assert_int_equal(import_of(&pl, a)->target, TARGET_SHADOW);
	drop_plan(&pl);
	critical_name = b;
	pl = plan_ko(k);
	assert_int_equal(import_of(&pl, a)->target, TARGET_REFUSED);
	assert_non_null(strstr(import_of(&pl, a)->reason, b));
	drop_plan(&pl);
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
		struct planned pl = plan_ko(k);

		drop_plan(&pl);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_ko(test_plan),	     with_ko(test_permitted),
		with_ko(test_address_taken), with_ko(test_not_redirectable),
		with_ko(test_unknown_forms), with_ko(test_own_branches),
		with_ko(test_absent),	     with_ko(test_alias),
		with_ko(test_other_kernel),  with_ko(test_not_a_module),
	};

	need_images();
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
