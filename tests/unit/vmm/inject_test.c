// SPDX-License-Identifier: GPL-2.0-only
/* Tests the command line of a guest with sessions, whose first program is the agent. No KVM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agent_takes_the_place_of_rdinit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
