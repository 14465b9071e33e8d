// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what a decision costs with 100,000 rules, in instructions: the processor stops after
 * each, so that the figure depends on no clock, no cache and no other program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy/policy.h"
#include "tests/unit/base/steps.h"

/* Makes a policy of @n mappings and as many rules, in a session "a". */
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

/* Instructions for one decision. */
static unsigned long decision_cost(const struct policy *p, const char *function, const char *name)
{
	const struct policy_session *s = policy_session(p, "a");
	struct policy_request r = { .fn = catalog_find(function), .name = name };
	unsigned long steps;
	struct decision d;

	/* Once before, so that the loader has bound what it calls. */
	policy_decide(s, "lime", &r, &d);
	steps_begin();
	policy_decide(s, "lime", &r, &d);
	steps = steps_end();
	assert_int_equal(d.verdict, VERDICT_REWRITE);
	/* Otherwise nothing was counted. */
	assert_true(steps > 100);
	return steps;
}

static void a_hundred_thousand_rules_cost_what_ten_do(void **state)
{
	struct policy *many = big_policy(50000), *few = big_policy(5);
	unsigned long few_path, many_path, few_name, many_name;

	(void)state;
	few_path = decision_cost(few, "filp_open", "/d/3/some/file/below/it");
	many_path = decision_cost(many, "filp_open", "/d/30000/some/file/below");
	few_name = decision_cost(few, "misc_register", "m3/some/device");
	many_name = decision_cost(many, "misc_register", "m33333/some/dev");
	print_message(
		"# instructions with 100,000 rules, and with 10: a path %lu (%lu), a name %lu (%lu)\n",
		many_path, few_path, many_name, few_name);
	/* Names of five lengths are looked up in place of one; one by one it would be thousands. */
	assert_true(many_path < 2 * few_path);
	assert_true(many_name < 2 * few_name);
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
