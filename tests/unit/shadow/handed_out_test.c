// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests which references of a driver to its own functions go to inward entries in its copy, on
 * drivers of Debian's that have every form of them, and on forged ones.
 */
#include "tests/unit/shadow/dummy_ko.h"

#define INWARD	   0xffffffffc3000003ull
#define PEER	   0xffffffffc4000003ull
#define REFERENCES 4096

static u64 inward_base = INWARD;
static bool peers_have_entries;

static u64 inward_of(void *arg, size_t i)
{
	(void)arg;
	return inward_base + 24 * i;
}

static u64 peer_of(void *arg, const struct import *im)
{
	(void)arg;
	(void)im;
	return peers_have_entries ? PEER : 0;
}

/* A driver, its plan and its copy. */
struct linked {
	struct ko ko, copy;
	struct planned pl;
	const struct link_inward *in;
	size_t n;
};

static void plan_only(struct linked *l)
{
	l->pl = plan_ko(&l->ko);
	l->in = link_plan_inward(l->pl.p, &l->n);
}

static int link_ko(struct linked *l, struct err *e)
{
	struct link_addresses a = made_up_addresses();

	a.inward = inward_of;
	a.peer = peer_of;
	plan_only(l);
	return emit_copy(&l->pl, &a, "d__s", "__s", &l->copy, e);
}

static void read_ko(struct linked *l, const char *file)
{
	char path[512], name[256];

	snprintf(name, sizeof(name), "modules/kernel/%s", file);
	memset(l, 0, sizeof(*l));
	l->ko.data = slurp(image_path(path, sizeof(path), "cloud", name), &l->ko.len);
	assert_non_null(l->ko.data);
}

static void link_well(struct linked *l)
{
	struct err e = { "" };

	if (link_ko(l, &e))
		fail_msg("%s", e.text);
}

static void drop_copy(struct linked *l)
{
	free(l->copy.data);
	l->copy.data = NULL;
	drop_plan(&l->pl);
}

static void drop_linked(struct linked *l)
{
	drop_copy(l);
	free(l->ko.data);
}

/* Returns the number of the function's entry, or SIZE_MAX. */
static size_t entry_of_function(const struct linked *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->in[i].name, name))
			return i;
	return SIZE_MAX;
}

/* Where the function of that name lies: its section, and the place in it. */
static const Elf64_Sym *function_of(const struct linked *l, const char *name)
{
	const Elf64_Sym *sym = ko_symbol(&l->ko, name, NULL);

	assert_non_null(sym);
	return sym;
}

/*
 * Lists the places of all relocations of section @rela, in the file, that lead to the function, by
 * a type that takes an address.
 */
static size_t references_to(const struct linked *l, const char *rela, const char *name, u64 *at)
{
	const Elf64_Shdr *h = ko_header(&l->ko, ko_section(&l->ko, rela));
	const Elf64_Sym *first = (const Elf64_Sym *)ko_bytes(&l->ko, ".symtab"),
			*fn = function_of(l, name);
	size_t n = 0;

	for (u64 off = 0; off < h->sh_size; off += sizeof(Elf64_Rela)) {
		Elf64_Rela r;
		const Elf64_Sym *sym;

		memcpy(&r, l->ko.data + h->sh_offset + off, sizeof(r));
		sym = &first[ELF64_R_SYM(r.r_info)];
		if ((ELF64_R_TYPE(r.r_info) != R_X86_64_64 &&
		     ELF64_R_TYPE(r.r_info) != R_X86_64_32S) ||
		    sym->st_shndx != fn->st_shndx || sym->st_value + r.r_addend != fn->st_value)
			continue;
		assert_true(n < REFERENCES);
		at[n++] = h->sh_offset + off;
	}
	return n;
}

/* Expects the function's entry at each of the @want references that the section has. */
static void expect_led(const struct linked *l, const char *rela, const char *name, size_t want)
{
	static u64 at[REFERENCES];
	size_t n = references_to(l, rela, name, at), entry = entry_of_function(l, name);

	assert_int_equal(n, want);
	assert_true(entry != SIZE_MAX);
	for (size_t i = 0; i < n; i++) {
		Elf64_Rela was, is;

		memcpy(&was, l->ko.data + at[i], sizeof(was));
		memcpy(&is, l->copy.data + at[i], sizeof(is));
		assert_true(is.r_offset == was.r_offset);
		assert_int_equal(ELF64_R_TYPE(is.r_info), ELF64_R_TYPE(was.r_info));
		assert_int_equal(ELF64_R_SYM(is.r_info), 0);
		assert_true((u64)is.r_addend == inward_of(NULL, entry));
	}
}

/* Expects the whole section of relocations as it was. */
static void expect_left(const struct linked *l, const char *rela)
{
	const Elf64_Shdr *h = ko_header(&l->ko, ko_section(&l->ko, rela));

	assert_true(h->sh_size > 0);
	assert_memory_equal(l->copy.data + h->sh_offset, l->ko.data + h->sh_offset, h->sh_size);
}

static void data_store_push_and_comparison_have_one_entry(void **state)
{
	struct linked l;

	(void)state;
	read_ko(&l, "drivers/net/ipvlan/ipvlan.ko");
	link_well(&l);
	expect_led(&l, ".rela.text", "ipvlan_handle_frame", 5); /* four of them compare */
	expect_led(&l, ".rela.text", "ipvlan_nl_fillinfo", 1);	/* pushed */
	expect_led(&l, ".rela.init.text", "ipvlan_nl_fillinfo", 1);
	assert_int_equal(l.in[entry_of_function(&l, "ipvlan_handle_frame")].references, 5);
	drop_linked(&l);
	read_ko(&l, "drivers/net/team/team.ko");
	link_well(&l);
	expect_led(&l, ".rela.text", "team_header_parse", 1); /* compares with the one in data */
	expect_led(&l, ".rela.rodata", "team_header_parse", 1);
	drop_linked(&l);
}

static void an_init_is_left_and_an_exit_is_led(void **state)
{
	struct linked l;

	(void)state;
	read_ko(&l, "drivers/net/dummy.ko");
	link_well(&l);
	assert_true(entry_of_function(&l, "init_module") == SIZE_MAX);
	assert_true(entry_of_function(&l, "dummy_init_module") == SIZE_MAX);
	assert_int_equal(link_plan_left(l.pl.p, LEFT_INIT), 2);
	/* two names of one function have one entry */
	assert_true((entry_of_function(&l, "cleanup_module") == SIZE_MAX) !=
		    (entry_of_function(&l, "dummy_cleanup_module") == SIZE_MAX));
	drop_linked(&l);
}

static enum kernel_result result_of(const struct linked *l, const char *name)
{
	size_t i = entry_of_function(l, name);

	assert_true(i != SIZE_MAX);
	return l->in[i].result;
}

static void results_are_known_by_the_drivers_types(void **state)
{
	struct linked l;
	u8 *btf;

	(void)state;
	read_ko(&l, "drivers/net/dummy.ko");
	link_well(&l);
	assert_int_equal(result_of(&l, "dummy_dev_init"), RESULT_INT);
	assert_int_equal(result_of(&l, "dummy_setup"), RESULT_VOID);
	assert_int_equal(result_of(&l, "dummy_xmit"), RESULT_OTHER);
	assert_int_equal(l.in[entry_of_function(&l, "dummy_xmit")].args, 2);
	assert_int_equal(l.in[entry_of_function(&l, "dummy_validate")].args, 3);
	assert_int_equal(l.in[entry_of_function(&l, "dummy_cleanup_module")].args, 0);
	for (size_t i = 0; i < l.n; i++)
		assert_int_equal(l.in[i].is_exit, strstr(l.in[i].name, "cleanup_module") != NULL);
	drop_copy(&l);
	/* damaged ones are as none */
	btf = ko_bytes(&l.ko, ".BTF");
	btf[0] ^= 1;
	link_well(&l);
	assert_int_equal(result_of(&l, "dummy_dev_init"), RESULT_UNKNOWN);
	drop_copy(&l);
	btf[0] ^= 1;
	memset(btf + 16, 0xff, 4); /* str_off */
	link_well(&l);
	assert_int_equal(result_of(&l, "dummy_dev_init"), RESULT_UNKNOWN);
	drop_linked(&l);
}

static void what_the_kernel_patches_is_left(void **state)
{
	struct linked l;

	(void)state;
	read_ko(&l, "arch/x86/crypto/aesni-intel.ko");
	plan_only(&l);
	assert_true(link_plan_left(l.pl.p, LEFT_STATIC_CALL) > 0);
	for (size_t i = 0; i < l.n; i++)
		assert_null(strstr(l.in[i].name, "__SCT__"));
	drop_linked(&l);
	read_ko(&l, "drivers/block/nbd.ko");
	link_well(&l);
	expect_left(&l, ".rela__tracepoints");
	expect_left(&l, ".rela__bpf_raw_tp_map");
	expect_left(&l, ".rela__mcount_loc");
	assert_true(link_plan_left(l.pl.p, LEFT_TABLE) > 0);
	drop_linked(&l);
}

/* A table of jumps, whose labels are no functions, and functions that are computed with. */
static void what_is_no_function_of_c_is_left(void **state)
{
	struct linked l;

	(void)state;
	read_ko(&l, "arch/x86/crypto/crc32c-intel.ko");
	link_well(&l);
	assert_int_equal(link_plan_left(l.pl.p, LEFT_LABEL), 129);
	drop_linked(&l);
	read_ko(&l, "arch/x86/kvm/kvm.ko");
	plan_only(&l);
	for (size_t i = 0; i < l.n; i++)
		assert_true(strncmp(l.in[i].name, "em_", 3) != 0 ||
			    function_of(&l, l.in[i].name)->st_size > 0);
	assert_true(entry_of_function(&l, "em_add") == SIZE_MAX);
	assert_true(entry_of_function(&l, "em_setcc") == SIZE_MAX);
	assert_true(entry_of_function(&l, "em_cpuid") != SIZE_MAX);
	drop_linked(&l);
}

static void an_export_has_an_entry_for_those_who_take_its_address(void **state)
{
	struct link_addresses a = made_up_addresses();
	struct link_provider provider;
	struct linked l, consumer;
	struct link_plan *p;
	struct module *m;
	struct ko copy;
	struct planned pl;
	struct err e = { "" };
	Elf64_Rela *r, *in_copy;

	(void)state;
	read_ko(&l, "mm/zsmalloc.ko");
	link_well(&l);
	assert_true(entry_of_function(&l, "zs_malloc") != SIZE_MAX);
	assert_true(l.in[entry_of_function(&l, "zs_malloc")].exported);
	assert_int_equal(l.in[entry_of_function(&l, "zs_malloc")].references, 0);
	read_ko(&consumer, "drivers/block/zram/zram.ko");
	/* a call that is made a load of the address */
	r = ko_rela(&consumer.ko, ".rela.text", "zs_malloc");
	assert_non_null(r);
	ko_set_type(r, R_X86_64_32S);
	r->r_addend = 0;
	provider = (struct link_provider){ l.pl.m, "zsmalloc__s", "__s" };
	a.peer = peer_of;
	for (int i = 0; i < 2; i++) {
		peers_have_entries = i;
		assert_int_equal(module_parse(&m, "zram.ko", consumer.ko.data, consumer.ko.len, &e),
				 0);
		if (link_plan_create(&p, kernel, m, &(struct link_session){ &provider, 1, &rules },
				     &e))
			fail_msg("%s", e.text);
		pl = (struct planned){ m, p };
		assert_int_equal(emit_copy(&pl, &a, "zram__s", "__s", &copy, &e), 0);
		in_copy = (Elf64_Rela *)(copy.data + ((u8 *)r - consumer.ko.data));
		if (i) {
			assert_int_equal(ELF64_R_SYM(in_copy->r_info), 0);
			assert_true((u64)in_copy->r_addend == PEER);
		} else {
			assert_memory_equal(in_copy, r, sizeof(*r));
		}
		free(copy.data);
		drop_plan(&pl);
	}
	free(consumer.ko.data);
	drop_linked(&l);
}

/* Each of these says something else than that the kernel may call a function there. */
static void forged_references_are_left(void **state)
{
	struct linked l;
	u64 at[REFERENCES];
	Elf64_Rela *r;
	Elf64_Sym *sym;
	size_t n;

	(void)state;
	read_ko(&l, "drivers/net/ipvlan/ipvlan.ko");
	link_well(&l);
	n = l.n;
	drop_copy(&l);
	assert_int_equal(references_to(&l, ".rela.rodata", "ipvlan_get_iflink", at), 1);
	r = (Elf64_Rela *)(l.ko.data + at[0]);
	r->r_addend += 1; /* into the function */
	link_well(&l);
	assert_int_equal(l.n, n - 1);
	assert_int_equal(link_plan_left(l.pl.p, LEFT_LABEL), 1);
	drop_copy(&l);
	r->r_addend = INT64_MIN;
	link_well(&l);
	assert_int_equal(l.n, n - 1);
	drop_copy(&l);
	r->r_addend = INT64_MAX;
	link_well(&l);
	assert_int_equal(l.n, n - 1);
	drop_copy(&l);
	/* a function without a size, and one without a type */
	sym = ko_symbol(&l.ko, "ipvlan_handle_frame", NULL);
	sym->st_size = 0;
	link_well(&l);
	assert_int_equal(l.n, n - 2);
	drop_copy(&l);
	sym->st_size = 8;
	sym->st_info = ELF64_ST_INFO(ELF64_ST_BIND(sym->st_info), STT_NOTYPE);
	link_well(&l);
	assert_int_equal(l.n, n - 2);
	drop_linked(&l);
}

static void an_entry_out_of_module_space_is_refused(void **state)
{
	struct err e = { "" };
	struct linked l;

	(void)state;
	read_ko(&l, "drivers/net/dummy.ko");
	inward_base = 0x80000000ull;
	assert_int_equal(link_ko(&l, &e), -ERANGE);
	assert_non_null(strstr(e.text, "out of module space"));
	inward_base = INWARD;
	l.copy.data = NULL;
	drop_linked(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_store_push_and_comparison_have_one_entry),
		cmocka_unit_test(an_init_is_left_and_an_exit_is_led),
		cmocka_unit_test(results_are_known_by_the_drivers_types),
		cmocka_unit_test(what_the_kernel_patches_is_left),
		cmocka_unit_test(what_is_no_function_of_c_is_left),
		cmocka_unit_test(an_export_has_an_entry_for_those_who_take_its_address),
		cmocka_unit_test(forged_references_are_left),
		cmocka_unit_test(an_entry_out_of_module_space_is_refused),
	};

	need_images();
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
