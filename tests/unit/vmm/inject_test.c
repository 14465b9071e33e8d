// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the command line of a guest with sessions, whose first program is the agent, and what is
 * said where a shim is missing. No KVM.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/session/inject.h"

static void agent_takes_the_place_of_rdinit(void **state)
{
	static const char *const cases[][2] = {
		{ "", "rdinit=/.umbra/agent" },
		{ "quiet single", "rdinit=/.umbra/agent quiet single" },
		{ "a rdinit=/x b", "a rdinit=/.umbra/agent b" },
		{ "rdinit=/x rdinit=/y z", "rdinit=/x rdinit=/.umbra/agent z" },
		{ "a -- rdinit=/x", "rdinit=/.umbra/agent a -- rdinit=/x" },
		{ "a=\"b rdinit=/x\" c", "rdinit=/.umbra/agent a=\"b rdinit=/x\" c" },
		{ "a \"rdinit=/x y\" c", "a rdinit=/.umbra/agent c" },
		{ "a rdinit=\"/x y\" c", "a rdinit=/.umbra/agent c" },
	};
	char *s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		s = inject_cmdline(cases[i][0]);
		assert_string_equal(s, cases[i][1]);
		free(s);
	}
}

/* This program lies in no source tree, as an installed vmm does. */
static void a_missing_shim_is_named_where_it_should_lie(void **state)
{
	struct inject *in;
	void *archive;
	struct err e = { "" };
	size_t len;

	(void)state;
	assert_int_equal(inject_open(&in, &e), 0);
	assert_int_equal(inject_archive(in, "9.9.9-none", NULL, &archive, &len, &e), -ENOENT);
	if (!strstr(e.text, "/../lib/umbra/guest/9.9.9-none/umbra.ko: ") ||
	    !strstr(e.text, "run `umbra-shim 9.9.9-none`"))
		fail_msg("%s", e.text);
	inject_close(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agent_takes_the_place_of_rdinit),
		cmocka_unit_test(a_missing_shim_is_named_where_it_should_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
