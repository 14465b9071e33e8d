// SPDX-License-Identifier: GPL-2.0-only
/* Tests tables: widths as a terminal shows them, hostile text, lines that fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <locale.h>
#include <cmocka.h>

#include "base/table.h"
#include "base/types.h"

static const struct table_column names_and_numbers[] = {
	{ "NAME", 6, 0 },
	{ "SIZE", 0, TABLE_RIGHT },
	{ "FILE", 8, 0 },
};

static char *printed(struct table *t, unsigned indent, unsigned width, bool colour)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(table_print(t, f, indent, width, colour), 0);
	fclose(f);
	return text;
}

static void expect_text(struct table *t, unsigned indent, unsigned width, const char *want)
{
	char *text = printed(t, indent, width, false);

	assert_string_equal(text, want);
	free(text);
}

static void aligns_and_does_not_pad_the_last_column(void **state)
{
	struct table *t = table_create(names_and_numbers, ARRAY_SIZE(names_and_numbers));

	(void)state;
	expect_text(t, 0, 0, "NAME  SIZE  FILE\n");
	table_cell(t, "%s", "web");
	table_cell(t, "%d", 7);
	table_cell(t, "%s", "/a/b");
	table_cell(t, "%s", "longer-name");
	table_cell(t, "%d", 123456);
	table_row_end(t);
	expect_text(t, 2, 0,
		    "  NAME           SIZE  FILE\n"
		    "  web               7  /a/b\n"
		    "  longer-name  123456\n");
	table_free(t);
}

static void measures_display_columns(void **state)
{
	struct table *t = table_create(names_and_numbers, ARRAY_SIZE(names_and_numbers));
	/* two columns each; e and a combining accent; one byte of Latin-1 */
	static const char *const cells[] = { "\xe6\xbc\xa2\xe5\xad\x97", "e\xcc\x81", "gr\xc3\xbcn",
					     "\xfc" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		table_cell(t, "%s", cells[i]);
		table_cell(t, "%d", 1);
		table_cell(t, "%s", "x");
	}
	expect_text(t, 0, 0,
		    "NAME  SIZE  FILE\n"
		    "\xe6\xbc\xa2\xe5\xad\x97     1  x\n"
		    "e\xcc\x81        1  x\n"
		    "gr\xc3\xbcn     1  x\n"
		    "\\xfc     1  x\n");
	table_free(t);
}

static void hostile_text_is_harmless(void **state)
{
	static const struct table_column one[] = { { NULL, 0, 0 } };
	struct table *t = table_create(one, 1);

	(void)state;
	table_cell(t, "%s", "\x1b[2J\r\n\t\x7f");
	table_cell(t, "%s",
		   "a\xe2\x80\xae"
		   "b\xef\xbb\xbf");
	table_cell(t, "%s",
		   "\xc2\x9b"
		   "31m");
	table_cell(t, "%s", "\xc0\xaf\xed\xa0\x80\xf5");
	expect_text(t, 0, 0,
		    "\\x1b[2J\\x0d\\x0a\\x09\\x7f\n"
		    "a\\xe2\\x80\\xaeb\\xef\\xbb\\xbf\n"
		    "\\xc2\\x9b31m\n"
		    "\\xc0\\xaf\\xed\\xa0\\x80\\xf5\n");
	table_free(t);
}

/* Returns the columns of the line at @s, which ends with a newline. */
static size_t columns_of(const char *s)
{
	wchar_t wide[512];
	char line[1024];
	size_t len = strcspn(s, "\n"), n;
	int w;

	assert_true(len < sizeof(line));
	memcpy(line, s, len);
	line[len] = '\0';
	n = mbstowcs(wide, line, ARRAY_SIZE(wide));
	assert_int_not_equal(n, SIZE_MAX);
	w = wcswidth(wide, n);
	assert_true(w >= 0);
	return (size_t)w;
}

/* Returns all characters of a text but its blanks and newlines, which the caller frees. */
static char *without_blanks(const char *text)
{
	char *out = calloc(1, strlen(text) + 1), *to = out;

	for (; *text; text++)
		if (*text != ' ' && *text != '\n')
			*to++ = *text;
	return out;
}

/* Nothing of a table that wraps is lost, and each line fits. */
static void wraps_at_the_terminal(void **state)
{
	static const struct table_column columns[] = { { "N", 0, TABLE_RIGHT },
						       { "NAME", 5, 0 },
						       { "WHY", 6, TABLE_END },
						       { "RULE", 12, TABLE_SPARE } };
	struct table *t = table_create(columns, ARRAY_SIZE(columns));
	char *text, *bare;

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	table_wrap(t);
	table_cell(t, "%d", 7);
	table_cell(t, "%s", "/a/path/\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2/end");
	table_cell(t, "%s", "because the symbol");
	table_cell(t, "%s", "files[0] at demo.policy:12");
	for (unsigned width = 1 + 2 + 5 + 2 + 6; width < 80; width++) {
		text = printed(t, 1, width + 1, false);
		for (char *l = text; *l; l = strchr(l, '\n') + 1) {
			assert_true(columns_of(l) <= width + 1);
			assert_true(l[strcspn(l, "\n") - 1] != ' ');
		}
		assert_null(strstr(text, "..."));
		free(text);
	}
	/* behind a slash or a blank, where there is one; the rule below, as it does not fit */
	text = printed(t, 0, 24, false);
	assert_string_equal(text, "N  NAME       WHY\n"
				  "7  /a/path/   because\n"
				  "   \xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2/    the symbol\n"
				  "   end\n"
				  "    files[0] at\n"
				  "    demo.policy:12\n");
	free(text);
	text = printed(t, 0, 16, false);
	bare = without_blanks(text);
	assert_non_null(strstr(bare, "files[0]atdemo.policy:12"));
	free(bare);
	free(text);
	table_free(t);
}

/* Where there is no terminal, a long cell moves what is behind it. */
static void is_not_cut_without_a_terminal(void **state)
{
	static const struct table_column columns[] = { { NULL, 4, TABLE_LEAST(6) },
						       { NULL, 4, 0 } };
	struct table *t = table_create(columns, ARRAY_SIZE(columns));
	static char name[2 * TABLE_CELL_MAX];
	char *text;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	table_wrap(t);
	table_cell(t, "%s", "a");
	table_cell(t, "%s", "b");
	text = printed(t, 0, 0, false);
	assert_string_equal(text, "a       b\n");
	free(text);
	table_cell(t, "%s", name);
	table_cell(t, "%s", "b");
	text = printed(t, 0, 0, false);
	assert_non_null(strstr(text, name));
	assert_non_null(strstr(text, "n  b\n"));
	free(text);
	table_free(t);
}

static void fits_the_terminal(void **state)
{
	static const struct table_column columns[] = { { "NAME", 6, 0 },
						       { "SIZE", 0, TABLE_RIGHT },
						       { "WHY", 6, TABLE_END },
						       { "RULE", 0, TABLE_SPARE } };
	struct table *t = table_create(columns, ARRAY_SIZE(columns));
	char *text, *size;

	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	table_cell(t, "%s",
		   "/a/very/long/path/\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97/end");
	table_cell(t, "%d", 4096);
	table_cell(t, "%s", "because the symbol is not exported");
	table_cell(t, "%s", "file:12");
	text = printed(t, 1, 0, false);
	assert_non_null(strstr(text, "exported  file:12\n"));
	free(text);
	for (unsigned width = 1 + 6 + 2 + 4 + 2 + 6; width < 90; width++) {
		text = printed(t, 1, width, false);
		for (char *l = text; *l; l = strchr(l, '\n') + 1) {
			assert_true(columns_of(l) <= width);
			assert_true(l[strcspn(l, "\n") - 1] != ' ');
		}
		/* columns stay below each other, also if half a character was cut */
		size = strstr(text, "  4096  be");
		assert_non_null(size);
		assert_int_equal(columns_of(text) - columns_of(strstr(text, "SIZE")),
				 columns_of(strchr(text, '\n') + 1) - columns_of(size + 2));
		free(text);
	}
	/* the rule goes first, then the path loses its middle and the reason its end */
	text = printed(t, 0, 40, false);
	assert_null(strstr(text, "RULE"));
	assert_non_null(strstr(text, "/end"));
	assert_non_null(strstr(text, "because "));
	assert_non_null(strstr(text, "...\n"));
	free(text);
	table_free(t);
}

static void colours_are_no_columns(void **state)
{
	struct table *t = table_create(names_and_numbers, ARRAY_SIZE(names_and_numbers));
	char *text;

	(void)state;
	table_cell(t, "%s", "a");
	table_cell(t, "%d", 1);
	table_cell(t, "%s", "f");
	table_paint_row(t, TABLE_RED);
	table_cell(t, "%s", "b");
	table_cell(t, "%d", 2);
	table_paint_cell(t, TABLE_YELLOW);
	table_cell(t, "%s", "g");
	text = printed(t, 0, 0, true);
	assert_string_equal(text, "\033[1mNAME  SIZE  FILE\033[0m\n"
				  "\033[31ma\033[0m        \033[31m1\033[0m  \033[31mf\033[0m\n"
				  "b        \033[33m2\033[0m  g\n");
	free(text);
	text = printed(t, 0, 0, false);
	assert_null(strchr(text, '\033'));
	free(text);
	table_free(t);
}

static void a_cell_has_a_bound_but_for_the_last(void **state)
{
	struct table *t = table_create(names_and_numbers, ARRAY_SIZE(names_and_numbers));
	char huge[5001];
	char *text, *row;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	table_cell(t, "%s", huge);
	table_cell(t, "%d", 1);
	table_cell(t, "%s", huge);
	text = printed(t, 0, 0, false);
	row = strchr(text, '\n') + 1;
	assert_int_equal(strlen(row), TABLE_CELL_MAX + 2 + 4 + 2 + 5000 + 1);
	assert_non_null(strstr(row, "x...x"));
	free(text);
	table_free(t);
}

static void no_memory_is_told_at_the_end(void **state)
{
	struct table_column too_many[TABLE_COLUMNS + 1] = { { "A", 0, 0 } };

	(void)state;
	assert_null(table_create(too_many, ARRAY_SIZE(too_many)));
	assert_null(table_create(too_many, 0));
	table_cell(NULL, "%s", "x");
	table_row_end(NULL);
	table_paint_cell(NULL, "");
	table_paint_row(NULL, "");
	assert_int_equal(table_print(NULL, stdout, 0, 0, false), -12);
	table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligns_and_does_not_pad_the_last_column),
		cmocka_unit_test(measures_display_columns),
		cmocka_unit_test(hostile_text_is_harmless),
		cmocka_unit_test(fits_the_terminal),
		cmocka_unit_test(wraps_at_the_terminal),
		cmocka_unit_test(is_not_cut_without_a_terminal),
		cmocka_unit_test(colours_are_no_columns),
		cmocka_unit_test(a_cell_has_a_bound_but_for_the_last),
		cmocka_unit_test(no_memory_is_told_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
