// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that tests/unit/devices/virtio-contract.txt says which test proves each item of the list:
 * the tests are there, they are run, and no item is without one. Runs in the root of the sources,
 * as tests/run does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/types.h"

#define LIST  "tests/unit/devices/virtio-contract.txt"
#define ITEMS 38

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text;
	size_t n;

	if (!f)
		return NULL;
	text = calloc(1, 1 << 20);
	assert_non_null(text);
	n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* Returns true if @text is in the file @path, followed by one of @ends. */
static bool file_contains(const char *path, const char *text, const char *ends)
{
	char *file = read_file(path);
	bool found = false;

	for (const char *at = file; at && !found; at++) {
		at = strstr(at, text);
		if (!at)
			break;
		found = strchr(ends, at[strlen(text)]) != NULL;
	}
	free(file);
	return found;
}

/* Returns true if the test unit/FILE:test, lab/FILE:test or fuzz/FILE exists. */
static bool test_exists(const char *name)
{
	char path[256], text[256];
	const char *test = strchr(name, ':');
	int len = test ? (int)(test - name) : (int)strlen(name);

	if (!strncmp(name, "fuzz/", 5)) {
		snprintf(path, sizeof(path), "tests/%s.c", name);
		return file_contains(path, "LLVMFuzzerTestOneInput", "(");
	}
	if (!test)
		return false;
	if (!strncmp(name, "lab/", 4)) {
		snprintf(path, sizeof(path), "tests/lab/cases/%.*s.sh", len - 4, name + 4);
		snprintf(text, sizeof(text), "\n%s()", test + 1);
		return file_contains(path, text, "\n");
	}
	/* Where it is registered: TEST(name), cmocka_unit_test(name) and the like. */
	snprintf(path, sizeof(path), "tests/%.*s.c", len, name);
	snprintf(text, sizeof(text), "(%s", test + 1);
	return file_contains(path, text, "),");
}

static void test_every_item_is_proved(void **state)
{
	char *list = read_file(LIST), *save = NULL;
	unsigned item = 0, proofs = 1, missing = 0;

	(void)state;
	assert_non_null(list);
	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *words = NULL;

		if (*line == '#')
			continue;
		if (*line != '\t') {
			/* All of them, in order, and the one before had a proof or a reason. */
			assert_int_equal(strtoul(line, NULL, 10), item + 1);
			assert_true(proofs);
			item++;
			proofs = 0;
			continue;
		}
		proofs++;
		if (!strncmp(line, "\tnone: ", 7))
			continue;
		for (char *w = strtok_r(line, "\t ", &words); w;
		     w = strtok_r(NULL, "\t ", &words)) {
			if (test_exists(w))
				continue;
			print_message("item %u: there is no test %s\n", item, w);
			missing++;
		}
	}
	free(list);
	assert_true(proofs);
	assert_int_equal(missing, 0);
	assert_int_equal(item, ITEMS);
}

static void test_what_is_not_there_is_missed(void **state)
{
	(void)state;
	assert_true(test_exists("unit/devices/contract_test:test_what_is_not_there_is_missed"));
	assert_false(test_exists("unit/devices/contract_test:test_what"));
	assert_false(test_exists("unit/devices/contract_test:test_never_written"));
	assert_false(test_exists("unit/no_such_file:test_x"));
	assert_false(test_exists("lab/disk:test_no"));
	assert_true(test_exists("lab/disk:test_size_in_sectors"));
	assert_false(test_exists("fuzz/fuzz_nothing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_item_is_proved),
		cmocka_unit_test(test_what_is_not_there_is_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
