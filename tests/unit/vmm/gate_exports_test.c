// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what symbol_get() and symbol_put() of a session's driver lead to, in whichever order
 * drivers come and go.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shadow/kernel/kernel_int.h"
#include "tests/unit/vmm/gate_fixture.h"

/* A gate without a machine, with a kernel of three exports and a driver in each of two sessions. */
struct fixture {
	struct gate g;
	struct kernel k;
	struct kernel_export list[3];
	struct policy *policy;
	unsigned a, b;
};

static unsigned add_caller(struct fixture *f, const char *session, const char *driver)
{
	int caller = gate_caller_add(&f->g, policy_session(f->policy, session), session, driver);

	assert_true(caller > 0);
	return (unsigned)caller;
}

static int make_gate(void **state)
{
	static const char text[] =
		"sessions = {\n"
		" a = { permit = [ \"ext_*\", \"*.u9\" ];\n"
		"  functions = ( { function = \"__symbol_get\"; match = \"no_*\"; action = \"deny\"; } ); };\n"
		" b = { default = \"pass\"; };\n"
		" c = { critical = { only = [ \"filp_open\", \"filp_close\" ]; }; };\n"
		"};\n";
	struct fixture *f = calloc(1, sizeof(*f));
	struct gate *g = &f->g;

	f->list[0] = (struct kernel_export){ .name = "printk", .addr = 0x1000 };
	f->list[1] = (struct kernel_export){ .name = "filp_open", .addr = 0x2000 };
	f->list[2] = (struct kernel_export){ .name = "open_alias", .addr = 0x2000 };
	f->k.exports.list = f->list;
	f->k.exports.count = ARRAY_SIZE(f->list);
	assert_int_equal(strmap_init(&f->k.exports.map, ARRAY_SIZE(f->list)), 0);
	for (u32 i = 0; i < ARRAY_SIZE(f->list); i++)
		assert_true(strmap_add(&f->k.exports.map, f->list[i].name, i));
	g->k = &f->k;
	assert_true(gate_fixture_make(g));
	assert_int_equal(policy_parse(&f->policy, "p", text, NULL), 0);
	f->a = add_caller(f, "a", "one");
	f->b = add_caller(f, "b", "one");
	*state = f;
	return 0;
}

static int free_gate(void **state)
{
	struct fixture *f = *state;

	gate_fixture_free(&f->g);
	policy_free(f->policy);
	strmap_free(&f->k.exports.map);
	free(f);
	return 0;
}

/* A driver that exports `attach` and `detach`, loaded. */
static unsigned add_provider(struct fixture *f, const char *session, const char *attach)
{
	unsigned caller = add_caller(f, session, "provider");
	const struct gate_export list[] = { { "detach", "detach.u0" }, { "attach", attach } };

	assert_int_equal(gate_exports_add(&f->g, caller, list, ARRAY_SIZE(list)), 0);
	gate_exports_live(&f->g, caller);
	return caller;
}

static const struct umbra_answer *call_by_name(struct fixture *f, unsigned caller, const char *fn,
					       const char *name)
{
	struct umbra_frame *fr = &f->g.frames[2];

	memset(fr, 0, offsetof(struct umbra_frame, data));
	if (name) {
		fr->flags = UMBRA_FRAME_HAS_NAME;
		fr->name.len = fr->used = (u32)strlen(name) + 1;
		memcpy(fr->data, name, fr->used);
	}
	assert_int_equal(gate_call(&f->g, 1, 2, UMBRA_ID(caller, catalog_index(catalog_find(fn)))),
			 0);
	return &f->g.answers[2];
}

/* The get and the put of @name by @caller both come to @to; NULL: to nothing. */
static void expect_pair(struct fixture *f, unsigned caller, const char *name, const char *to)
{
	static const char *const fns[] = { "__symbol_get", "__symbol_put" };
	static const u32 refused[] = { UMBRA_DENY, UMBRA_EMULATE };

	for (size_t i = 0; i < ARRAY_SIZE(fns); i++) {
		const struct umbra_answer *a = call_by_name(f, caller, fns[i], name);

		assert_int_equal(a->flags, 0);
		if (!to) {
			assert_int_equal(a->verdict, refused[i]);
			assert_int_equal(a->value, 0);
			continue;
		}
		assert_int_equal(a->verdict, strcmp(name, to) != 0 ? UMBRA_REWRITE : UMBRA_PASS);
		assert_string_equal(a->data + a->name.off, to);
	}
}

static void each_session_gets_its_own(void **state)
{
	struct fixture *f = *state;
	unsigned provider;

	expect_pair(f, f->a, "attach", NULL);
	provider = add_provider(f, "a", "attach.u1");
	add_provider(f, "b", "attach.u2");
	expect_pair(f, f->a, "attach", "attach.u1");
	expect_pair(f, f->b, "attach", "attach.u2");
	expect_pair(f, f->a, "detach", "detach.u0");
	/* neither by its real name, which is another session's, also where it is permitted */
	expect_pair(f, f->a, "attach.u2", NULL);
	add_provider(f, "b", "attach.u9");
	expect_pair(f, f->a, "attach.u9", NULL);
	expect_pair(f, f->a, "attac", NULL);
	gate_caller_remove(&f->g, provider);
	expect_pair(f, f->a, "attach", NULL);
	expect_pair(f, f->b, "attach", "attach.u2");
}

static void a_driver_that_is_not_loaded_yet_provides_nothing(void **state)
{
	static const struct gate_export list[] = { { "attach", "attach.u1" } };
	struct fixture *f = *state;
	unsigned provider = add_caller(f, "a", "provider");

	assert_int_equal(gate_exports_add(&f->g, provider, list, 1), 0);
	expect_pair(f, f->a, "attach", NULL);
	gate_exports_live(&f->g, provider);
	expect_pair(f, f->a, "attach", "attach.u1");
	gate_exports_dead(&f->g, provider);
	expect_pair(f, f->a, "attach", NULL);
}

static void the_first_of_two_counts_until_it_is_gone(void **state)
{
	struct fixture *f = *state;
	unsigned filler = add_caller(f, "a", "filler"), first, third;

	first = add_provider(f, "a", "attach.u1");
	/* its caller has a lower number than the first */
	gate_caller_remove(&f->g, filler);
	add_provider(f, "a", "attach.u2");
	third = add_provider(f, "a", "attach.u3");
	expect_pair(f, f->a, "attach", "attach.u1");
	gate_caller_remove(&f->g, third);
	expect_pair(f, f->a, "attach", "attach.u1");
	gate_caller_remove(&f->g, first);
	expect_pair(f, f->a, "attach", "attach.u2");
}

static void what_the_kernel_exports_is_the_kernels(void **state)
{
	static const struct gate_export list[] = { { "printk", "printk.u1" } };
	struct fixture *f = *state;
	unsigned provider = add_caller(f, "a", "provider");

	expect_pair(f, f->a, "printk", "printk");
	assert_int_equal(gate_exports_add(&f->g, provider, list, 1), 0);
	gate_exports_live(&f->g, provider);
	expect_pair(f, f->a, "printk", "printk");
}

static void a_name_that_led_outside_goes_on_to_do_so(void **state)
{
	static const struct gate_export list[] = { { "ext_attach", "ext_attach.u1" } };
	struct fixture *f = *state;
	unsigned asker = add_caller(f, "a", "asker"), provider;

	expect_pair(f, asker, "ext_attach", "ext_attach");
	provider = add_caller(f, "a", "provider");
	assert_int_equal(gate_exports_add(&f->g, provider, list, 1), 0);
	gate_exports_live(&f->g, provider);
	expect_pair(f, asker, "ext_attach", "ext_attach");
	gate_caller_remove(&f->g, asker);
	expect_pair(f, f->a, "ext_attach", "ext_attach.u1");
	/* not permitted in b; and a put alone makes nothing known */
	expect_pair(f, f->b, "ext_attach", NULL);
	assert_int_equal(call_by_name(f, f->a, "__symbol_put", "ext_other")->verdict,
			 UMBRA_EMULATE);
}

static void forged_names_are_bounded(void **state)
{
	struct fixture *f = *state;
	char name[32], *big = malloc(REQUEST_NAME_MAX + 1);
	unsigned let = 0;

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "ext_%u", i);
		let += call_by_name(f, f->a, "__symbol_get", name)->verdict == UMBRA_PASS;
	}
	assert_int_equal(let, 256);
	assert_int_equal(f->g.answers[2].error, ENOSPC);
	/* one of those is still known, and another driver has a share of its own */
	expect_pair(f, f->a, "ext_17", "ext_17");
	expect_pair(f, add_caller(f, "a", "two"), "ext_9999", "ext_9999");
	memset(big, 'x', REQUEST_NAME_MAX);
	big[REQUEST_NAME_MAX] = 0;
	expect_pair(f, f->a, big, NULL);
	expect_pair(f, f->a, "", NULL);
	expect_pair(f, f->a, NULL, NULL);
	free(big);
}

static void a_critical_function_cannot_be_taken(void **state)
{
	struct fixture *f = *state;
	char text[GATE_REFUSAL_MAX], *json = NULL;
	size_t len;
	FILE *to;

	assert_int_equal(call_by_name(f, f->b, "__symbol_get", "filp_open")->verdict, UMBRA_DENY);
	gate_caller_refusal(&f->g, f->b, text);
	assert_string_equal(text, "__symbol_get(\"filp_open\"): EPERM by critical, and no gate "
				  "would see calls by its address");
	assert_int_equal(call_by_name(f, f->b, "__symbol_get", "open_alias")->verdict, UMBRA_DENY);
	/* and it is known that it was asked for */
	to = open_memstream(&json, &len);
	assert_int_equal(record_print_json(f->g.rec, to), 0);
	fclose(to);
	assert_non_null(strstr(json, "\"open_alias\""));
	assert_non_null(strstr(json, "\"deny\""));
	free(json);
}

/*
 * A policy that names one function only: its session's lookups come to the gate too, which lets all
 * others through and refuses that one.
 */
static void the_only_critical_function_cannot_be_taken(void **state)
{
	struct fixture *f = *state;
	unsigned c = add_caller(f, "c", "one");

	assert_true(policy_critical(policy_session(f->policy, "c"), "__symbol_get"));
	assert_true(policy_critical(policy_session(f->policy, "c"), "__symbol_put"));
	expect_pair(f, c, "printk", "printk");
	assert_int_equal(call_by_name(f, c, "__symbol_get", "filp_open")->verdict, UMBRA_DENY);
	assert_int_equal(call_by_name(f, c, "__symbol_get", "open_alias")->verdict, UMBRA_DENY);
}

static void too_many_exports_are_refused(void **state)
{
	struct fixture *f = *state;
	struct gate_export *list = calloc(GATE_EXPORTS_MAX + 1, sizeof(*list));

	for (size_t i = 0; i <= GATE_EXPORTS_MAX; i++)
		list[i] = (struct gate_export){ "x", "x.u1" };
	assert_int_equal(gate_exports_add(&f->g, f->a, list, GATE_EXPORTS_MAX + 1), -E2BIG);
	assert_int_equal(gate_exports_add(&f->g, f->a, list, 0), 0);
	gate_exports_live(&f->g, f->a);
	expect_pair(f, f->a, "x", NULL);
	free(list);
}

#define GATE_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_gate, free_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GATE_TEST(each_session_gets_its_own),
		GATE_TEST(a_driver_that_is_not_loaded_yet_provides_nothing),
		GATE_TEST(the_first_of_two_counts_until_it_is_gone),
		GATE_TEST(what_the_kernel_exports_is_the_kernels),
		GATE_TEST(a_name_that_led_outside_goes_on_to_do_so),
		GATE_TEST(forged_names_are_bounded),
		GATE_TEST(a_critical_function_cannot_be_taken),
		GATE_TEST(the_only_critical_function_cannot_be_taken),
		GATE_TEST(too_many_exports_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
