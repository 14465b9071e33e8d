// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parses a policy from any bytes: it must give an error with a place in it, or a policy that
 * answers.
 *
 * libconfig's scanner loses the string that it read last when the text has a syntax error; that
 * leak is not ours, everything else still counts.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static void ask_session(const struct policy_session *s)
{
	const struct catalog_fn *all;
	struct decision d;
	size_t n;

	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		struct policy_request r = { .fn = &all[i], .name = "/a/../b%d", .cwd = "/" };

		policy_decide(s, "lime", &r, &d);
		if (strnlen(d.name, sizeof(d.name)) == sizeof(d.name) || !d.rule)
			abort();
		policy_critical(s, all[i].name);
	}
	policy_permitted(s, "printk");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct policy *p = NULL;
	struct err e = { "" };

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!policy_parse(&p, "f.policy", text, &e)) {
		for (size_t i = 0; i < policy_session_count(p); i++)
			ask_session(policy_session_at(p, i));
		policy_free(p);
	} else if (strncmp(e.text, "f.policy:", 9) != 0) {
		abort();
	}
	free(text);
	return 0;
}
