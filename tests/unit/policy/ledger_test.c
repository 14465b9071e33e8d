// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what a hostile driver can do to the ledger, on which all callers wait: directories in
 * directories, names of many parts, and names without an end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/ledger.h"

#define DEEP 12000U
/* The work of each test is done in some milliseconds; with a walk for each entry in minutes. */
#define SECONDS 20

static char arena[1 << 16];

static struct ledger *make(void)
{
	struct ledger *l;

	assert_int_equal(ledger_create(&l, 3, arena, sizeof(arena)), 0);
	alarm(SECONDS);
	return l;
}

/* Registers @name in @below as the object @addr. */
static int enter(struct ledger *l, u64 below, u64 addr, const char *name)
{
	const struct ledger_entry what = { .owner = 1,
					   .fn = catalog_find("proc_mkdir"),
					   .addr = addr,
					   .below = below,
					   .inside = below,
					   .asked = name,
					   .used = name };
	struct ledger_entry *e;
	int ret = ledger_open(l, &what, false, &e);

	if (!ret)
		ledger_result(l, 1, ledger_await(l, e), true, addr);
	return ret;
}

static void undo(struct ledger *l, u64 addr)
{
	struct ledger_entry *e = ledger_take(l, 1, addr, catalog_find("proc_remove"));

	assert_non_null(e);
	ledger_result(l, 1, ledger_await(l, e), true, 0);
}

/* All of a chain go with its first, however deep it is, and others stay. */
static void what_is_in_a_directory_goes_with_it(void **state)
{
	struct ledger *l = make();

	(void)state;
	for (u64 i = 1; i <= DEEP; i++)
		assert_int_equal(enter(l, i == 1 ? 0 : (i - 1) << 20, i << 20, "d"), 0);
	assert_int_equal(enter(l, 0, 8, "other"), 0);
	assert_int_equal(enter(l, 8, 16, "in"), 0);
	assert_int_equal(ledger_registered(l, 1), DEEP + 2);
	undo(l, 1 << 20);
	assert_int_equal(ledger_registered(l, 1), 2);
	undo(l, 8);
	assert_int_equal(ledger_registered(l, 1), 0);
	ledger_destroy(l);
	alarm(0);
}

/* The longest directory of a name is found, and a name of slashes costs one walk. */
static void a_name_of_many_parts_is_looked_for_once(void **state)
{
	static char slashes[4000];
	char used[4096], name[600];
	struct ledger_entry what = { .owner = 1,
				     .fn = catalog_find("proc_mkdir"),
				     .asked = "a/b/c" };
	struct ledger *l = make();

	(void)state;
	assert_int_equal(enter(l, 0, 1, "a"), 0);
	assert_int_equal(enter(l, 0, 2, "a/b"), 0);
	assert_int_equal(enter(l, 0, 3, "a/b/cc"), 0);
	assert_int_equal(ledger_find_used(l, &what, used, sizeof(used)), 3);
	assert_string_equal(used, "a/b");
	what.asked = "ab/c";
	assert_int_equal(ledger_find_used(l, &what, used, sizeof(used)), 0);
	memset(slashes, '/', sizeof(slashes) - 1);
	memset(name, '/', sizeof(name) - 1);
	for (u64 i = 0; i < 6000; i++) {
		snprintf(name + 500, 20, "%llu", (unsigned long long)i);
		if (enter(l, 0, i << 20 | 7, name))
			break;
	}
	what.asked = slashes;
	for (int i = 0; i < 50; i++)
		assert_int_equal(ledger_find_used(l, &what, used, sizeof(used)), 0);
	ledger_destroy(l);
	alarm(0);
}

/* An owner's names are bounded in bytes, and what it lets go of it may use again. */
static void names_are_bounded_in_bytes(void **state)
{
	static char name[4000];
	struct ledger *l = make();
	u64 n = 0;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	while (!enter(l, 0, n + 1, name))
		n++;
	assert_in_range(n, 100, LEDGER_OWNER_BYTES / sizeof(name));
	assert_int_equal(enter(l, 0, n + 1, name), -EDQUOT);
	undo(l, 1);
	assert_int_equal(enter(l, 0, n + 1, name), 0);
	assert_int_equal(enter(l, 0, n + 2, name), -EDQUOT);
	ledger_drop(l, 1);
	assert_int_equal(enter(l, 0, 1, name), 0);
	ledger_destroy(l);
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_a_directory_goes_with_it),
		cmocka_unit_test(a_name_of_many_parts_is_looked_for_once),
		cmocka_unit_test(names_are_bounded_in_bytes),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
