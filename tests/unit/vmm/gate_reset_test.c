// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that a reset leaves nothing of the kernel that was at the gate, and that the gate is as new
 * for the next one. The guest's side is written by hand into a machine that does not run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/catalog.h"
#include "shadow/kernel/kernel.h"
#include "vmm/gate/gate_int.h"
#include "vmm/machine/machine.h"

#define GATE_VA 0xffffffffc0000000ULL

struct fixture {
	struct machine *m;
	struct kernel *k;
	struct record *rec;
	struct gate *g;
};

static int setup(void **state)
{
	const struct machine_config c = { .memory = 16 << 20, .cpus = 1 };
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = { "" };
	char path[512];

	snprintf(path, sizeof(path), "%s/cloud/vmlinuz", getenv("UMBRA_TEST_IMAGES"));
	if (machine_create(&f->m, &c, &e) || kernel_open(&f->k, path, true, &e) ||
	    kernel_load_symbols(f->k, &e) || record_create(&f->rec, NULL, &e) ||
	    gate_create(&f->g, f->m, f->k, 0, f->rec, &e)) {
		print_message("%s\n", e.text);
		return -1;
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gate_destroy(f->g);
	record_close(f->rec, NULL);
	kernel_close(f->k);
	machine_destroy(f->m);
	free(f);
	return 0;
}

static void must_not_be_called(void *arg, s64 result, u64 value)
{
	(void)arg;
	(void)result;
	(void)value;
	fail();
}

static void hello_came(void *arg)
{
	(void)arg;
}

static bool all_bytes_are(const void *at, size_t len, u8 byte)
{
	const u8 *b = at;

	for (size_t i = 0; i < len; i++)
		if (b[i] != byte)
			return false;
	return true;
}

/* Uses all of the gate as sessions and a guest do. */
static void use_gate(struct gate *g, u64 *page)
{
	const struct gate_export ex = { "name", "name.u1" };
	struct gate_command c = { .cmd = UMBRA_CMD_IS_UP, .name = "word" };
	int caller;
	u8 *hva;

	gate_set_hello_hook(g, hello_came, NULL);
	atomic_store(&g->gate_va, GATE_VA);
	caller = gate_caller_add(g, NULL, "a", "driver");
	assert_int_equal(caller, 1);
	assert_int_equal(gate_exports_add(g, 1, &ex, 1), 0);
	gate_exports_live(g, 1);
	assert_int_equal(gate_page_alloc(g, page, &hva), 0);
	memset(hva, 0x90, 4096);
	/* One is in the guest's hands, the other waits. */
	assert_int_equal(gate_command(g, &c, must_not_be_called, NULL), 0);
	assert_int_equal(gate_command(g, &c, must_not_be_called, NULL), 0);
	assert_int_equal(g->mailbox->seq, 1);
	assert_true(g->full);
	memset(g->frames, 1, 4096);
	memset(g->answers, 1, 4096);
	memcpy(g->arena, "a name", sizeof("a name"));
	assert_int_equal(gate_mailbox_gone(g), 0);
}

static void nothing_is_left_after_a_reset(void **state)
{
	struct fixture *f = *state;
	struct umbra_info *before = malloc(sizeof(*before));
	u8 *code = malloc(UMBRA_GATE_SIZE);
	u64 first, second;
	struct err e;

	memcpy(before, f->g->info, sizeof(*before));
	memcpy(code, f->g->page, UMBRA_GATE_SIZE);
	for (int i = 0; i < 3; i++) {
		use_gate(f->g, i ? &second : &first);
		if (i)
			assert_int_equal(first, second);
		f->g->page[0] ^= 1; /* as the hello patches it */
		assert_int_equal(gate_reset(f->g, &e), 0);
		assert_false(gate_alive(f->g));
		assert_int_equal(gate_caller_calls(f->g, 1), 0);
		assert_null(f->g->callers[1]);
		assert_true(all_bytes_are(f->g->frames, UMBRA_FRAMES_SIZE, 0));
		assert_true(all_bytes_are(f->g->answers, UMBRA_FRAMES_SIZE, 0));
		assert_true(all_bytes_are(f->g->arena, UMBRA_ARENA_SIZE, 0));
		assert_true(all_bytes_are(f->g->mailbox, 65536, 0));
		assert_int_equal(gate_restart(f->g, f->k, 0, &e), 0);
		assert_memory_equal(f->g->info, before, sizeof(*before));
		assert_memory_equal(f->g->page, code, UMBRA_GATE_SIZE);
		assert_true(all_bytes_are(f->g->pages, 4096, 0xcc));
		/* The agent of the next kernel is not gone. */
		gate_mailbox_event(f->g, 0);
	}
	free(before);
	free(code);
}

/* Another place: what the shim reads moves along. */
static void the_next_kernel_may_lie_elsewhere(void **state)
{
	struct fixture *f = *state;
	u64 at = f->g->info->syms[UMBRA_SYM_INIT_MM];
	struct err e;

	assert_int_equal(gate_reset(f->g, &e), 0);
	assert_int_equal(gate_restart(f->g, f->k, 2 << 20, &e), 0);
	assert_int_equal(f->g->info->syms[UMBRA_SYM_INIT_MM], at + (2 << 20));
}

/* A function that is not as its row has it is told by the difference. */
static void what_does_not_fit_is_told(void **state)
{
	static const struct {
		struct catalog_fn fn;
		const char *why;
	} rows[] = {
		{ { .name = "filp_open", .args = 2 },
		  "it takes 3 arguments in this kernel, 2 were expected" },
		{ { .name = "filp_open", .args = 3, .form = NAME_FORMAT },
		  "it takes no more arguments in this kernel" },
		{ { .name = "__request_module", .args = 2 },
		  "it takes more arguments in this kernel" },
		{ { .name = "misc_register", .args = 1, .strct = "miscdevice", .member = "nom" },
		  "there is no struct miscdevice with a member nom" },
		{ { .name = "misc_register",
		    .args = 1,
		    .strct = "miscdevice",
		    .member = "name",
		    .origin = { "minor", "major" } },
		  "there is no struct miscdevice with a member major" },
	};
	struct fixture *f = *state;
	const struct catalog_fn *all;
	struct err e;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_true(gate_fits(f->k, &rows[i].fn, &e) < 0);
		assert_string_equal(e.text, rows[i].why);
	}
	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(gate_fits(f->k, &all[i], &e), 0);
	assert_int_equal(gate_fits(f->k, &(struct catalog_fn){ .name = "no_such" }, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_left_after_a_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_kernel_may_lie_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(what_does_not_fit_is_told, setup, teardown),
	};

	if (!getenv("UMBRA_TEST_IMAGES")) {
		print_message("SKIP no kernel in UMBRA_TEST_IMAGES\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
