// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a driver's own entries: each leads to its function or to the gate, by the policy in force,
 * and is turned by another policy while they are there; what cannot be turned refuses the policy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/little_endian.h"
#include "guest-shim/gate_blob.h"
#include "tests/unit/shadow/images.h"
#include "tests/unit/vmm/gate_fixture.h"
#include "vmm/session/driver.h"
#include "vmm/session/policy_reload.h"
#include "vmm/session/unmatched.h"

#define KASLR	 0x2000000ULL
#define GATE_VA	 0xffffffffc0100000ULL
#define RANGE	 0xffffffffc0200000ULL
#define N_OTHERS 400 /* on three pages, with the others */
#define N_PAGES	 (UMBRA_PAGES_SIZE / 4096)

/* The entries that a test looks at come first; the rest are functions like any other. */
enum { OPEN, REGISTER, DEREGISTER, ALLOC, PRINTK, OTHERS };

static struct kernel *kernel;
static struct gate gate;
static struct sessions sessions;
static struct driver driver;
static struct session session = { .name = (char[]){ "s" }, .drivers = &driver };
static char driver_name[] = "d", driver_path[] = "d.ko", record_path[32];
static struct driver_entry entries[OTHERS + N_OTHERS], direct;

static struct driver_entry entry_of(const char *symbol)
{
	const struct kernel_export *ex = kernel_export(kernel, symbol);

	assert_non_null(ex);
	return (struct driver_entry){ .symbol = symbol,
				      .fn = catalog_find(symbol),
				      .addr = ex->addr };
}

static int reload(const char *session_text, struct err *e)
{
	char text[300];

	snprintf(text, sizeof(text), "version = 1; sessions = { s = { %s }; };", session_text);
	return policy_reload(&sessions, "new.policy", text, strlen(text), e);
}

static void reload_well(const char *session_text)
{
	struct err e = { "" };

	if (reload(session_text, &e))
		fail_msg("%s", e.text);
}

static int make_driver(void **state)
{
	struct err e = { "" };

	(void)state;
	entries[OPEN] = entry_of("filp_open");
	entries[REGISTER] = entry_of("misc_register");
	entries[DEREGISTER] = entry_of("misc_deregister");
	entries[ALLOC] = entry_of("alloc_netdev_mqs");
	entries[PRINTK] = entry_of("_printk");
	for (size_t i = OTHERS; i < ARRAY_SIZE(entries); i++)
		entries[i] = (struct driver_entry){ .symbol = "f",
						    .addr = entries[PRINTK].addr + 64 * i };
	direct = (struct driver_entry){ .symbol = "g", .addr = 0xffffffff81000000ULL };
	driver = (struct driver){ .name = driver_name,
				  .path = driver_path,
				  .session = &session,
				  .state = DRIVER_LOADED,
				  .layout = LAYOUT_DENSE,
				  .entries = entries,
				  .n_entries = ARRAY_SIZE(entries),
				  .direct = &direct,
				  .n_direct = 1 };
	if (policy_parse(&sessions.policy, "p", "version = 1; sessions = { s = { }; };", &e))
		fail_msg("%s", e.text);
	session.policy = policy_session(sessions.policy, "s");
	memset(gate.page_used, 0, N_PAGES);
	gate.page_used[0] = 1;
	gate.page_hint = 1;
	snprintf(record_path, sizeof(record_path), "/tmp/umbra-unit-%d", getpid());
	record_close(gate.rec, NULL);
	if (record_create(&gate.rec, record_path, &e))
		fail_msg("%s", e.text);
	driver.caller = (unsigned)gate_caller_add(&gate, session.policy, "s", "d");
	assert_int_equal(own_pages_needed(&driver), 3);
	assert_int_equal(own_pages_take_range(&driver, RANGE, &e), 0);
	if (own_pages_fill(&sessions, &driver, &e))
		fail_msg("%s", e.text);
	return 0;
}

static int free_driver(void **state)
{
	(void)state;
	unlink(record_path);
	own_pages_free(&sessions, &driver, true);
	gate_caller_remove(&gate, driver.caller);
	policy_free(sessions.policy);
	free(sessions.policy_path);
	sessions.policy = NULL;
	sessions.policy_path = NULL;
	return 0;
}

/* Returns the bytes that the guest sees at @va in the driver's pages. */
static const u8 *seen_at(u64 va)
{
	const struct umbra_map *map = &driver.own.maps[(va - RANGE) / 4096];

	assert_true(va >= RANGE && va < RANGE + driver.own.n * 4096ULL);
	assert_int_equal(map->va, va & ~4095ULL);
	return gate.pages + (map->gpa - UMBRA_PAGES_GPA) + va % 4096;
}

static u64 jump_target(u64 va)
{
	const u8 *p = seen_at(va);

	assert_int_equal(p[0], 0xe9);
	return va + 5 + (u64)(s64)(s32)load_u32(p + 1);
}

static u64 way; /* where in the gate page the last call that was followed came to */

/* Follows a call of entry @i as a processor does; returns the id that the gate gets, 0: none. */
static u32 id_at_gate(size_t i)
{
	u64 va = driver_entry_va(&driver, i), to = jump_target(va);
	const u8 *gate_half;

	/* one cache line holds the word that is swapped */
	assert_int_equal((va + 1) % 4, 0);
	if (to == entries[i].addr + KASLR)
		return 0;
	gate_half = seen_at(to);
	assert_memory_equal(gate_half, "\x3e\x41\xbb", 3);
	assert_int_equal((to + 8) % 4, 0);
	way = jump_target(to + 7);
	return load_u32(gate_half + 3);
}

static u64 gate_place(const char *place)
{
	return GATE_VA + (u64)(place - umbra_gate_blob);
}

static void expect_gate(size_t i)
{
	assert_int_equal(id_at_gate(i), UMBRA_ID(driver.caller, (u32)catalog_index(entries[i].fn)));
	assert_true(way == gate_place(umbra_gate_common));
}

static void each_entry_leads_where_the_policy_says(void **state)
{
	(void)state;
	expect_gate(OPEN);
	expect_gate(REGISTER);
	expect_gate(DEREGISTER);
	for (size_t i = ALLOC; i < ARRAY_SIZE(entries); i++)
		assert_int_equal(id_at_gate(i), 0);
	assert_int_equal(driver_critical(&driver), 3);
}

static void all_between_the_entries_traps(void **state)
{
	size_t traps = 0;

	(void)state;
	for (u64 va = RANGE; va < RANGE + driver.own.n * 4096ULL; va++)
		traps += *seen_at(va) == 0xcc;
	/* a jump of 5 bytes each, and four gate entries of 12; a displacement may have the byte */
	assert_true(traps >= driver.own.n * 4096ULL - ARRAY_SIZE(entries) * 5 - 4 * 12);
}

static void a_policy_turns_the_entries_both_ways(void **state)
{
	(void)state;
	reload_well("critical = { except = [ \"filp_open\" ]; };");
	assert_int_equal(id_at_gate(OPEN), 0);
	expect_gate(REGISTER);
	reload_well("");
	expect_gate(OPEN);
	reload_well("critical = { only = [ \"filp_open\", \"filp_close\" ]; };");
	assert_int_equal(id_at_gate(REGISTER), 0);
	/* the ledger may have what it undoes */
	expect_gate(DEREGISTER);
	assert_int_equal(driver_critical(&driver), 1);
}

static void any_import_can_become_seen(void **state)
{
	const struct seen_fn *fn;
	const struct umbra_fn *d;
	u32 id;

	(void)state;
	reload_well("trace = [ \"alloc_*\", \"_printk\", \"f\" ];");
	id = id_at_gate(ALLOC);
	fn = gate_seen_of(&gate, id);
	assert_non_null(fn);
	assert_string_equal(fn->row.name, "alloc_netdev_mqs");
	assert_int_equal(UMBRA_ID_CALLER(id), driver.caller);
	d = &gate.info->fns[UMBRA_ID_FN(id)];
	assert_true(d->real == entries[ALLOC].addr + KASLR);
	assert_int_equal(d->how, UMBRA_HOW_SEE);
	assert_int_equal(d->texts, 1 << 1);
	/* a function with any number of arguments, and one without a type, stay as they are */
	for (size_t i = PRINTK; i < ARRAY_SIZE(entries); i++)
		assert_int_equal(id_at_gate(i), 0);
	assert_int_equal(driver_critical(&driver), 3);
	assert_int_equal(driver_seen(&driver), 4);
	reload_well("critical = { except = [ \"filp_open\" ]; }; trace = [ \"filp_*\" ];");
	expect_gate(OPEN);
	assert_int_equal(id_at_gate(ALLOC), 0);
}

/* A function that this kernel has otherwise than the catalogue is seen as any other. */
static void what_the_catalogue_does_not_fit_is_seen(void **state)
{
	struct catalog_fn odd = *catalog_find("filp_open");
	const struct seen_fn *fn;
	struct err e = { "" };

	(void)state;
	reload_well("critical = { except = [ \"filp_open\" ]; }; trace = [ \"filp_open\" ];");
	odd.args++;
	entries[OPEN].fn = &odd;
	own_pages_free(&sessions, &driver, true);
	if (own_pages_fill(&sessions, &driver, &e))
		fail_msg("%s", e.text);
	fn = gate_seen_of(&gate, id_at_gate(OPEN));
	assert_non_null(fn);
	assert_string_equal(fn->row.name, "filp_open");
}

/* Returns the last line of the record, "" if there is none. */
static const char *last_line(void)
{
	static char text[8192];
	size_t n;
	FILE *f = fopen(record_path, "r");
	char *end;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	if (!n)
		return "";
	text[n - 1] = '\0'; /* the last newline */
	end = strrchr(text, '\n');
	return end ? end + 1 : text;
}

static void expect_line(const char *part)
{
	if (!strstr(last_line(), part))
		fail_msg("no %s in %s", part, last_line());
}

static void a_seen_call_is_recorded_with_its_result(void **state)
{
	struct umbra_frame *f = &gate.frames[7];
	u64 id;

	(void)state;
	reload_well("trace = [ \"alloc_*\" ];");
	id = id_at_gate(ALLOC);
	f->args[0] = 8;
	f->old = 12345;
	f->used = 6;
	f->pid = 9;
	memcpy(f->data, "eth%d", 6);
	f->text[1] = (struct umbra_str){ 0, 6 };
	assert_int_equal(gate_seen(&gate, 0, 7, id, 0xff00), 0);
	expect_line("\"function\":\"alloc_netdev_mqs\",\"vcpu\":0,\"pid\":9");
	expect_line("\"call\":\"sizeof_priv=8, name=\\\"eth%d\\\", name_assign_type=0, setup=NULL, "
		    "txqs=0, rxqs=0\",\"result\":\"(struct net_device *)0xff00\","
		    "\"duration_ns\":12345}");
	expect_line("\"verdict\":\"pass\",\"error\":null,\"rule\":\"trace[0] at new.policy:1\"");
	/* texts that are not in the frame */
	f->text[1] = (struct umbra_str){ 2, 5 };
	assert_int_equal(gate_seen(&gate, 0, 7, id, 0), 0);
	expect_line("sizeof_priv=8, name=NULL, ");
	f->text[1] = (struct umbra_str){ UINT32_MAX, UINT32_MAX };
	f->used = UINT32_MAX;
	assert_int_equal(gate_seen(&gate, 0, 7, id, 0), 0);
	expect_line("sizeof_priv=8, name=NULL, ");
	memset(f, 0, sizeof(*f));
}

/* It was over by then: the driver was refused nothing. */
static void a_seen_call_without_a_line_is_no_refusal(void **state)
{
	struct rlimit before, none;
	char refusal[GATE_REFUSAL_MAX];
	u64 id;

	(void)state;
	reload_well("trace = [ \"alloc_*\" ];");
	id = id_at_gate(ALLOC);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(gate_seen(&gate, 0, 0, id, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_string_equal(last_line(), "");
	gate_caller_refusal(&gate, driver.caller, refusal);
	assert_string_equal(refusal, "");
}

/* Plans @d, a driver of the kernel's as its distributor built it, in the session's place. */
static int plan_stock(struct driver *d, const char *file, struct err *e)
{
	char path[512];
	int ret;

	session.drivers = d;
	ret = module_open(&d->module, image_path(path, sizeof(path), "cloud", file), e);
	return ret ? ret : driver_plan(&sessions, d, true, e);
}

static void drop_stock(struct driver *d)
{
	session.drivers = &driver;
	driver_unplan(d);
	module_close(d->module);
	free(d->entries);
	free(d->inward);
	free(d->direct);
	free(d->permits);
}

/* Nothing leads to the gate yet; what will is known by the types of the functions. */
static void a_driver_without_pages_will_be_seen(void **state)
{
	struct driver d = { .path = (char[]){ "brd.ko" }, .session = &session };
	struct err e = { "" };

	(void)state;
	reload_well("trace = [ \"*\" ];");
	if (plan_stock(&d, "modules/kernel/drivers/block/brd.ko", &e))
		fail_msg("%s", e.text);
	assert_true(d.n_entries > 20);
	assert_true(driver_seen(&d) > driver_critical(&d) && driver_seen(&d) < d.n_entries);
	reload_well("trace = [ \"no_such_function\" ];");
	assert_int_equal(driver_seen(&d), driver_critical(&d));
	drop_stock(&d);
}

static void what_is_not_seen_is_not_recorded(void **state)
{
	u64 id;

	(void)state;
	reload_well("trace = [ \"alloc_*\" ];");
	id = id_at_gate(ALLOC);
	/* a call that was on its way when the policy changed */
	reload_well("");
	assert_int_equal(gate_seen(&gate, 0, 0, id, 0), 0);
	assert_string_equal(last_line(), "");
	assert_int_equal(gate_seen(&gate, 0, UMBRA_FRAMES, id, 0), -EINVAL);
	assert_int_equal(gate_seen(&gate, 0, 0, id + 1, 0), -EINVAL);
	assert_int_equal(gate_seen(&gate, 0, 0, id | 1ULL << 32, 0), -EINVAL);
	/* one that is decided, and one of nobody */
	assert_int_equal(gate_seen(&gate, 0, 0, UMBRA_ID(driver.caller, 0), 0), -EINVAL);
	assert_int_equal(gate_seen(&gate, 0, 0, UMBRA_ID(4000, UMBRA_ID_FN(id)), 0), -EINVAL);
	assert_int_equal(gate_call(&gate, 0, 0, id), -EINVAL);
	assert_int_equal(gate_result(&gate, 0, id, 0, (u64[2]){ 0 }), -EINVAL);
}

static u64 closed_va(const char *stub)
{
	return GATE_VA + (u64)(stub - umbra_gate_blob);
}

static u64 entry_leads_to(size_t i)
{
	return jump_target(driver_entry_va(&driver, i));
}

static void a_closed_driver_is_refused_as_each_function_says(void **state)
{
	(void)state;
	driver_close(&sessions, &driver, true);
	assert_true(entry_leads_to(OPEN) == closed_va(umbra_gate_refuse));
	assert_true(entry_leads_to(REGISTER) == closed_va(umbra_gate_refuse));
	/* it undoes */
	expect_gate(DEREGISTER);
	/* nobody says how they are refused */
	for (size_t i = ALLOC; i < ARRAY_SIZE(entries); i++)
		assert_int_equal(id_at_gate(i), 0);
	/* a policy does not open it */
	reload_well("critical = { except = [ \"filp_open\" ]; };");
	assert_true(entry_leads_to(OPEN) == closed_va(umbra_gate_refuse));
	driver_close(&sessions, &driver, false);
	assert_int_equal(id_at_gate(OPEN), 0);
	expect_gate(REGISTER);
}

/* Rows of each kind of refusal. */
static void a_row_says_how_it_is_closed(void **state)
{
	const struct catalog_fn *all;
	struct driver_entry e = { .symbol = "f" };
	struct driver d = { .entries = &e, .n_entries = 1 };
	size_t n, closes[2] = { 0, 0 }, stays = 0;

	(void)state;
	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		enum gate_closed how;

		e.fn = &all[i];
		if (!entry_closes(&d, 0, &how)) {
			assert_true(all[i].undoes || all[i].clears ||
				    all[i].how == CARRY_OUT_INIT_DEVICE ||
				    all[i].how == CARRY_OUT_INIT_KOBJECT ||
				    all[i].refusal == REFUSE_NEVER ||
				    all[i].refusal == REFUSE_CREDS);
			stays++;
			continue;
		}
		assert_false(all[i].undoes);
		assert_string_not_equal(all[i].name, "device_register");
		assert_string_not_equal(all[i].name, "kobject_init_and_add");
		assert_true((how == GATE_REFUSES) ==
			    (all[i].refusal == REFUSE_ERRNO || all[i].refusal == REFUSE_ERR_PTR));
		closes[how]++;
	}
	assert_true(closes[GATE_REFUSES] > 0 && closes[GATE_NOTHING] > 0 && stays > 0);
}

static void inward_entries_close_by_what_the_function_returns(void **state)
{
	enum { INT, VOID, POINTER, ENUM, UNTYPED, EXIT, FUNCTIONS };
	struct inward_entry functions[FUNCTIONS] = {
		[INT] = { .symbol = "probe", .result = RESULT_INT },
		[VOID] = { .symbol = "work", .result = RESULT_VOID },
		[POINTER] = { .symbol = "lookup", .result = RESULT_POINTER },
		[ENUM] = { .symbol = "xmit", .result = RESULT_OTHER },
		[UNTYPED] = { .symbol = "f.isra.0", .result = RESULT_UNKNOWN },
		[EXIT] = { .symbol = "exit", .result = RESULT_VOID, .is_exit = true },
	};
	struct err e = { "" };

	(void)state;
	own_pages_free(&sessions, &driver, true);
	driver.inward = functions;
	driver.n_inward = FUNCTIONS;
	assert_int_equal(own_pages_needed(&driver), 4);
	assert_int_equal(own_pages_fill(&sessions, &driver, &e), 0);
	/* not placed yet: traps, closed or not */
	driver_close(&sessions, &driver, true);
	for (size_t i = 0; i < FUNCTIONS; i++)
		assert_int_equal(*seen_at(jump_target(inward_entry_va(&driver, i))), 0xcc);
	for (size_t i = 0; i < FUNCTIONS; i++)
		functions[i].target = 0xffffffffc0300000ULL + 16 * i;
	driver_close(&sessions, &driver, true);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		const u64 want = i == INT    ? closed_va(umbra_gate_refuse)
				 : i == VOID ? closed_va(umbra_gate_nothing)
					     : functions[i].target;

		assert_true(jump_target(inward_entry_va(&driver, i)) == want);
	}
	driver_close(&sessions, &driver, false);
	for (size_t i = 0; i < FUNCTIONS; i++)
		assert_true(jump_target(inward_entry_va(&driver, i)) == functions[i].target);
	own_pages_free(&sessions, &driver, true);
	assert_int_equal(functions[INT].target, 0);
	driver.inward = NULL;
	driver.n_inward = 0;
	assert_int_equal(own_pages_fill(&sessions, &driver, &e), 0);
}

/* Follows a call of the kernel's by inward entry @i; returns the id that the gate gets, 0: none. */
static u32 id_inward(size_t i)
{
	const u64 common = GATE_VA + (u64)(umbra_gate_common - umbra_gate_blob);
	u64 va = inward_entry_va(&driver, i), to = jump_target(va);
	const u8 *half;

	if (to == driver.inward[i].target)
		return 0;
	assert_true(to == va + 5);
	half = seen_at(to);
	assert_memory_equal(half, "\x3e\x41\xbb", 3);
	assert_true(jump_target(to + 7) == common);
	return load_u32(half + 3);
}

static void put_inward(struct inward_entry *functions, size_t n)
{
	struct err e = { "" };

	own_pages_free(&sessions, &driver, true);
	driver.inward = functions;
	driver.n_inward = n;
	if (own_pages_fill(&sessions, &driver, &e))
		fail_msg("%s", e.text);
	for (size_t i = 0; i < n; i++)
		functions[i].target = 0xffffffffc0300000ULL + 16 * i;
	own_pages_turn(&sessions, &driver);
}

static void drop_inward(void)
{
	struct err e = { "" };

	own_pages_free(&sessions, &driver, true);
	driver.inward = NULL;
	driver.n_inward = 0;
	assert_int_equal(own_pages_fill(&sessions, &driver, &e), 0);
}

static char noted[2000];

static void keep_note(void *arg, const char *line)
{
	size_t len = strlen(noted);

	(void)arg;
	snprintf(noted + len, sizeof(noted) - len, "%s\n", line);
}

/* A line by which nothing is seen is told of once for each policy. */
static void lines_that_no_function_is_like_are_noted(void **state)
{
	struct inward_entry functions[] = {
		{ .symbol = "xy_probe", .args = 1, .result = RESULT_INT },
		{ .symbol = "xy_many", .args = 7, .result = RESULT_INT },
	};
	const struct note_sink sink = { .line = keep_note };

	(void)state;
	put_inward(functions, ARRAY_SIZE(functions));
	noted[0] = '\0';
	reload_well("trace = [ \"misc_*\", \"nosuch_*\" ]; witness = [ \"no_witness\" ];"
		    "trace_inward = [ \"xy_p*\", \"xy_m*\" ];");
	session_note_unmatched(&sink, &session);
	assert_string_equal(
		noted, "witness[0] at new.policy:1: no function that the drivers of session s "
		       "import and that can be seen is like \"no_witness\"\n"
		       "trace[1] at new.policy:1: no function that the drivers of session s import "
		       "and that can be seen is like \"nosuch_*\"\n"
		       "trace_inward[1] at new.policy:1: no function that the drivers of session s "
		       "hand out and that can be watched is like \"xy_m*\"\n");
	noted[0] = '\0';
	session_note_unmatched(&sink, &session);
	assert_string_equal(noted, "");
	reload_well("layout = \"same\"; trace = [ \"nosuch_*\" ];");
	session_note_unmatched(&sink, &session);
	assert_string_equal(noted, "");
	reload_well("");
	drop_inward();
}

static void calls_by_the_kernel_are_told(void **state)
{
	struct inward_entry functions[] = {
		{ .symbol = "xy_probe", .args = 1, .result = RESULT_INT },
		{ .symbol = "xy_work", .args = 6, .result = RESULT_VOID },
		{ .symbol = "xy_many", .args = 7, .result = RESULT_INT },
		{ .symbol = "xy_odd", .args = KERNEL_ARGS_UNKNOWN, .result = RESULT_UNKNOWN },
	};
	struct watched_call call = { .result = 0xffffffed, .ns = 12345, .arg = 0xff00, .pid = 7 };
	const struct umbra_fn *d;
	u64 id;

	(void)state;
	put_inward(functions, ARRAY_SIZE(functions));
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		assert_int_equal(id_inward(i), 0);
	reload_well("trace_inward = [ \"xy_*\" ];");
	id = call.id = id_inward(0);
	assert_true(id_inward(1) && id_inward(1) != id);
	assert_int_equal(UMBRA_ID_CALLER(id), driver.caller);
	/* what cannot be called on with six registers stays as it is */
	assert_int_equal(id_inward(2), 0);
	assert_int_equal(id_inward(3), 0);
	assert_int_equal(driver_watched(&driver), 2);
	d = &gate.info->fns[UMBRA_ID_FN(id)];
	assert_true(d->real == functions[0].target);
	assert_int_equal(d->how, UMBRA_HOW_WATCH);
	assert_int_equal(gate_watched(&gate, 3, &call), 0);
	expect_line("\"function\":\"xy_probe\",\"vcpu\":3,\"pid\":7");
	expect_line("\"call\":\"0xff00\",\"result\":\"-19\",\"duration_ns\":12345}");
	expect_line("\"rule\":\"trace_inward[0] at new.policy:1\"");
	call.id = id_inward(1);
	assert_int_equal(gate_watched(&gate, 0, &call), 0);
	expect_line("\"call\":\"0xff00, ...\",\"result\":\"\",");
	/* closed wins, and another policy ends it; the number stays */
	driver_close(&sessions, &driver, true);
	assert_true(jump_target(inward_entry_va(&driver, 0)) == closed_va(umbra_gate_refuse));
	driver_close(&sessions, &driver, false);
	assert_true(id_inward(0) == id);
	reload_well("");
	assert_int_equal(id_inward(0), 0);
	assert_int_equal(driver_watched(&driver), 0);
	reload_well("trace_inward = [ \"xy_probe\" ];");
	assert_true(id_inward(0) == id);
	drop_inward();
	assert_int_equal(d->real, 0);
}

/* The guest may ring with anything. */
static void forged_words_of_watched_calls_are_refused(void **state)
{
	struct inward_entry functions[] = { { .symbol = "xy_probe", .args = 1 } };
	struct watched_call call = { .result = 0 };
	u64 id;

	(void)state;
	call.id = UMBRA_ID(driver.caller, UMBRA_WATCHED_FIRST);
	assert_int_equal(gate_watched(&gate, 0, &call), -EINVAL);
	reload_well("trace_inward = [ \"*\" ];");
	put_inward(functions, 1);
	id = id_inward(0);
	call.id = id + 1;
	assert_int_equal(gate_watched(&gate, 0, &call), -EINVAL);
	call.id = id | 1ULL << 32;
	assert_int_equal(gate_watched(&gate, 0, &call), -EINVAL);
	/* functions that drivers call, and another caller's watched one */
	call.id = UMBRA_ID(driver.caller, 0);
	assert_int_equal(gate_watched(&gate, 0, &call), -EINVAL);
	call.id = UMBRA_ID((u32)gate_caller_add(&gate, session.policy, "s", "other"),
			   UMBRA_ID_FN(id));
	assert_int_equal(gate_watched(&gate, 0, &call), -EINVAL);
	gate_caller_remove(&gate, UMBRA_ID_CALLER(call.id));
	assert_string_equal(last_line(), "");
	/* of the others' operations it is none */
	assert_int_equal(gate_seen(&gate, 0, 0, id, 0), -EINVAL);
	assert_int_equal(gate_call(&gate, 0, 0, id), -EINVAL);
	/* a call that was on its way when the policy changed */
	reload_well("");
	call.id = id;
	assert_int_equal(gate_watched(&gate, 0, &call), 0);
	assert_string_equal(last_line(), "");
	drop_inward();
	assert_int_equal(gate_watched(&gate, 0, &call), -EINVAL);
}

static void more_than_can_be_watched_stay_open(void **state)
{
	static struct inward_entry functions[UMBRA_WATCHED_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		functions[i] = (struct inward_entry){ .symbol = "xy", .args = 0 };
	reload_well("trace_inward = [ \"xy\" ];");
	put_inward(functions, ARRAY_SIZE(functions));
	assert_int_equal(driver_watched(&driver), UMBRA_WATCHED_MAX);
	assert_true(id_inward(UMBRA_WATCHED_MAX - 1) != 0);
	assert_int_equal(id_inward(UMBRA_WATCHED_MAX), 0);
	assert_int_equal(id_inward(UMBRA_WATCHED_MAX + 1), 0);
	drop_inward();
	put_inward(functions, 1);
	assert_int_equal(UMBRA_ID_FN(id_inward(0)), UMBRA_WATCHED_FIRST);
	drop_inward();
}

static void expect_busy(const char *word)
{
	struct err e = { "" };

	assert_int_equal(reload("", &e), -EBUSY);
	if (!strstr(e.text, word) || !strstr(e.text, "filp_open() becomes critical"))
		fail_msg("%s", e.text);
	assert_int_equal(id_at_gate(OPEN), 0);
}

static void what_goes_around_an_entry_refuses_the_policy(void **state)
{
	struct driver_entry other;

	(void)state;
	reload_well("critical = { except = [ \"filp_open\" ]; };");
	entries[OPEN].address_taken = true;
	expect_busy("taken the function's address");
	entries[OPEN].address_taken = false;
	direct = (struct driver_entry){ .symbol = "filp_open", .addr = entries[OPEN].addr };
	expect_busy("linked to the kernel's own filp_open");
	direct.addr = 0;
	entries[OPEN].symbol = "other_name";
	entries[OPEN].fn = NULL;
	expect_busy("as other_name");
	entries[OPEN] = entry_of("filp_open");
	/* also if it calls it by both names, or has the symbol twice */
	reload_well("critical = { except = [ \"filp_open\" ]; };");
	other = entries[OTHERS];
	entries[OTHERS].addr = entries[OPEN].addr;
	expect_busy("as f");
	entries[OTHERS] = entry_of("filp_open");
	entries[OTHERS].address_taken = true;
	expect_busy("taken the function's address");
	entries[OTHERS] = other;
	reload_well("");
	expect_gate(OPEN);
}

/* What is not proved to be an ordinary function has no entry, and is called all the same. */
static void a_call_without_an_entry_refuses_the_policy(void **state)
{
	struct driver d = { .name = (char[]){ "dummy" },
			    .path = (char[]){ "dummy.ko" },
			    .session = &session };
	struct kernel_export *ex = (void *)(uintptr_t)kernel_export(kernel, "register_netdevice");
	struct err e = { "" };
	int ret;

	(void)state;
	reload_well("critical = { except = [ \"register_netdevice\" ]; };");
	ex->class = SYMBOL_SPECIAL;
	ret = plan_stock(&d, "modules/kernel/drivers/net/dummy.ko", &e);
	ex->class = SYMBOL_FUNCTION;
	if (ret)
		fail_msg("%s", e.text);
	ret = reload("", &e);
	drop_stock(&d);
	assert_int_equal(ret, -EBUSY);
	if (!strstr(e.text, "linked to the kernel's own register_netdevice"))
		fail_msg("%s", e.text);
}

static void pages_come_back_when_the_guest_has_let_go(void **state)
{
	size_t used = 0;
	struct err e = { "" };

	(void)state;
	own_pages_free(&sessions, &driver, true);
	for (size_t i = 1; i < N_PAGES; i++)
		used += gate.page_used[i];
	assert_int_equal(used, 0);
	assert_int_equal(own_pages_fill(&sessions, &driver, &e), 0);
	own_pages_free(&sessions, &driver, false);
	for (size_t i = 1; i < N_PAGES; i++)
		used += gate.page_used[i];
	assert_int_equal(used, 3);
}

static void what_cannot_be_reached_is_an_error(void **state)
{
	size_t used = 0;
	struct err e = { "" };

	(void)state;
	own_pages_free(&sessions, &driver, true);
	assert_int_equal(own_pages_take_range(&driver, RANGE + 1, &e), -ERANGE);
	assert_int_equal(own_pages_take_range(&driver, 0xffffffff80000000ULL, &e), -ERANGE);
	assert_int_equal(own_pages_take_range(&driver, LINK_MODULES_END - 4096, &e), -ERANGE);
	entries[OTHERS].addr = 1ULL << 32;
	assert_int_equal(own_pages_fill(&sessions, &driver, &e), -ERANGE);
	for (size_t i = 1; i < N_PAGES; i++)
		used += gate.page_used[i];
	assert_int_equal(used, 0);
}

static int open_kernel(void **state)
{
	(void)state;
	kernel = load_kernel("cloud");
	gate.page_used = calloc(N_PAGES, 1);
	gate.pages = mmap(NULL, UMBRA_PAGES_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!gate_fixture_make(&gate) || !gate.page_used || gate.pages == MAP_FAILED)
		return -1;
	gate.gate_va = GATE_VA;
	gate.see_va = gate.few_va = GATE_VA + 0x40000;
	gate.k = kernel;
	sessions.gate = &gate;
	sessions.k = kernel;
	sessions.kaslr = KASLR;
	sessions.list = &session;
	return 0;
}

static int close_kernel(void **state)
{
	(void)state;
	munmap(gate.pages, UMBRA_PAGES_SIZE);
	free(gate.page_used);
	gate_fixture_free(&gate);
	kernel_close(kernel);
	return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_driver, free_driver)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_entry_leads_where_the_policy_says),
		CASE(all_between_the_entries_traps),
		CASE(a_policy_turns_the_entries_both_ways),
		CASE(any_import_can_become_seen),
		CASE(a_seen_call_is_recorded_with_its_result),
		CASE(a_seen_call_without_a_line_is_no_refusal),
		CASE(a_driver_without_pages_will_be_seen),
		CASE(what_is_not_seen_is_not_recorded),
		CASE(what_the_catalogue_does_not_fit_is_seen),
		CASE(what_goes_around_an_entry_refuses_the_policy),
		CASE(a_call_without_an_entry_refuses_the_policy),
		CASE(a_closed_driver_is_refused_as_each_function_says),
		CASE(a_row_says_how_it_is_closed),
		CASE(inward_entries_close_by_what_the_function_returns),
		CASE(lines_that_no_function_is_like_are_noted),
		CASE(calls_by_the_kernel_are_told),
		CASE(forged_words_of_watched_calls_are_refused),
		CASE(more_than_can_be_watched_stay_open),
		CASE(pages_come_back_when_the_guest_has_let_go),
		CASE(what_cannot_be_reached_is_an_error),
	};

	need_images();
	return cmocka_run_group_tests(tests, open_kernel, close_kernel);
}
