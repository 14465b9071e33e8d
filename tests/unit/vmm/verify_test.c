// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the check of a loaded driver, in a guest kernel whose lists and tables are made up
 * (lying_kernel.h): branches are counted by where they lead, and no lie makes it last.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vmm/lying_kernel.h"
#include "vmm/gate/gate_int.h"
#include "vmm/session/real_modules.h"
#include "vmm/session/verify.h"

/* Places in the arena. */
#define MODULE	   0x1000U
#define SECTIONS   0x2000U
#define TEXT	   0x3000U
#define EXPORTS	   0x4000U
#define NAME	   0x5000U
#define TRAMPOLINE 0x8000U
#define OWN	   0x10000U
#define SESSION	   0x20000U

#define PAGES (1 + GATE_PAGES)

static struct lying_kernel guest;
static struct gate gate = { .gate_va = LYING_VA + 0x30000 };
static u64 pages[PAGES];
static struct driver driver = {
	.name = (char[]){ "fuzz" },
	.guest_name = "fuzz",
	.own_page = OWN_GATE_PAGES,
	.layout = LAYOUT_SAME,
	.n_entries = 2,
	.state = DRIVER_LOADED,
};
static struct session session = {
	.name = (char[]){ "a" },
	.va = LYING_VA + SESSION,
	.text_pages = 1,
	.page_gpa = pages,
	.drivers = &driver,
};

/* Members of lying_kernel.h, by their number. */
enum member { LIST, HLIST, OPS_LIST, MODULE_NAME, BASE, SIZE, TEXT_SIZE, SYMS, NUM_SYMS };
enum variable { MODULES, KPROBE_TABLE, TRAMPOLINES };

static void step(u8 what, unsigned which, u32 at, u32 value)
{
	const struct lying_step x = { what, (u8)which, (u16)(at / 4), value };

	lying_kernel_step(&guest, &x);
}

/* Puts one module, "fuzz", with @text bytes of text. */
static void put_module(u32 text)
{
	lying_kernel_reset(&guest);
	step(4, MODULES, 0, MODULE);
	step(3 | 16, LIST, MODULE, MODULES);
	step(2, MODULE_NAME, MODULE, 0x7a7a7566);
	step(3, BASE, MODULE, TEXT);
	step(2, SIZE, MODULE, text);
	step(2, TEXT_SIZE, MODULE, text);
	step(3, 11, MODULE, SECTIONS); /* of which there are none */
}

static void put_export(void)
{
	step(3, SYMS, MODULE, EXPORTS);
	step(2, NUM_SYMS, MODULE, 1);
	step(0, 0, EXPORTS, TEXT - EXPORTS);
	step(0, 0, EXPORTS + 4, NAME - EXPORTS - 4);
	step(0, 0, NAME, 0x7a7a7566);
}

/* Makes the spare RAM the module's text, as large pages behind the arena's. */
static u8 *put_large_text(u32 size)
{
	u8 *text = machine_gpa(guest.m, guest.spare, size);

	assert_non_null(text);
	put_module(size);
	for (u32 i = 0; i < LYING_SPARE >> 21; i++)
		step(5, LYING_PMD_MODULES, (1 + i) * 4, (u32)guest.spare + (i << 21) + 0x81);
	step(3 | 8, BASE, MODULE, (u32)LYING_VA + (2U << 20));
	return text;
}

static int checked(json_t **report, struct err *e)
{
	int ret;

	*report = NULL;
	alarm(60); /* without an end is what these tests are about */
	ret = verify_driver(&guest.s, &driver, report, e);
	alarm(0);
	return ret;
}

static long count(const json_t *report, const char *key)
{
	const json_t *n = json_object_get(json_object_get(report, "branches"), key);

	return (long)json_integer_value(n ? n : json_object_get(report, key));
}

static void branches_are_counted_by_target(void **state)
{
	json_t *report;
	struct err e = { "" };

	(void)state;
	if (!guest.m)
		skip();
	put_module(0x100);
	step(6, 0, TEXT, TEXT + 8);
	step(6, 0, TEXT + 8, SESSION);
	step(6, 1, TEXT + 16, SESSION + (1 + OWN_GATE_PAGES) * 4096U + UMBRA_GATE_ENTRY);
	step(6, 1, TEXT + 24, SESSION + (1 + OWN_GATE_PAGES) * 4096U + 2 * UMBRA_GATE_ENTRY);
	step(6 | 8, 0, TEXT + 32, 0x81001000);
	step(0, 0, TEXT + 40, 0x90c3d0ff);
	for (u32 at = TEXT; at < TEXT + 40; at += 8)
		guest.arena[at + 5] = guest.arena[at + 6] = guest.arena[at + 7] = 0x90;
	if (checked(&report, &e))
		fail_msg("%s", e.text);
	assert_int_equal(count(report, "local"), 1);
	assert_int_equal(count(report, "shadow"), 1);
	/* the driver has two entries: the third one is not its own */
	assert_int_equal(count(report, "gate"), 1);
	assert_int_equal(json_array_size(json_object_get(report, "violations")), 2);
	assert_int_equal(count(report, "indirect"), 1);
	assert_int_equal(count(report, "undecoded"), 0);
	json_decref(report);
}

static void entries_of_its_own_are_counted_by_the_policy(void **state)
{
	struct driver_entry entries[] = {
		{ .symbol = "_printk" }, { .symbol = "filp_open", .fn = catalog_find("filp_open") }
	};
	struct umbra_map maps[] = { { LYING_VA + OWN, LYING_ARENA + OWN },
				    { LYING_VA + OWN + 4096, LYING_ARENA } };
	const struct driver before = driver;
	const u32 to[] = { UMBRA_OWN_ENTRY_AT, UMBRA_OWN_ENTRY + UMBRA_OWN_ENTRY_AT,
			   /* no entry, beside one, and on a page that is mapped otherwise */
			   2 * UMBRA_OWN_ENTRY + UMBRA_OWN_ENTRY_AT, UMBRA_OWN_ENTRY + 8,
			   4096 + UMBRA_OWN_ENTRY_AT };
	json_t *report;
	struct err e;

	(void)state;
	if (!guest.m)
		skip();
	driver.layout = LAYOUT_DENSE;
	driver.entries = entries;
	driver.own = (struct own_pages){ .va = LYING_VA + OWN, .n = 2, .maps = maps };
	put_module(0x100);
	for (u32 i = 0; i < ARRAY_SIZE(to); i++)
		step(6, 1, TEXT + 8 * i, OWN + to[i]);
	for (u32 at = TEXT; at < TEXT + 8 * ARRAY_SIZE(to); at += 8)
		guest.arena[at + 5] = guest.arena[at + 6] = guest.arena[at + 7] = 0x90;
	if (checked(&report, &e))
		fail_msg("%s", e.text);
	assert_int_equal(count(report, "shadow"), 1);
	assert_int_equal(count(report, "gate"), 1);
	assert_int_equal(json_array_size(json_object_get(report, "violations")), 3);
	json_decref(report);
	driver = before;
}

/* Leads the driver's @i-th inward entry to @target, whatever it is for. */
static void lead_inward(size_t i, u64 target)
{
	struct own_entry en = inward_own_entry(&driver, i);

	en.real = target;
	assert_true(gate_inward_entry_lead(&en));
}

static void lead_inward_of(const struct driver *d)
{
	const struct own_entry en = inward_own_entry(d, 0);

	gate_inward_entry(&en);
	gate_inward_entry_lead(&en);
}

static void expect_inward(long hold, size_t violations, const char *first)
{
	json_t *report;
	struct err e = { "" };
	const json_t *list;

	if (checked(&report, &e))
		fail_msg("%s", e.text);
	assert_int_equal(count(report, "inward"), hold);
	list = json_object_get(report, "violations");
	assert_int_equal(json_array_size(list), violations);
	if (violations)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(list, 0), "at")), first);
	json_decref(report);
}

static void put_inward(struct inward_entry *functions)
{
	put_module(0x100);
	for (size_t i = 0; i < 3; i++) {
		const struct own_entry en = inward_own_entry(&driver, i);

		gate_inward_entry(&en);
		lead_inward(i, functions[i].target);
	}
}

static void each_inward_entry_leads_into_the_driver(void **state)
{
	struct inward_entry functions[] = {
		{ .symbol = "open", .target = LYING_VA + TEXT + 8 },
		{ .symbol = "close", .target = LYING_VA + TEXT + 0xff },
		{ .symbol = "probe", .target = LYING_VA + 0x7000, .in_init = true },
	};
	struct umbra_map map = { LYING_VA + OWN, LYING_ARENA + OWN };
	const struct driver before = driver;
	u8 *hva = guest.arena + OWN;

	(void)state;
	if (!guest.m)
		skip();
	driver.own = (struct own_pages){ .va = LYING_VA + OWN, .n = 1, .maps = &map, .hva = &hva };
	driver.inward = functions;
	driver.n_inward = ARRAY_SIZE(functions);
	put_inward(functions);
	expect_inward(3, 0, NULL);
	/* closed ones lead to the gate's page, if they are closed */
	functions[0].result = RESULT_INT;
	driver.closed = true;
	lead_inward(0, gate_closed_va(&gate, GATE_REFUSES));
	expect_inward(3, 0, NULL);
	driver.closed = false;
	expect_inward(2, 1, "the inward entry of open()");
	lead_inward(0, functions[0].target);
	/* words that lead elsewhere, in the driver and out of it */
	lead_inward(1, LYING_VA + TEXT + 8);
	expect_inward(2, 1, "the inward entry of close()");
	lead_inward(1, LYING_VA + SESSION);
	expect_inward(2, 1, "the inward entry of close()");
	/* places that were never in the module, or that it was never told */
	put_inward(functions);
	functions[0].target = LYING_VA + TEXT + 0x100;
	lead_inward(0, functions[0].target);
	expect_inward(2, 1, "the inward entry of open()");
	functions[0].target = 0;
	lead_inward(0, driver.own.va);
	expect_inward(2, 1, "the inward entry of open()");
	/* the guest finds another page there */
	functions[0].target = LYING_VA + TEXT + 8;
	put_inward(functions);
	map.gpa += 4096;
	expect_inward(0, 3, "the inward entry of open()");
	driver = before;
}

/* The kernel patches an address that a driver gave it into a call (static_call_update()). */
static void calls_of_inward_entries_stay_in_the_session(void **state)
{
	struct inward_entry function = { .symbol = "f", .target = LYING_VA + TEXT + 8 };
	struct umbra_map map = { LYING_VA + OWN, LYING_ARENA + OWN };
	const struct driver before = driver;
	u8 *hva = guest.arena + OWN;
	struct driver other = { .session = &session,
				.name = (char[]){ "o" },
				.guest_name = "o",
				.inward = &function,
				.n_inward = 1,
				.own = { LYING_VA + OWN, 1, &map, &hva } };
	json_t *report;
	struct err e;

	(void)state;
	if (!guest.m)
		skip();
	for (int of_another = 0; of_another < 2; of_another++) {
		driver.own = of_another ? before.own : other.own;
		driver.inward = of_another ? NULL : &function;
		driver.n_inward = !of_another;
		driver.next = of_another ? &other : NULL;
		put_module(0x100);
		lead_inward_of(of_another ? &other : &driver);
		step(6, 1, TEXT, OWN + UMBRA_OWN_ENTRY_AT);
		step(6, 1, TEXT + 8, OWN + UMBRA_OWN_ENTRY + UMBRA_OWN_ENTRY_AT);
		step(6 | 2, 1, TEXT + 16, OWN + UMBRA_OWN_ENTRY_AT + 4);
		for (u32 at = TEXT; at < TEXT + 24; at += 8)
			guest.arena[at + 5] = guest.arena[at + 6] = guest.arena[at + 7] = 0x90;
		if (checked(&report, &e))
			fail_msg("%s", e.text);
		assert_int_equal(count(report, of_another ? "session" : "local"), 1);
		assert_int_equal(json_array_size(json_object_get(report, "violations")), 2);
		json_decref(report);
	}
	driver = before;
}

static void an_export_is_permitted_by_its_name(void **state)
{
	struct real_modules *real;

	(void)state;
	if (!guest.m)
		skip();
	put_module(0x100);
	put_export();
	assert_int_equal(real_modules_read(&guest.s, &real, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(real_modules_permit(real, session.policy, LYING_VA + TEXT));
		assert_false(real_modules_permit(real, session.policy, LYING_VA + TEXT + 1));
	}
	real_modules_free(real);
	step(0, 0, NAME, 0x7a7a7578); /* "xuzz" */
	assert_int_equal(real_modules_read(&guest.s, &real, NULL), 0);
	assert_false(real_modules_permit(real, session.policy, LYING_VA + TEXT));
	real_modules_free(real);
}

/* One member after the other is not plausible, and the list has no end. */
static void a_list_in_a_circle_ends(void **state)
{
	json_t *report;
	struct err e = { "" };

	(void)state;
	if (!guest.m)
		skip();
	put_module(0x100);
	step(4, TRAMPOLINES, 0, TRAMPOLINE);
	step(2, 23, TRAMPOLINE, 0x10000);
	step(3 | 32, OPS_LIST, TRAMPOLINE, TRAMPOLINE);
	assert_int_equal(checked(&report, &e), 0);
	json_decref(report);
}

/* Whether zeros are padding depends on the last byte: it is looked at once. */
static void zeros_before_a_last_byte_are_read_once(void **state)
{
	json_t *report;
	struct err e = { "" };
	u8 *text;

	(void)state;
	if (!guest.m)
		skip();
	text = put_large_text(LYING_SPARE);
	text[LYING_SPARE - 1] = 0xc3;
	assert_int_equal(checked(&report, &e), 0);
	assert_int_equal(count(report, "text"), LYING_SPARE);
	/* 00 00 is an instruction of two bytes, and the last one takes the last byte's place */
	assert_int_equal(count(report, "undecoded"), 0);
	json_decref(report);
	text[LYING_SPARE - 1] = 0;
}

static void more_branches_than_can_be_checked_are_an_error(void **state)
{
	const u32 size = 8U << 20;
	json_t *report;
	struct err e = { "" };
	u8 *text;

	(void)state;
	if (!guest.m)
		skip();
	text = put_large_text(size);
	memset(text, 0xe8, size); /* calls far below the module */
	assert_int_equal(checked(&report, &e), -E2BIG);
	assert_null(report);
	assert_non_null(strstr(e.text, "too many to check"));
	memset(text, 0, size);
}

static int open_guest(void **state)
{
	static const char text[] = "sessions = { a = { permit = [ \"fuzz*\" ]; }; };";

	(void)state;
	if (!lying_kernel_open(&guest))
		return 0;
	if (policy_parse(&guest.s.policy, "p", text, NULL))
		return -1;
	session.policy = policy_session(guest.s.policy, "a");
	driver.session = &session;
	guest.s.list = &session;
	guest.s.gate = &gate;
	for (size_t i = 0; i < PAGES; i++)
		pages[i] = LYING_ARENA + SESSION + i * 4096;
	return 0;
}

static int close_guest(void **state)
{
	(void)state;
	policy_free(guest.s.policy);
	lying_kernel_close(&guest);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(branches_are_counted_by_target),
		cmocka_unit_test(entries_of_its_own_are_counted_by_the_policy),
		cmocka_unit_test(each_inward_entry_leads_into_the_driver),
		cmocka_unit_test(calls_of_inward_entries_stay_in_the_session),
		cmocka_unit_test(an_export_is_permitted_by_its_name),
		cmocka_unit_test(a_list_in_a_circle_ends),
		cmocka_unit_test(zeros_before_a_last_byte_are_read_once),
		cmocka_unit_test(more_branches_than_can_be_checked_are_an_error),
	};

	return cmocka_run_group_tests(tests, open_guest, close_guest);
}
