// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the rings of seen calls as a guest's kernel fills them, and as one does that wants to harm:
 * what is whole comes into the record once and in its order, and nothing else does.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/btf.h>

#include "guest-shim/gate_blob.h"
#include "shadow/kernel/kernel_int.h"
#include "tests/unit/vmm/gate_fixture.h"

#define GATE_VA	 0xffffffffc0100000ULL
#define SEE_VA	 0xffffffffc0140000ULL
#define ENTRY_VA 0xffffffffc0200000ULL
#define REAL_VA	 0xffffffff81003000ULL

static struct gate g;
static struct kernel kernel;
static struct policy *policy;
static struct btf *types;
static _Alignas(8) u8 entries[2][UMBRA_OWN_ENTRY];
static char record_path[40];
static unsigned caller[2];
static u32 fn, ids[2];
static u64 now;

static u64 test_now(const struct machine *m)
{
	(void)m;
	return now;
}

/*
 * Gives the kernel `int seen(int i, const char *text)` and
 * `struct file *filp_open(const char *filename, int flags, int mode)`.
 */
static int make_types(void)
{
	struct btf *b = btf__new_empty();
	int integer = btf__add_int(b, "int", 4, BTF_INT_SIGNED);
	int text = btf__add_ptr(b, btf__add_const(b, btf__add_int(b, "char", 1, BTF_INT_SIGNED)));
	int file = btf__add_ptr(b, btf__add_struct(b, "file", 8));
	struct section s = { .data = NULL };
	u32 size;
	int ret;

	btf__add_func_proto(b, integer);
	btf__add_func_param(b, "i", integer);
	btf__add_func_param(b, "text", text);
	btf__add_func(b, "seen", BTF_FUNC_GLOBAL, (int)btf__type_cnt(b) - 1);
	btf__add_func_proto(b, file);
	btf__add_func_param(b, "filename", text);
	btf__add_func_param(b, "flags", integer);
	btf__add_func_param(b, "mode", integer);
	btf__add_func(b, "filp_open", BTF_FUNC_GLOBAL, (int)btf__type_cnt(b) - 1);
	s.data = btf__raw_data(b, &size);
	s.size = size;
	ret = types_load(&kernel.types, &s, "k", NULL);
	types = b; /* it lies in there */
	return ret;
}

static void see(unsigned i, const char *rule, bool each)
{
	const struct gate_sight sight = { .en = { .at = entries[i],
						  .va = ENTRY_VA + i * UMBRA_OWN_ENTRY,
						  .real = REAL_VA,
						  .fn = fn },
					  .each = each,
					  .rule = rule };

	assert_int_equal(gate_own_entry(&g, &sight.en, caller[i]), 0);
	assert_int_equal(gate_caller_see(&g, caller[i], &sight, 1), 0);
}

static int make_gate(void **state)
{
	const char *why;

	(void)state;
	memset(&g, 0, sizeof(g));
	now = 1000;
	snprintf(record_path, sizeof(record_path), "/tmp/umbra-unit-rings-%d", getpid());
	if (!gate_fixture_make(&g) || make_types() ||
	    policy_parse(&policy, "p",
			 "version = 1; sessions = { b = { }; a = {\n"
			 "files = ( { from = \"/data\"; to = \"/data/a\"; },"
			 " { from = \"/\"; action = \"deny\"; } ); }; };",
			 NULL))
		return -1;
	g.now = test_now;
	g.gate_va = GATE_VA;
	g.see_va = SEE_VA;
	g.few_va = SEE_VA + 0x40;
	g.k = &kernel;
	record_close(g.rec, NULL);
	if (record_create(&g.rec, record_path, NULL) || gate_see(&g, "seen", REAL_VA, &fn, &why))
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i ? "b" : "a";

		caller[i] = (unsigned)gate_caller_add(&g, policy_session(policy, name), name,
						      i ? "two" : "one");
		ids[i] = UMBRA_ID(caller[i], fn);
		see(i, "trace[0]", false);
	}
	return 0;
}

static int free_gate(void **state)
{
	(void)state;
	unlink(record_path);
	gate_fixture_free(&g);
	types_free(&kernel.types);
	btf__free(types);
	memset(&kernel, 0, sizeof(kernel));
	policy_free(policy);
	return 0;
}

/* Returns the ring of a CPU; the guest's head is where the test's is. */
static struct umbra_seen_ring *ring_of(unsigned cpu)
{
	return &g.seen_area->rings[cpu];
}

/* Takes a position and clears its slot but for the end, as the shim does. */
static void *slot_begin(unsigned cpu, u64 *at, u32 id)
{
	struct umbra_seen *s;

	*at = ring_of(cpu)->head;
	ring_of(cpu)->head += UMBRA_SEEN_SLOT;
	s = &ring_of(cpu)->slots[*at / UMBRA_SEEN_SLOT % UMBRA_SEEN_SLOTS];
	memset((u8 *)s + sizeof(s->end), 0, sizeof(*s) - sizeof(s->end));
	s->id = id;
	return s;
}

static void slot_end(void *slot, u64 at)
{
	struct umbra_seen *s = slot;

	__atomic_store_n(&s->end, at + UMBRA_SEEN_SLOT, __ATOMIC_RELEASE);
}

static void put_call(unsigned cpu, u32 id, u64 arg)
{
	u64 at;
	struct umbra_seen *s = slot_begin(cpu, &at, id);

	s->args[0] = arg;
	s->pid = 7;
	slot_end(s, at);
}

static void put_text(unsigned cpu, u32 id, u32 number, const char *text)
{
	u64 at;
	struct umbra_seen_text *s = slot_begin(cpu, &at, id);

	s->number = number;
	memcpy(s->text, text, strlen(text) < UMBRA_TEXT_MAX ? strlen(text) + 1 : UMBRA_TEXT_MAX);
	slot_end(s, at);
}

static void put_clock(unsigned cpu, u64 tsc, u64 ns, u64 khz)
{
	u64 at;
	struct umbra_seen_clock *s = slot_begin(cpu, &at, UMBRA_SEEN_CLOCK);

	s->tsc = tsc;
	s->ns = ns;
	s->khz = khz;
	s->interrupt = 0xff0100;
	slot_end(s, at);
}

/* Returns what the record's file has, of which @lines (may be NULL) are the lines. */
static const char *record_text(unsigned *lines)
{
	static char text[1u << 20];
	FILE *f;
	size_t n;

	record_sync(g.rec);
	f = fopen(record_path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	if (lines) {
		*lines = 0;
		for (size_t i = 0; i < n; i++)
			*lines += text[i] == '\n';
	}
	return text;
}

static void expect_lines(unsigned n)
{
	unsigned lines;
	const char *text = record_text(&lines);

	if (lines != n)
		fail_msg("%u lines, not %u: %.2000s", lines, n, text);
}

static void expect_text(const char *part)
{
	if (!strstr(record_text(NULL), part))
		fail_msg("no %s in %.2000s", part, record_text(NULL));
}

static void what_is_whole_is_recorded_once(void **state)
{
	(void)state;
	put_clock(3, 1000000, 5000000000, 1000000);
	put_text(3, UMBRA_SEEN_TASK, 7, "cat");
	put_text(3, UMBRA_SEEN_TEXT, 1, "eth%d");
	put_call(3, ids[0], 12);
	assert_int_equal(gate_drain_ring(&g, 3), 0);
	expect_lines(1);
	expect_text(
		"\"session\":\"a\",\"driver\":\"one\",\"function\":\"seen\",\"vcpu\":3,\"pid\":7,"
		"\"command\":\"cat\",\"guest_ns\":4999000000");
	expect_text("\"call\":\"i=12, text=\\\"eth%d\\\"\",\"result\":\"0\",\"duration_ns\":0}");
	assert_int_equal(gate_drain_ring(&g, 3), 0);
	gate_drain(&g);
	expect_lines(1);
	assert_int_equal(ring_of(3)->tail, 4 * UMBRA_SEEN_SLOT);
	/* the text was that call's alone */
	put_call(3, ids[0], 13);
	gate_drain(&g);
	expect_text("\"call\":\"i=13, text=NULL\"");
}

static void times_come_from_the_clock(void **state)
{
	u64 at;
	struct umbra_seen *s;

	(void)state;
	now = 900000;
	g.guest_skew = -5000000000 + 500000;
	put_clock(0, 2000, 5000000000, 2000000); /* two ticks are a nanosecond */
	s = slot_begin(0, &at, ids[0]);
	s->start = 2600;
	s->stop = 4600;
	slot_end(s, at);
	gate_drain(&g);
	expect_text("{\"time_ns\":500300,");
	expect_text("\"guest_ns\":5000000300,");
	expect_text("\"duration_ns\":1000}");
	/* what would be before the last drain, or after this one, is not */
	g.guest_skew = INT64_MIN;
	s = slot_begin(0, &at, ids[0]);
	s->start = 2600;
	slot_end(s, at);
	now = 900005;
	gate_drain(&g);
	assert_null(strstr(strchr(record_text(NULL), '\n'), "\"time_ns\":500300"));
	put_clock(0, UINT64_MAX, UINT64_MAX, UINT64_MAX);
	put_call(0, ids[0], 1);
	put_clock(0, 0, 0, 1);
	put_call(0, ids[0], 2);
	gate_drain(&g);
	expect_lines(4);
}

static void a_call_that_is_not_whole_stops_the_drain(void **state)
{
	u64 outer;
	struct umbra_seen *s = slot_begin(0, &outer, ids[0]);

	(void)state;
	s->args[0] = 1;
	put_call(0, ids[1], 2); /* an interrupt's, which came between */
	gate_drain(&g);
	expect_lines(0);
	slot_end(s, outer);
	gate_drain(&g);
	expect_lines(2);
	assert_true(strstr(record_text(NULL), "i=1,") < strstr(record_text(NULL), "i=2,"));
}

static void an_interrupt_has_no_task(void **state)
{
	u64 at;
	struct umbra_seen *s;

	(void)state;
	put_clock(0, 1, 1, 1);
	put_text(0, UMBRA_SEEN_TASK, 7, "cat");
	s = slot_begin(0, &at, ids[0]);
	s->pid = 7;
	s->context = 0x10001;
	slot_end(s, at);
	gate_drain(&g);
	expect_text("\"pid\":0,\"command\":null");
	/* of another task the name is not known */
	s = slot_begin(0, &at, ids[0]);
	s->pid = 8;
	s->context = 1;
	slot_end(s, at);
	gate_drain(&g);
	expect_text("\"pid\":8,\"command\":null");
}

static void rings_wrap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3 * UMBRA_SEEN_SLOTS; i++) {
		put_call(1, ids[0], i);
		if (i % 200 == 199)
			gate_drain_ring(&g, 1);
	}
	gate_drain(&g);
	expect_lines(3 * UMBRA_SEEN_SLOTS);
	assert_int_equal(ring_of(1)->tail, 3 * UMBRA_SEEN_BYTES);
}

static void the_guests_indices_are_not_believed(void **state)
{
	(void)state;
	put_call(0, ids[0], 1);
	ring_of(0)->head = UINT64_MAX;
	ring_of(0)->tail = UINT64_MAX / 2;
	ring_of(0)->room = INT64_MAX;
	gate_drain(&g);
	expect_lines(1);
	assert_int_equal(ring_of(0)->tail, UMBRA_SEEN_SLOT);
	assert_int_equal(gate_drain_ring(&g, UMBRA_SEEN_CPUS), -EINVAL);
	assert_int_equal(gate_drain_ring(&g, UINT64_MAX), -EINVAL);
	/* positions of another time */
	for (unsigned i = 0; i < UMBRA_SEEN_SLOTS; i++)
		ring_of(0)->slots[i].end = i * UMBRA_SEEN_SLOT;
	gate_drain(&g);
	expect_lines(1);
}

static void ids_and_texts_are_checked(void **state)
{
	static const u32 others[] = { 0, UMBRA_ID(1, 0), UMBRA_ID(4000, SEEN_MAX), 0x80000000u };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		put_call(0, others[i], 1);
	put_call(0, ids[0] + 1, 1);
	put_call(0, UMBRA_ID(3000, fn), 1);
	gate_drain(&g);
	expect_lines(0);
	for (u32 i = 0; i < 40; i++)
		put_text(0, UMBRA_SEEN_TEXT, i, "x");
	put_text(0, UMBRA_SEEN_TEXT, UINT32_MAX, "x");
	put_call(0, ids[0], 1);
	/* without an end */
	put_text(0, UMBRA_SEEN_TEXT, 1,
		 "0123456789012345678901234567890123456789012345678901234567890123456789");
	put_call(0, ids[0], 2);
	gate_drain(&g);
	expect_lines(2);
	expect_text(
		"i=2, text=\\\"012345678901234567890123456789012345678901234567890123456789012");
}

static void a_drain_ends(void **state)
{
	struct umbra_seen_ring *r = ring_of(0);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < UMBRA_SEEN_SLOTS; i++)
			put_call(0, ids[0], i);
		gate_drain_ring(&g, 0);
		assert_int_equal(r->tail, (round + 1) * UMBRA_SEEN_BYTES);
	}
}

static void losses_are_told_for_each_session(void **state)
{
	(void)state;
	g.seen_area->lost[caller[1]] = 5;
	gate_drain(&g);
	put_call(0, ids[1], 1);
	put_call(0, ids[0], 1);
	gate_drain(&g);
	expect_text("\"event\":\"lines lost\",\"session\":\"b\"");
	expect_text("\"lost\":5}");
	assert_null(strstr(record_text(NULL), "\"lines lost\",\"session\":\"a\""));
	/* and once */
	gate_drain(&g);
	expect_lines(3);
}

/* Where a call by the entry comes to. */
static u64 entry_leads_to(unsigned i)
{
	const u64 at = ENTRY_VA + i * UMBRA_OWN_ENTRY;
	s32 first, second;

	memcpy(&first, entries[i] + 4, 4);
	memcpy(&second, entries[i] + 16, 4);
	return first ? at + 8 + (u64)(s64)first : at + 20 + (u64)(s64)second;
}

static const u64 by_exit = GATE_VA;

static void expect_way(unsigned i, u64 to)
{
	if (to == by_exit)
		to += (u64)(umbra_gate_common - umbra_gate_blob);
	assert_true(entry_leads_to(i) == to);
}

static void the_first_call_is_by_an_exit(void **state)
{
	(void)state;
	expect_way(0, by_exit);
	assert_int_equal(gate_seen(&g, 0, 0, ids[0], 0), 0);
	expect_way(0, SEE_VA);
	expect_way(1, by_exit);
	expect_lines(1);
	/* a call that came before it was turned */
	assert_int_equal(gate_seen(&g, 0, 0, ids[0], 0), 0);
	expect_lines(2);
}

static void a_witnessed_call_is_always_by_an_exit(void **state)
{
	(void)state;
	see(0, "witness[0]", true);
	assert_int_equal(gate_seen(&g, 0, 0, ids[0], 0), 0);
	expect_way(0, by_exit);
}

static void a_policy_turns_it_back(void **state)
{
	struct gate_sight sight = {
		.en = { .at = entries[0], .va = ENTRY_VA, .real = REAL_VA, .fn = fn }
	};

	(void)state;
	gate_seen(&g, 0, 0, ids[0], 0);
	put_call(0, ids[0], 9);
	gate_drain(&g);
	gate_caller_see_anew(&g, caller[0], &sight);
	expect_way(0, REAL_VA);
	/* one that was on its way */
	put_call(0, ids[0], 10);
	gate_drain(&g);
	expect_lines(2);
	sight.rule = "trace[0]";
	gate_caller_see_anew(&g, caller[0], &sight);
	expect_way(0, by_exit);
}

static void a_closed_entry_stays_closed(void **state)
{
	struct gate_sight sight = {
		.en = { .at = entries[0], .va = ENTRY_VA, .real = REAL_VA, .fn = fn },
		.rule = "trace[0]",
		.closed = gate_closed_va(&g, GATE_REFUSES)
	};

	(void)state;
	gate_caller_see_anew(&g, caller[0], &sight);
	expect_way(0, sight.closed);
	/* a call that was on its way opens it not */
	gate_seen(&g, 0, 0, ids[0], 0);
	expect_way(0, sight.closed);
	sight.closed = 0;
	gate_caller_see_anew(&g, caller[0], &sight);
	expect_way(0, by_exit);
}

/* Sees filp_open() by @caller[0], too, and asks for @path; returns the gate id. */
static u32 ask_for(const char *path, const char *rule)
{
	const u32 open = catalog_index(catalog_find("filp_open"));
	const struct gate_sight sight = {
		.en = { .at = entries[0], .va = ENTRY_VA, .real = REAL_VA, .fn = open },
		.critical = true,
		.rule = rule
	};
	struct umbra_frame *f = &g.frames[0];

	assert_int_equal(gate_caller_see(&g, caller[0], &sight, 1), 0);
	memset(f, 0, offsetof(struct umbra_frame, data));
	f->flags = UMBRA_FRAME_HAS_NAME;
	f->name.len = f->used = (u32)strlen(path) + 1;
	memcpy(f->data, path, f->used);
	f->args[0] = 0xffff888000001000;
	f->args[1] = 2;
	assert_int_equal(gate_call(&g, 0, 0, UMBRA_ID(caller[0], open)), 0);
	return UMBRA_ID(caller[0], open);
}

static void put_end(u32 id, u64 number, u64 ret)
{
	u64 at;
	struct umbra_seen *s;

	put_text(0, UMBRA_SEEN_TEXT, 0, "/data/x");
	s = slot_begin(0, &at, id);
	s->args[0] = 0xffff888000001000;
	s->args[1] = 2;
	s->ret = ret;
	s->number = number;
	s->stop = 2000;
	slot_end(s, at);
}

/* It has two lines: one before it is made, one with its result, which comes by the ring. */
static void a_decided_call_has_an_end(void **state)
{
	u32 id = ask_for("/data/x", "trace[0]");
	u64 number = g.answers[0].seen;

	(void)state;
	assert_int_equal(g.answers[0].verdict, UMBRA_REWRITE);
	assert_true(number);
	expect_way(0, by_exit);
	expect_lines(1);
	expect_text("\"used\":\"/data/a/x\",\"verdict\":\"rewrite\"");
	expect_text("\"id\":1}");
	put_clock(0, 0, 5000000000, 1000000);
	/* not its number, not its caller's: nothing */
	put_end(id, number + 1, 1);
	put_end(UMBRA_ID(caller[1], UMBRA_ID_FN(id)), number, 1);
	put_end(id, 0, 1);
	gate_drain(&g);
	expect_lines(1);
	put_end(id, number, 0xffff888000002000);
	put_end(id, number, 0xffff888000003000); /* once */
	gate_drain(&g);
	expect_lines(2);
	expect_text("\"id\":1,\"call\":\"filename=\\\"/data/x\\\", flags=O_RDWR, mode=0\","
		    "\"result\":\"(struct file *)0xffff888000002000\",\"duration_ns\":2000}");
	assert_int_equal(g.info->fns[UMBRA_ID_FN(id)].texts, 1);
}

static void a_refused_call_has_its_refusal_as_result(void **state)
{
	(void)state;
	ask_for("/etc/x", "trace[0]");
	assert_int_equal(g.answers[0].verdict, UMBRA_DENY);
	assert_int_equal(g.answers[0].seen, 0);
	expect_lines(1);
	expect_text("\"call\":\"filename=\\\"/etc/x\\\", flags=O_RDWR, mode=0\","
		    "\"result\":\"ERR_PTR(-1)\",\"duration_ns\":0}");
	assert_null(strstr(record_text(NULL), "\"id\""));
}

static void a_decided_call_that_nobody_sees_has_no_end(void **state)
{
	(void)state;
	ask_for("/data/x", NULL);
	assert_int_equal(g.answers[0].seen, 0);
	assert_null(strstr(record_text(NULL), "\"id\""));
	assert_null(g.decided);
}

/* So many calls sleep that one finds no place: the oldest has no result, and the others have. */
static void decided_calls_wait_for_their_end_in_bounds(void **state)
{
	u32 id = 0;

	(void)state;
	for (unsigned i = 0; i < 1025; i++)
		id = ask_for("/data/x", "trace[0]");
	expect_lines(1025);
	put_end(id, 1, 0);
	gate_drain(&g);
	expect_lines(1025);
	for (u64 number = 2; number <= 1025; number++) {
		put_end(id, number, 0);
		gate_drain(&g);
	}
	/* The line that the oldest one will not have is counted where it would stand. */
	expect_lines(1025 + 1024 + 1);
	expect_text("\"event\":\"lines lost\",\"session\":\"a\"");
	expect_text("\"lost\":1}");
}

/* A driver does not choose how much memory the lines take that wait for their end. */
static void a_long_line_does_not_wait_for_its_end(void **state)
{
	char path[3000] = "/data/";

	(void)state;
	memset(path + 6, 1, sizeof(path) - 7);
	put_end(ask_for(path, "trace[0]"), 1, 0);
	gate_drain(&g);
	expect_lines(1);
	/* The loss stands before what comes next. */
	ask_for("/data/x", "trace[0]");
	expect_lines(3);
	assert_non_null(strstr(record_text(NULL), "\"lost\":1}"));
}

/* A caller's number may be the next one's: what it did stands there before. */
static void a_caller_that_goes_is_drained(void **state)
{
	(void)state;
	put_call(0, ids[0], 3);
	gate_caller_remove(&g, caller[0]);
	expect_lines(1);
	expect_text("\"driver\":\"one\"");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_gate, free_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_whole_is_recorded_once),
		CASE(times_come_from_the_clock),
		CASE(a_call_that_is_not_whole_stops_the_drain),
		CASE(an_interrupt_has_no_task),
		CASE(rings_wrap),
		CASE(the_guests_indices_are_not_believed),
		CASE(ids_and_texts_are_checked),
		CASE(a_drain_ends),
		CASE(losses_are_told_for_each_session),
		CASE(the_first_call_is_by_an_exit),
		CASE(a_witnessed_call_is_always_by_an_exit),
		CASE(a_policy_turns_it_back),
		CASE(a_closed_entry_stays_closed),
		CASE(a_decided_call_has_an_end),
		CASE(a_refused_call_has_its_refusal_as_result),
		CASE(a_decided_call_that_nobody_sees_has_no_end),
		CASE(decided_calls_wait_for_their_end_in_bounds),
		CASE(a_long_line_does_not_wait_for_its_end),
		CASE(a_caller_that_goes_is_drained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
