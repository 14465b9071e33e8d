// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the reading of BTF in its place, beside libbpf: the same types, names and sizes, and
 * nothing of a section that is damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shadow/kernel/kernel_int.h"
#include "tests/unit/shadow/images.h"

/* A section with a type of each kind. */
static struct btf *every_kind(void)
{
	struct btf *b = btf__new_empty();
	int i32 = btf__add_int(b, "int", 4, BTF_INT_SIGNED), ptr = btf__add_ptr(b, i32), strct,
	    proto, array, fn;

	array = btf__add_array(b, i32, btf__add_typedef(b, "int_t", i32), 7);
	btf__add_array(b, i32, array, 3);
	strct = btf__add_struct(b, "pair", 12);
	btf__add_field(b, "a", i32, 0, 0);
	btf__add_field(b, "p", ptr, 32, 0);
	btf__add_union(b, "either", 8);
	btf__add_field(b, "x", strct, 0, 0);
	btf__add_enum(b, "colour", 4);
	btf__add_enum_value(b, "RED", 1);
	btf__add_enum64(b, "wide", 8, false);
	btf__add_enum64_value(b, "FAR", 1ULL << 40);
	btf__add_fwd(b, "elsewhere", BTF_FWD_STRUCT);
	btf__add_const(b, btf__add_volatile(b, btf__add_restrict(b, ptr)));
	proto = btf__add_func_proto(b, i32);
	btf__add_func_param(b, "a", ptr);
	btf__add_func_param(b, "b", strct);
	fn = btf__add_func(b, "function", BTF_FUNC_GLOBAL, proto);
	btf__add_datasec(b, "data", 4);
	btf__add_datasec_var_info(b, btf__add_var(b, "v", BTF_VAR_STATIC, i32), 0, 4);
	btf__add_float(b, "double", 8);
	btf__add_type_tag(b, "user", i32);
	btf__add_decl_tag(b, "decl", fn, -1);
	return b;
}

static void same_types(const struct btf_types *ours, const struct btf *theirs)
{
	assert_int_equal(ours->count, btf__type_cnt(theirs));
	for (u32 id = 0; id < ours->count; id++) {
		const struct btf_type *a = btf_type_at(ours, id), *b = btf__type_by_id(theirs, id);
		s64 size = btf_size(ours, id), want = btf__resolve_size(theirs, id);

		assert_memory_equal(a, b, sizeof(*a));
		assert_string_equal(btf_name(ours, a->name_off),
				    btf__name_by_offset(theirs, b->name_off));
		if (size != want && (size >= 0 || want >= 0))
			fail_msg("type %u: %lld bytes, to libbpf %lld", id, (long long)size,
				 (long long)want);
	}
	assert_null(btf_type_at(ours, ours->count));
	assert_null(btf_name(ours, ours->strings_len));
}

static void test_every_kind(void **state)
{
	struct btf *b = every_kind();
	struct btf_types t;
	const u8 *data;
	u32 len;
	u8 *odd;

	(void)state;
	data = btf__raw_data(b, &len);
	assert_int_equal(btf_types_open(&t, data, len, NULL, 0), 0);
	assert_null(t.own_data);
	same_types(&t, b);
	btf_types_close(&t);
	/* A section that is not aligned is read from a copy. */
	odd = malloc(len + 1);
	memcpy(odd + 1, data, len);
	assert_int_equal(btf_types_open(&t, odd + 1, len, NULL, 0), 0);
	assert_non_null(t.own_data);
	same_types(&t, b);
	btf_types_close(&t);
	free(odd);
	btf__free(b);
}

/* Every number of the header, and every length, that does not fit the section. */
static void test_damaged(void **state)
{
	static const u32 values[] = { 0, 1, 25, 0x7fffffff, UINT32_MAX - 3, UINT32_MAX };
	struct btf *b = every_kind();
	struct btf_types t;
	const u8 *data;
	unsigned refused = 0;
	u8 *copy;
	u32 len;

	(void)state;
	data = btf__raw_data(b, &len);
	for (u32 cut = 0; cut < len; cut++) {
		copy = malloc(cut ? cut : 1);
		memcpy(copy, data, cut);
		assert_int_equal(btf_types_open(&t, copy, cut, NULL, 0), -EINVAL);
		free(copy);
	}
	assert_true(len);
	copy = malloc((size_t)len + 1);
	for (u32 at = 0; at < sizeof(struct btf_header); at += 4) {
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			memcpy(copy, data, len);
			memcpy(copy + at, &values[i], 4);
			if (btf_types_open(&t, copy, len, NULL, 0)) {
				refused++;
				continue;
			}
			for (u32 id = 0; id < t.count; id++)
				assert_non_null(btf_type_at(&t, id));
			btf_types_close(&t);
		}
	}
	assert_true(refused > 25);
	/* A type that says it is larger than what is left of the types. */
	memcpy(copy, data, len);
	((struct btf_type *)(void *)(copy + sizeof(struct btf_header)))->info = 4u << 24 | 0xffff;
	assert_int_equal(btf_types_open(&t, copy, len, NULL, 0), -EINVAL);
	free(copy);
	btf__free(b);
}

/* Offsets that a damaged file says lead to no type, or to one that is whole. */
static void test_offsets_of_a_damaged_file(void **state)
{
	struct btf *b = every_kind();
	struct btf_types t;
	const u8 *data;
	u32 len;

	(void)state;
	data = btf__raw_data(b, &len);
	for (u32 off = 0; off < len + 8; off++) {
		const u32 offsets[] = { 0, off };

		assert_int_equal(btf_types_open(&t, data, len, offsets, 2), 0);
		if (off % 4 || off + sizeof(struct btf_type) > t.types_len)
			assert_null(btf_type_at(&t, 1));
		btf_size(&t, 1);
		btf_types_close(&t);
	}
	btf__free(b);
}

/* Sizes that do not end: an array of itself, a typedef of itself, and one too large. */
static void test_sizes_that_do_not_end(void **state)
{
	struct btf *b = btf__new_empty();
	int i32 = btf__add_int(b, "int", 4, 0), array = btf__add_array(b, i32, i32, 2), type, big;
	struct btf_types t;
	const u8 *data;
	u32 len;

	(void)state;
	((struct btf_array *)(uintptr_t)btf_array(btf__type_by_id(b, (u32)array)))->type =
		(u32)array;
	type = btf__add_typedef(b, "t", i32);
	((struct btf_type *)(uintptr_t)btf__type_by_id(b, (u32)type))->type = (u32)type;
	big = btf__add_array(b, i32, i32, UINT32_MAX);
	for (int i = 0; i < 2; i++)
		big = btf__add_array(b, i32, big, UINT32_MAX);
	data = btf__raw_data(b, &len);
	assert_int_equal(btf_types_open(&t, data, len, NULL, 0), 0);
	assert_true(btf_size(&t, (u32)array) < 0);
	assert_true(btf_size(&t, (u32)type) < 0);
	assert_int_equal(btf_size(&t, (u32)big), -E2BIG);
	btf_types_close(&t);
	btf__free(b);
}

/* Debian's: each of its types. */
static void test_debian(void **state)
{
	struct kernel *k;
	struct btf *b;
	char path[512];

	(void)state;
	image_path(path, sizeof(path), "cloud", "vmlinuz");
	if (!getenv("UMBRA_TEST_IMAGES") || access(path, R_OK))
		skip();
	assert_int_equal(kernel_open(&k, path, false, NULL), 0);
	assert_int_equal(kernel_load_symbols(k, NULL), 0);
	b = btf__new(k->sec.btf.data, (u32)k->sec.btf.size);
	assert_non_null(b);
	assert_true(k->types.btf.count > 50000);
	same_types(&k->types.btf, b);
	btf__free(b);
	kernel_close(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_offsets_of_a_damaged_file),
		cmocka_unit_test(test_sizes_that_do_not_end),
		cmocka_unit_test(test_debian),
	};

	return cmocka_run_group_tests_name("btf_types", tests, NULL, NULL);
}
