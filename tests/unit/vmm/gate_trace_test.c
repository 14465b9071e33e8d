// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests those who follow calls: what they see and nobody else has seen, until their half of the
 * socket ends; and where in a driver a call is said to come from.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/btf.h>

#include "base/loop.h"
#include "guest-shim/gate_blob.h"
#include "shadow/kernel/kernel_int.h"
#include "tests/unit/vmm/gate_fixture.h"
#include "vmm/gate/trace.h"

#define GATE_VA	 0xffffffffc0100000ULL
#define ENTRY_VA 0xffffffffc0200000ULL
#define REAL_VA	 0xffffffff81003000ULL
#define TEXT_VA	 0xffffffffc0300000ULL

static struct gate g;
static struct kernel kernel;
static struct policy *policy;
static struct btf *types;
static _Alignas(8) u8 entries[2][UMBRA_OWN_ENTRY];
static unsigned caller[2];
static u32 fn, ids[2];
static int ours; /* of a follower's socket */

/* Gives the kernel `int seen(int i)` and `int misc_register(struct miscdevice *misc)`. */
static int make_types(void)
{
	struct section s = { .data = NULL };
	int integer, device;
	u32 size;

	types = btf__new_empty();
	integer = btf__add_int(types, "int", 4, BTF_INT_SIGNED);
	btf__add_func_proto(types, integer);
	btf__add_func_param(types, "i", integer);
	btf__add_func(types, "seen", BTF_FUNC_GLOBAL, (int)btf__type_cnt(types) - 1);
	device = btf__add_ptr(types, btf__add_struct(types, "miscdevice", 8));
	btf__add_func_proto(types, integer);
	btf__add_func_param(types, "misc", device);
	btf__add_func(types, "misc_register", BTF_FUNC_GLOBAL, (int)btf__type_cnt(types) - 1);
	s.data = btf__raw_data(types, &size);
	s.size = size;
	return types_load(&kernel.types, &s, "k", NULL);
}

static int make_gate(void **state)
{
	const char *why;

	(void)state;
	memset(&g, 0, sizeof(g));
	if (!gate_fixture_make(&g) || make_types() || loop_create(&g.loop) ||
	    policy_parse(&policy, "p",
			 "version = 1; sessions = { a = { names = { misc = \"a-%s\"; }; };"
			 " b = { }; };",
			 NULL))
		return -1;
	g.gate_va = GATE_VA;
	g.see_va = g.few_va = GATE_VA + 0x40000;
	g.k = &kernel;
	if (gate_see(&g, "seen", REAL_VA, &fn, &why))
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		struct gate_sight sight = { .en = { .at = entries[i],
						    .va = ENTRY_VA + i * UMBRA_OWN_ENTRY,
						    .real = REAL_VA,
						    .fn = fn } };
		const char *name = i ? "b" : "a";

		caller[i] = (unsigned)gate_caller_add(&g, policy_session(policy, name), name, "d");
		ids[i] = UMBRA_ID(caller[i], fn);
		if (gate_own_entry(&g, &sight.en, caller[i]) ||
		    gate_caller_see(&g, caller[i], &sight, 1))
			return -1;
	}
	ours = -1;
	return 0;
}

static int free_gate(void **state)
{
	(void)state;
	gate_traces_end(&g, NULL);
	if (ours >= 0)
		close(ours);
	gate_fixture_free(&g);
	loop_destroy(g.loop);
	types_free(&kernel.types);
	btf__free(types);
	memset(&kernel, 0, sizeof(kernel));
	policy_free(policy);
	return 0;
}

static void stop_loop(void *arg, u32 events)
{
	(void)events;
	loop_stop(arg);
}

/* Serves the loop for a moment. */
static void serve(void)
{
	int timer = loop_timer(g.loop, 30000000, 0, stop_loop, g.loop);

	loop_again(g.loop);
	assert_int_equal(loop_run(g.loop), 0);
	loop_timer_del(g.loop, timer);
}

static void follow(const struct gate_trace_request *r)
{
	struct err e = { "" };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	if (gate_trace_begin(&g, r, pair[1], &e))
		fail_msg("%s", e.text);
	ours = pair[0];
}

/* Puts one call into the ring, as the shim does. */
static void call(unsigned i, u64 arg, u64 ret)
{
	struct umbra_seen_ring *ring = &g.seen_area->rings[0];
	struct umbra_seen *s = &ring->slots[ring->head / UMBRA_SEEN_SLOT % UMBRA_SEEN_SLOTS];

	ring->head += UMBRA_SEEN_SLOT;
	s->id = ids[i];
	s->args[0] = arg;
	s->ret = ret;
	__atomic_store_n(&s->end, ring->head, __ATOMIC_RELEASE);
}

/* Returns what has come, up to the end if there is one. */
static const char *received(void)
{
	static char text[65536];
	size_t n = 0;
	ssize_t got;

	while ((got = recv(ours, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return text;
}

static bool leads_to_kernel(unsigned i)
{
	s32 first;

	memcpy(&first, entries[i] + 4, 4);
	return ENTRY_VA + i * UMBRA_OWN_ENTRY + 8 + (u64)(s64)first == REAL_VA;
}

static void its_session_is_seen_as_long_as_it_follows(void **state)
{
	const char *text;

	(void)state;
	assert_true(leads_to_kernel(0));
	follow(&(struct gate_trace_request){ .session = "a" });
	assert_false(leads_to_kernel(0));
	assert_true(leads_to_kernel(1));
	assert_int_equal(gate_caller_followed(&g, caller[0]), 1);
	call(0, 5, 7);
	call(1, 6, 7);
	gate_drain(&g);
	serve();
	text = received();
	assert_non_null(strstr(text, "\"call\":\"i=5\",\"result\":\"7\""));
	assert_null(strstr(text, "i=6"));
	/* what it has asked for until its end comes */
	call(0, 8, 7);
	shutdown(ours, SHUT_WR);
	serve();
	assert_non_null(strstr(received(), "i=8"));
	assert_int_equal(recv(ours, &(char){ 0 }, 1, 0), 0);
	assert_true(leads_to_kernel(0));
	assert_null(g.traces);
	assert_null(g.traces_ending);
}

static void one_that_goes_without_a_word_is_forgotten(void **state)
{
	(void)state;
	follow(&(struct gate_trace_request){ .session = "a" });
	close(ours);
	ours = -1;
	call(0, 5, 7);
	gate_drain(&g);
	serve();
	assert_null(g.traces);
	assert_null(g.traces_ending);
	assert_true(leads_to_kernel(0));
}

static void counts_are_of_all_calls(void **state)
{
	(void)state;
	follow(&(struct gate_trace_request){ .session = "a", .count = true });
	for (unsigned i = 0; i < 1000; i++) {
		call(0, i, i % 10 ? 0 : (u64)-22);
		if (i % 100 == 99)
			gate_drain(&g);
	}
	shutdown(ours, SHUT_WR);
	serve();
	assert_string_equal(received(),
			    "{\"function\":\"seen\",\"calls\":1000,\"errors\":100,\"ns\":0}\n");
}

static void errors_alone(void **state)
{
	const char *text;

	(void)state;
	follow(&(struct gate_trace_request){ .session = "a", .errors = true });
	call(0, 1, 0);
	call(0, 2, 0xffffffea);
	gate_drain(&g);
	serve();
	text = received();
	assert_null(strstr(text, "i=1"));
	assert_non_null(strstr(text, "\"call\":\"i=2\",\"result\":\"-22\""));
}

static void patterns_choose(void **state)
{
	const char *const none[] = { "other_*" };

	(void)state;
	follow(&(struct gate_trace_request){ .session = "a", .functions = none, .n = 1 });
	assert_true(leads_to_kernel(0));
	close(ours);
	serve();
	follow(&(struct gate_trace_request){ .session = "a", .driver = "x*" });
	assert_true(leads_to_kernel(0));
}

static void a_reader_that_is_too_slow_loses_lines_and_is_told(void **state)
{
	size_t lines = 0;
	const char *text, *lost = NULL;

	(void)state;
	follow(&(struct gate_trace_request){ .session = "a" });
	for (unsigned i = 0; i < 20000; i++) {
		call(0, i, 0);
		if (i % 100 == 99)
			gate_drain(&g);
	}
	for (unsigned round = 0; round < 400 && !lost; round++) {
		serve();
		do {
			text = received();
			lost = lost ? lost : strstr(text, "\"event\":\"lines lost\"");
			for (const char *p = text; (p = strchr(p, '\n')); p++)
				lines++;
		} while (*text);
	}
	assert_non_null(lost);
	assert_true(lines > 5000 && lines < 20000);
}

/* Has caller[0] register a misc device, which the guest's ring ends as number @end. */
static void register_device(u64 end, u64 ret)
{
	const u32 id = UMBRA_ID(caller[0], catalog_index(catalog_find("misc_register")));
	struct umbra_seen_ring *ring = &g.seen_area->rings[0];
	struct umbra_seen *s = &ring->slots[ring->head / UMBRA_SEEN_SLOT % UMBRA_SEEN_SLOTS];

	memset(&g.frames[0], 0, offsetof(struct umbra_frame, data));
	g.frames[0].flags = UMBRA_FRAME_HAS_NAME;
	g.frames[0].args[0] = TEXT_VA;
	g.frames[0].name.len = g.frames[0].used = 2;
	strcpy(g.frames[0].data, "x");
	assert_int_equal(gate_call(&g, 0, 0, id), 0);
	assert_true(g.answers[0].seen);
	if (!end)
		return;
	ring->head += UMBRA_SEEN_SLOT;
	memset((u8 *)s + sizeof(s->end), 0, sizeof(*s) - sizeof(s->end));
	s->id = id;
	s->number = end;
	s->args[0] = TEXT_VA;
	s->ret = ret;
	__atomic_store_n(&s->end, ring->head, __ATOMIC_RELEASE);
}

static void see_registrations(const char *rule)
{
	const struct gate_sight sight = { .en = { .at = entries[0],
						  .va = ENTRY_VA,
						  .real = REAL_VA,
						  .fn = catalog_index(
							  catalog_find("misc_register")) },
					  .rule = rule,
					  .critical = true };

	assert_int_equal(gate_caller_see(&g, caller[0], &sight, 1), 0);
}

/* A call that was decided is one line, at its end. */
static void a_decided_call_is_told_at_its_end(void **state)
{
	const char *text;

	(void)state;
	see_registrations(NULL);
	follow(&(struct gate_trace_request){ .session = "a" });
	register_device(0, 0);
	serve();
	assert_string_equal(received(), "");
	register_device(2, (u64)-16);
	gate_drain(&g);
	serve();
	text = received();
	assert_non_null(strstr(text, "\"asked\":\"x\""));
	assert_non_null(strstr(text, "\"call\":\"misc=(struct miscdevice *)0x"));
	assert_non_null(strstr(text, "\"result\":\"-16\""));
	assert_null(strchr(strchr(text, '\n') + 1, '\n'));
	/* the first lasts still, and nobody follows its end any more */
	shutdown(ours, SHUT_WR);
	serve();
	text = received();
	assert_non_null(strstr(text, "\"id\":1}"));
	assert_null(strstr(text, "\"result\""));
}

/* The policy wants a line that a record without a file has no place for. */
static void a_decided_call_is_told_where_no_file_is(void **state)
{
	(void)state;
	see_registrations("trace[0] at p:2");
	follow(&(struct gate_trace_request){ .session = "a" });
	register_device(1, 0);
	gate_drain(&g);
	serve();
	assert_non_null(strstr(received(), "\"result\":\"0\""));
}

static void decided_calls_are_counted_with_their_results(void **state)
{
	(void)state;
	see_registrations(NULL);
	follow(&(struct gate_trace_request){ .session = "a", .count = true });
	register_device(1, (u64)-16);
	register_device(2, 0);
	register_device(0, 0);
	gate_drain(&g);
	shutdown(ours, SHUT_WR);
	serve();
	assert_string_equal(received(),
			    "{\"function\":\"misc_register\",\"calls\":3,\"errors\":1,\"ns\":0}\n");
}

static void errors_of_decided_calls_alone(void **state)
{
	const char *text;

	(void)state;
	see_registrations(NULL);
	follow(&(struct gate_trace_request){ .session = "a", .errors = true });
	register_device(1, 0);
	register_device(2, (u64)-16);
	gate_drain(&g);
	shutdown(ours, SHUT_WR);
	serve();
	text = received();
	assert_non_null(strstr(text, "\"result\":\"-16\""));
	assert_null(strstr(text, "\"result\":\"0\""));
}

/* What has come before is there, then why it ends. */
static void the_guests_end_is_said(void **state)
{
	const char *text;

	(void)state;
	follow(&(struct gate_trace_request){ .session = "a", .count = true });
	call(0, 1, 0);
	gate_end_calls(&g, "the guest was reset");
	text = received();
	assert_non_null(strstr(text, "{\"function\":\"seen\",\"calls\":1,"));
	assert_non_null(strstr(text, "\"event\":\"trace ended\",\"session\":\"a\","
				     "\"text\":\"the guest was reset\"}\n"));
	assert_int_equal(recv(ours, &(char){ 0 }, 1, 0), 0);
}

static void drivers_are_named_as_modules_are(void **state)
{
	(void)state;
	assert_true(gate_trace_driver("dm-mod", "dm_mod"));
	assert_true(gate_trace_driver("dm_*", "dm-mod"));
	assert_true(gate_trace_driver("d[l-n]-mod", "dm-mod"));
	assert_false(gate_trace_driver("dm_mod", "dmmod"));
	assert_false(gate_trace_driver("d[l-n]", "d-"));
}

static void there_is_a_most(void **state)
{
	struct err e;
	int pair[2];

	(void)state;
	for (unsigned i = 0; i < GATE_TRACES_MAX; i++)
		follow(&(struct gate_trace_request){ .session = "a" });
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(
		gate_trace_begin(&g, &(struct gate_trace_request){ .session = "a" }, pair[1], &e),
		-EBUSY);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(
		gate_trace_begin(&g, &(struct gate_trace_request){ .session = "a" }, 0, &e),
		-ENOTSOCK);
}

/* Where the guest's loader has put the sections, at the third look. */
static size_t sections(void *arg, const char *module, struct gate_section out[GATE_SECTIONS_MAX])
{
	unsigned *looks = arg;

	assert_string_equal(module, "a__d");
	if (++*looks < 3)
		return 0;
	out[0] = (struct gate_section){ ".text", TEXT_VA };
	out[1] = (struct gate_section){ ".data", TEXT_VA + 0x10000 };
	return 2;
}

static void sites_are_the_drivers_symbols(void **state)
{
	static const struct gate_function list[] = { { "first", ".text", 0x300, 0x10 },
						     { "second", ".text", 0x300, 0x100 },
						     { "begin", ".init.text", 0x80, 0 } };
	struct gate_caller *c = g.callers[caller[0]];
	unsigned looks = 0;
	char buf[SITE_TEXT];

	(void)state;
	assert_null(gate_site_text(&g, c, TEXT_VA, true, buf, sizeof(buf)));
	assert_int_equal(gate_caller_text(&g, caller[0], "a__d", list, ARRAY_SIZE(list)), 0);
	gate_set_sections_hook(&g, sections, &looks);
	/* whoever drains a ring does not look at the guest's list */
	assert_string_equal(gate_site_text(&g, c, TEXT_VA + 0x20, false, buf, sizeof(buf)),
			    "0xffffffffc0300020");
	assert_int_equal(looks, 0);
	assert_string_equal(gate_site_text(&g, c, TEXT_VA + 0x20, true, buf, sizeof(buf)),
			    "0xffffffffc0300020");
	gate_site_text(&g, c, TEXT_VA, true, buf, sizeof(buf));
	assert_string_equal(gate_site_text(&g, c, TEXT_VA + 0x20, true, buf, sizeof(buf)),
			    "first+0x10");
	/* a call at the end of a function returns to where the next one begins */
	assert_string_equal(gate_site_text(&g, c, TEXT_VA + 0x100, true, buf, sizeof(buf)),
			    "first+0xf0");
	assert_string_equal(gate_site_text(&g, c, TEXT_VA + 0x300, true, buf, sizeof(buf)),
			    "second+0x200");
	assert_string_equal(gate_site_text(&g, c, TEXT_VA + 8, true, buf, sizeof(buf)),
			    ".text+0x8");
	assert_string_equal(gate_site_text(&g, c, TEXT_VA + 0x301, true, buf, sizeof(buf)),
			    "tail call");
	assert_string_equal(gate_site_text(&g, c, UINT64_MAX, true, buf, sizeof(buf)), "tail call");
	assert_null(gate_site_text(&g, c, 0, true, buf, sizeof(buf)));
	assert_int_equal(looks, 3);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_gate, free_gate)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(its_session_is_seen_as_long_as_it_follows),
		CASE(one_that_goes_without_a_word_is_forgotten),
		CASE(counts_are_of_all_calls),
		CASE(errors_alone),
		CASE(patterns_choose),
		CASE(a_reader_that_is_too_slow_loses_lines_and_is_told),
		CASE(a_decided_call_is_told_at_its_end),
		CASE(a_decided_call_is_told_where_no_file_is),
		CASE(decided_calls_are_counted_with_their_results),
		CASE(errors_of_decided_calls_alone),
		CASE(the_guests_end_is_said),
		CASE(drivers_are_named_as_modules_are),
		CASE(there_is_a_most),
		CASE(sites_are_the_drivers_symbols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
