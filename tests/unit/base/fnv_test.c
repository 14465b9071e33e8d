// SPDX-License-Identifier: GPL-2.0-only
/* Tests the hash of strings by known values of FNV-1a: private names of modules are made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fnv.h"

static void known_values_come_out(void **state)
{
	(void)state;
	assert_int_equal(fnv_string(FNV_START, ""), 0xcbf29ce484222325ull);
	assert_int_equal(fnv_string(FNV_START, "a"), 0xaf63dc4c8601ec8cull);
	assert_int_equal(fnv_string(FNV_START, "foobar"), 0x85944171f73967e8ull);
}

/* A char is signed here; the bytes of a name are not. */
static void bytes_above_127_are_not_negative(void **state)
{
	(void)state;
	assert_int_equal(fnv_string(FNV_START, "\xff"), fnv_step(FNV_START, 0xff));
	assert_int_equal(fnv_string(FNV_START, "a\xff"), fnv_step(fnv_step(FNV_START, 'a'), 0xff));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_values_come_out),
		cmocka_unit_test(bytes_above_127_are_not_negative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
