// SPDX-License-Identifier: GPL-2.0-only
/* Tests names: every byte value by kind, lengths at their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/name_chars.h"

static const char plain[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void each_byte_is_of_its_kind(void **state)
{
	(void)state;
	for (unsigned c = 1; c < 256; c++) {
		const char s[] = { 'a', (char)c, '\0' };
		bool is_plain = strchr(plain, (char)c);
		bool word = is_plain || c == '_' || c == '-';
		bool file = word || c == '.';

		if (name_chars_only(s, NAME_WORD, 9) != word)
			fail_msg("byte 0x%02x as a word", c);
		if (name_chars_only(s, NAME_FILE, 9) != file)
			fail_msg("byte 0x%02x of a file", c);
		assert_int_equal(name_chars_len(s, NAME_FILE), file ? 2 : 1);
	}
}

static void a_name_ends_at_the_first_other_byte(void **state)
{
	(void)state;
	assert_int_equal(name_chars_len("p.x-1_=2", NAME_FILE), 6);
	assert_int_equal(name_chars_len("p.x", NAME_WORD), 1);
	assert_int_equal(name_chars_len("=2", NAME_FILE), 0);
	assert_int_equal(name_chars_len("", NAME_FILE), 0);
	assert_int_equal(name_chars_len("\xc3\xa4", NAME_FILE), 0);
	assert_int_equal(name_chars_len("6.1.0+x~y z", "._+~-"), 9);
}

static void a_name_has_one_character_or_more(void **state)
{
	(void)state;
	assert_false(name_chars_only("", NAME_WORD, 4));
	assert_true(name_chars_only("a", NAME_WORD, 4));
	assert_true(name_chars_only("abcd", NAME_WORD, 4));
	assert_false(name_chars_only("abcde", NAME_WORD, 4));
	assert_false(name_chars_only("ab ", NAME_WORD, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_is_of_its_kind),
		cmocka_unit_test(a_name_ends_at_the_first_other_byte),
		cmocka_unit_test(a_name_has_one_character_or_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
