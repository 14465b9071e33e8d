// SPDX-License-Identifier: GPL-2.0-only
/* Tests kernel command lines, taken apart as the kernel does it. No KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/types.h"
#include "vmm/guest/guest_boot.h"
#include "vmm/spec/cmdline.h"

/* Checks all words, as "key" or "key=value", each in brackets. */
static void expect_words(const char *line, const char *words)
{
	char text[300] = "";
	struct cmdline_word w;
	size_t n = 0;

	for (const char *p = line; cmdline_next(&p, &w);) {
		assert_true(w.start >= line && w.start + w.len <= line + strlen(line));
		n += (size_t)snprintf(text + n, sizeof(text) - n, "[%.*s%s%.*s]", (int)w.key_len,
				      w.key, w.value ? "=" : "", (int)w.value_len,
				      w.value ? w.value : "");
	}
	if (strcmp(text, words) != 0)
		fail_msg("<%s> gives %s, want %s", line, text, words);
}

/* The right column is what next_arg() of Linux 6.1 says. */
static void test_words(void **state)
{
	(void)state;
	expect_words("", "");
	expect_words("  a\tb=1\n c= ", "[a][b=1][c=]");
	expect_words("a=\"1 2\" \"b=3 4\" \"c d\" e", "[a=1 2][b=3 4][c d][e]");
	expect_words("a=b=c =x =y=z", "[a=b=c][=x][=y=z]");
	expect_words("a -- b", "[a]");
	expect_words("a --=1 b", "[a][--=1][b]");
	expect_words("a --b \"--\" c", "[a][--b]");
	expect_words("a=\"-- b\" c", "[a=-- b][c]");
	expect_words("a=\"\" b=\" c", "[a=][b= c]");
	expect_words("a=x\"1 2\" c", "[a=x\"1 2\"][c]");
	expect_words("a=\"", "[a=]");
	expect_words("\"", "[]");
	expect_words("\"a=\"1\"\" b", "[a=1\"][b]");
	expect_words("a\xa0"
		     "b",
		     "[a][b]");
}

static void test_find(void **state)
{
	struct cmdline_word w;
	char *v;

	(void)state;
	assert_true(cmdline_find("a nokaslr b", "nokaslr", &w));
	assert_false(cmdline_find("a nokaslrx xnokaslr b -- nokaslr", "nokaslr", &w));
	assert_true(cmdline_find("module.sig-enforce=1", "module.sig_enforce", &w));
	assert_true(cmdline_find("x=1 x", "x", &w));
	assert_null(w.value);
	assert_true(cmdline_find_value("x=1 x", "x", &w));
	assert_int_equal(w.value_len, 1);
	v = cmdline_value("root=/dev/a root=\"LABEL=b c\"", "root");
	assert_string_equal(v, "LABEL=b c");
	free(v);
	v = cmdline_value("rdinit=/x rdinit=/y z", "rdinit");
	assert_string_equal(v, "/y");
	free(v);
	v = cmdline_value("\"rdinit=/x y\" c", "rdinit");
	assert_string_equal(v, "/x y");
	free(v);
	v = cmdline_value("rdinit=\"/x y\" c", "rdinit");
	assert_string_equal(v, "/x y");
	free(v);
	assert_null(cmdline_value("a -- rdinit=/x", "rdinit"));
	assert_null(cmdline_value("rdinit", "rdinit"));
}

static void expect_cmdline(const char *append, bool no_kaslr, const char *want)
{
	struct guest_spec s;
	char *line;

	guest_spec_init(&s);
	s.append = append;
	s.no_kaslr = no_kaslr;
	line = guest_boot_cmdline(&s, append);
	assert_string_equal(line, want);
	free(line);
	guest_spec_free(&s);
}

/* A console= that the kernel does not see leaves the guest mute, unless it gets one. */
static void test_console(void **state)
{
	(void)state;
	expect_cmdline("", false, "console=ttyS0 ");
	expect_cmdline("quiet console=hvc0", false, "quiet console=hvc0");
	expect_cmdline("\"console=ttyS1,9600\"", false, "\"console=ttyS1,9600\"");
	expect_cmdline("quiet -- console=x", false, "console=ttyS0 quiet -- console=x");
	expect_cmdline("init=/bin/sh -- -c \"echo console=1\"", false,
		       "console=ttyS0 init=/bin/sh -- -c \"echo console=1\"");
	expect_cmdline("\"x=a console=b\"", false, "console=ttyS0 \"x=a console=b\"");
	expect_cmdline("console=ttyS0", true, "nokaslr console=ttyS0");
	expect_cmdline("console=ttyS0 nokaslr", true, "console=ttyS0 nokaslr");
	expect_cmdline("console=ttyS0 -- nokaslr", true, "nokaslr console=ttyS0 -- nokaslr");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_console),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
