// SPDX-License-Identifier: GPL-2.0-only
/* Tests the names that a guest kernel borrows: equal ones are one; each owner has its own share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/lent_names.h"

static void names_share_and_return_their_bytes(void **state)
{
	static char arena[64 * 1024]; /* 1024 chunks, 64 for each owner */
	struct lent_names *n;
	char text[200];
	u32 a, b, c, d, mine, lent[64];

	(void)state;
	assert_int_equal(lent_names_create(&n, 8, arena, sizeof(arena)), 0);
	assert_int_equal(lent_names_get(n, 1, "lime", &a), 0);
	assert_int_equal(lent_names_get(n, 1, "lime", &b), 0);
	assert_int_equal(lent_names_get(n, 2, "lime", &c), 0);
	assert_int_not_equal(a, 0);
	assert_int_equal(a, b);
	assert_int_not_equal(a, c);
	assert_string_equal(arena + a, "lime");
	lent_names_put(n, a);
	assert_string_equal(arena + a, "lime");
	assert_int_equal(lent_names_get(n, 1, "lime", &d), 0);
	assert_int_equal(d, a);
	lent_names_put(n, a);
	lent_names_put(n, a);
	/* all of it can be had again and again */
	memset(text, 'x', sizeof(text));
	text[150] = 0;
	for (int round = 0; round < 3; round++) {
		unsigned got = 0;

		for (;; got++) {
			snprintf(text, 4, "%03u", got);
			text[3] = 'x';
			if (lent_names_get(n, 3, text, &lent[got]))
				break;
		}
		assert_int_equal(got, 64 / 3);
		/* another owner's share is its own */
		assert_int_equal(lent_names_get(n, 4, "mine", &mine), 0);
		while (got)
			lent_names_put(n, lent[--got]);
	}
	assert_string_equal(arena + c, "lime");
	lent_names_destroy(n);
}

/* Owners without shame, each up to its share: the last one still has what is its own. */
static void the_last_owner_has_names_of_its_own(void **state)
{
	static char arena[64 * 1024];
	const unsigned owners = 100;
	struct lent_names *n;
	unsigned got = 0;
	char text[16];
	u32 off;

	(void)state;
	assert_int_equal(lent_names_create(&n, owners, arena, sizeof(arena)), 0);
	for (unsigned owner = 1; owner < owners - 1; owner++) {
		for (unsigned i = 0;; i++) {
			snprintf(text, sizeof(text), "%u.%u", owner, i);
			if (lent_names_get(n, owner, text, &off))
				break;
			got++;
		}
	}
	assert_true(got > 1023 - 400 && got < 1023 - 4);
	for (unsigned i = 0; i < LENT_NAMES_OWN; i++) {
		snprintf(text, sizeof(text), "mine%u", i);
		assert_int_equal(lent_names_get(n, owners - 1, text, &off), 0);
	}
	lent_names_destroy(n);
}

/* What is left to an heir counts as its own, and does not make room where there is none. */
static void an_heir_gets_no_more_than_its_share(void **state)
{
	static char arena[64 * 1024]; /* 1023 chunks; of 64 owners each has 4, and 767 are common */
	const unsigned owners = 64, heir = 0;
	struct lent_names *n;
	u32 off[64], mine;
	unsigned given = 0, kept = 0;
	char text[32];

	(void)state;
	assert_int_equal(lent_names_create(&n, owners, arena, sizeof(arena)), 0);
	for (unsigned owner = 1; owner <= 40; owner++) {
		unsigned got = 0;

		for (; got < ARRAY_SIZE(off); got++) {
			snprintf(text, sizeof(text), "%u.%u", owner, got);
			if (lent_names_get(n, owner, text, &off[got]))
				break;
		}
		for (unsigned i = 0; i < got; i++)
			lent_names_give(n, off[i], heir) ? given++ : kept++;
		assert_true(lent_names_give(n, 0, heir));
		if (got) /* it is the heir's, or it stays; both ways it can be given back */
			lent_names_put(n, off[0]);
	}
	assert_in_range(given, 4,
			64 + 40); /* a sixteenth, and the one that was put back each time */
	assert_true(kept > 256);
	for (unsigned owner = 41; owner < owners; owner++) {
		for (unsigned i = 0; i < LENT_NAMES_OWN; i++) {
			snprintf(text, sizeof(text), "%u.%u", owner, i);
			assert_int_equal(lent_names_get(n, owner, text, &mine), 0);
		}
	}
	lent_names_destroy(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_share_and_return_their_bytes),
		cmocka_unit_test(the_last_owner_has_names_of_its_own),
		cmocka_unit_test(an_heir_gets_no_more_than_its_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
