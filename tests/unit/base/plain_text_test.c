// SPDX-License-Identifier: GPL-2.0-only
/* Tests text of others: what is escaped, what is cut, and that a line is one write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/plain_text.h"

static void expect(const char *s, const char *want)
{
	char buf[200];

	assert_string_equal(plain_text(buf, sizeof(buf), s), want);
}

static void what_steers_a_terminal_is_escaped(void **state)
{
	(void)state;
	expect("a \xc3\xa4 \xe4\xb8\xad \\ \"", "a \xc3\xa4 \xe4\xb8\xad \\ \"");
	expect("\x1b[2J\r\n\t\x7f", "\\x1b[2J\\x0d\\x0a\\x09\\x7f");
	expect("\xc2\x9b"
	       "31m",
	       "\\xc2\\x9b31m");
	expect("a\xe2\x80\xae"
	       "b",
	       "a\\xe2\\x80\\xaeb");
	expect("\xc0\xaf\xf5", "\\xc0\\xaf\\xf5");
	expect("", "");
}

/* Never within a character or an escape. */
static void what_does_not_fit_is_cut_between_characters(void **state)
{
	char buf[8];

	(void)state;
	assert_string_equal(plain_text(buf, 4, "abc"), "abc");
	assert_string_equal(plain_text(buf, 4, "abcd"), "abc");
	assert_string_equal(plain_text(buf, 4, "ab\xc3\xa4"), "ab");
	assert_string_equal(plain_text(buf, 6, "ab\x1b"), "ab");
	assert_string_equal(plain_text(buf, 7, "ab\x1b"), "ab\\x1b");
	assert_string_equal(plain_text(buf, 1, "a"), "");
}

static void a_line_ends_with_one_newline(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	plain_text_line(f, "%s: %d", "a\nb", 3);
	fclose(f);
	assert_string_equal(text, "a\\x0ab: 3\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_steers_a_terminal_is_escaped),
		cmocka_unit_test(what_does_not_fit_is_cut_between_characters),
		cmocka_unit_test(a_line_ends_with_one_newline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
