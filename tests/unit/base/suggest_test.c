// SPDX-License-Identifier: GPL-2.0-only
/* Tests what a mistyped word was meant to be, and how that is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/suggest.h"

static void the_nearest_word_is_found(void **state)
{
	static const char *const words[] = { "run", "inspect", "doctor", NULL };

	(void)state;
	assert_string_equal(suggest("rn", words), "run");
	assert_string_equal(suggest("inspct", words), "inspect");
	assert_string_equal(suggest("doc", words), "doctor");
	assert_null(suggest("completely", words));
	assert_string_equal(suggest("runs", (const char *const[]){ "runs2", "runs", NULL }),
			    "runs");
	assert_null(suggest("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", words));
}

static void a_hint_has_one_wording(void **state)
{
	char hint[SUGGEST_HINT];

	(void)state;
	assert_string_equal(suggest_hint(hint, "files"), "; did you mean \"files\"?");
	assert_string_equal(suggest_hint(hint, "--memory"), "; did you mean --memory?");
	assert_string_equal(suggest_hint(hint, NULL), "");
}

static void a_long_hint_is_cut_within_its_quotes(void **state)
{
	char hint[SUGGEST_HINT], word[200];
	size_t len;

	(void)state;
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	len = strlen(suggest_hint(hint, word));
	assert_true(len < SUGGEST_HINT);
	assert_string_equal(hint + len - 3, "a\"?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_word_is_found),
		cmocka_unit_test(a_hint_has_one_wording),
		cmocka_unit_test(a_long_hint_is_cut_within_its_quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
