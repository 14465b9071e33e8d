// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that another policy is in force for all callers before the one that it replaces is freed,
 * that a guest keeps one policy, however many it has had, and that a mistyped function of `trace`
 * is told with the nearest one. No KVM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/vmm/gate_fixture.h"
#include "vmm/session/driver.h"
#include "vmm/session/policy_reload.h"

static struct gate gate;
static struct sessions sessions;
static struct driver driver = { .name = (char[]){ "d" }, .state = DRIVER_LOADED };
static struct session full = { .name = (char[]){ "full" }, .drivers = &driver };
static struct session empty = { .name = (char[]){ "empty" }, .next = &full };
static unsigned n_freed;

void __real_policy_free(struct policy *p);
void __wrap_policy_free(struct policy *p);
void __wrap_policy_free(struct policy *p)
{
	if (p && p != sessions.policy && full.caller) {
		assert_ptr_not_equal(gate.callers[full.caller]->policy, policy_session(p, "full"));
		assert_ptr_not_equal(gate.callers[driver.caller]->policy,
				     policy_session(p, "full"));
		assert_true(!empty.policy || empty.policy != policy_session(p, "empty"));
		n_freed++;
	}
	__real_policy_free(p);
}

static int reload(const char *text)
{
	struct err e = { "" };

	return policy_reload(&sessions, "new.policy", text, strlen(text), &e);
}

static void a_guest_keeps_one_policy(void **state)
{
	char text[200];

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		/* every second policy lacks the session that has no drivers */
		snprintf(text, sizeof(text), "version = 1; sessions = { %s full = { }; };",
			 i & 1 ? "empty = { };" : "");
		assert_int_equal(reload(text), 0);
		assert_int_equal(n_freed, i + 1);
		assert_ptr_equal(full.policy, policy_session(sessions.policy, "full"));
		assert_ptr_equal(gate.callers[full.caller]->policy, full.policy);
		assert_ptr_equal(gate.callers[driver.caller]->policy, full.policy);
		assert_ptr_equal(empty.policy, policy_session(sessions.policy, "empty"));
	}
}

/* A policy that does not fit leaves the one in force, of which all is still there. */
static void a_refused_policy_changes_nothing(void **state)
{
	struct policy *before = sessions.policy;

	(void)state;
	assert_int_equal(reload("version = 1; sessions = { empty = { }; };"), -ENOENT);
	assert_int_not_equal(reload("version = 1; sessions = {"), 0);
	assert_ptr_equal(sessions.policy, before);
	assert_ptr_equal(full.policy, policy_session(before, "full"));
	assert_string_equal(policy_session_name(full.policy), "full");
}

/* A refusal names what can be done about the driver that stands against the policy. */
static void a_refusal_says_what_to_do(void **state)
{
	static const char text[] = "version = 1; sessions = { full = { }; };";
	char printk[] = "printk", *permits[] = { printk };
	struct err e;

	(void)state;
	driver.permits = permits;
	driver.n_permits = 1;
	assert_int_equal(policy_reload(&sessions, "new.policy", text, strlen(text), &e), -EBUSY);
	assert_non_null(strstr(e.text, "is linked to it; unload it first"));
	driver.state = DRIVER_CRASHED;
	assert_int_equal(policy_reload(&sessions, "new.policy", text, strlen(text), &e), -EBUSY);
	assert_null(strstr(e.text, "unload"));
	assert_non_null(strstr(e.text, "as long as the guest runs"));
	driver.state = DRIVER_LOADED;
	driver.n_permits = 0;
	driver.permits = NULL;
}

static void a_mistyped_function_has_a_nearest_one(void **state)
{
	struct kernel *k = NULL;
	char path[512], hint[SUGGEST_HINT];
	struct err e;

	(void)state;
	snprintf(path, sizeof(path), "%s/cloud/vmlinuz", getenv("UMBRA_TEST_IMAGES"));
	assert_int_equal(kernel_open(&k, path, true, &e), 0);
	assert_int_equal(kernel_load_symbols(k, &e), 0);
	assert_string_equal(policy_trace_hint(k, "alloc_netdev_mq_", hint),
			    "; did you mean \"alloc_netdev_mqs\"?");
	assert_string_equal(policy_trace_hint(k, "flip_open", hint),
			    "; did you mean \"filp_open\"?");
	assert_string_equal(policy_trace_hint(k, "qqqqqqqqqqqqqqqqqqqq", hint), "");
	kernel_close(k);
}

static int make_sessions(void **state)
{
	(void)state;
	if (!gate_fixture_make(&gate) ||
	    policy_parse(&sessions.policy, "p",
			 "version = 1; sessions = { full = { }; empty = { }; };", NULL))
		return -1;
	sessions.gate = &gate;
	sessions.list = &empty;
	full.policy = policy_session(sessions.policy, "full");
	empty.policy = policy_session(sessions.policy, "empty");
	driver.session = &full;
	full.caller = (unsigned)gate_caller_add(&gate, full.policy, "full", "-");
	driver.caller = (unsigned)gate_caller_add(&gate, full.policy, "full", "d");
	return 0;
}

static int free_sessions(void **state)
{
	(void)state;
	gate_caller_remove(&gate, driver.caller);
	gate_caller_remove(&gate, full.caller);
	full.caller = 0;
	gate_fixture_free(&gate);
	policy_free(sessions.policy);
	free(sessions.policy_path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_keeps_one_policy),
		cmocka_unit_test(a_refused_policy_changes_nothing),
		cmocka_unit_test(a_refusal_says_what_to_do),
		cmocka_unit_test(a_mistyped_function_has_a_nearest_one),
	};

	return cmocka_run_group_tests(tests, make_sessions, free_sessions);
}
