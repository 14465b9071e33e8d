// SPDX-License-Identifier: GPL-2.0-only
/* Tests what a decision costs with 100,000 rules. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "base/clock.h"
#include "policy/policy.h"

static double now_seconds(void)
{
	return (double)now_ns() / 1e9;
}

/* A policy of @n mappings and as many rules, in a session "a". */
static struct policy *big_policy(unsigned n)
{
	char *text = malloc(4u << 20), *at = text;
	struct policy *p = NULL;
	struct err e;

	assert_non_null(text);
	at += sprintf(at, "sessions={a={files=(");
	for (unsigned i = 0; i < n; i++)
		at += sprintf(at, "%s{from=\"/d/%u\";to=\"/j\";}", i ? "," : "", i);
	at += sprintf(at, ");names={misc=\"a%%s\";};functions=(");
	for (unsigned i = 0; i < n; i++)
		at += sprintf(at, "%s{function=\"*\";match=\"m%u%s\";}", i ? "," : "", i,
			      i % 2 ? "*" : "");
	sprintf(at, ");};};");
	if (policy_parse(&p, "big", text, &e))
		fail_msg("%s", e.text);
	free(text);
	return p;
}

/* Nanoseconds for one decision, the best of several rounds. */
static double decision_cost(const struct policy *p, const char *function, const char *name)
{
	const struct policy_session *s = policy_session(p, "a");
	struct policy_request r = { .fn = catalog_find(function), .name = name };
	double best = 1e9, start;
	struct decision d;

	for (int round = 0; round < 20; round++) {
		start = now_seconds();
		for (int i = 0; i < 1000; i++)
			policy_decide(s, "lime", &r, &d);
		best = now_seconds() - start < best ? now_seconds() - start : best;
	}
	assert_int_equal(d.verdict, VERDICT_REWRITE);
	return best * 1e6;
}

static void a_hundred_thousand_rules_cost_what_ten_do(void **state)
{
	double start = now_seconds(), load, few_path, many_path, few_name, many_name;
	struct policy *many = big_policy(50000), *few = big_policy(5);

	(void)state;
	load = now_seconds() - start;
	few_path = decision_cost(few, "filp_open", "/d/3/some/file/below/it");
	many_path = decision_cost(many, "filp_open", "/d/30000/some/file/below");
	few_name = decision_cost(few, "misc_register", "m3/some/device");
	many_name = decision_cost(many, "misc_register", "m33333/some/dev");
	print_message("100,000 rules: loaded in %.0f ms; a path %.0f ns (10 rules: %.0f), "
		      "a name %.0f ns (%.0f)\n",
		      load * 1e3, many_path, few_path, many_name, few_name);
	/*
	 * Linear search would take thousands of times as long; the rest is room for a busy machine.
	 */
	assert_true(many_path < 20 * few_path);
	assert_true(many_name < 20 * few_name);
	policy_free(few);
	policy_free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_thousand_rules_cost_what_ten_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
