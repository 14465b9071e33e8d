// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what the host believes of a driver that hides, is removed, or whose name another module
 * has, in a guest kernel whose list and tables are made up (lying_kernel.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/vmm/lying_kernel.h"
#include "vmm/session/operation.h"
#include "vmm/session/presence.h"

/* Places in the arena; modules are linked in the order of their places. */
#define MODULE	  0x1000U
#define OTHER	  0x2000U
#define TEXT	  0x3000U
#define ELSEWHERE 0x5000U
#define TEXT_LEN  0x800U
#define SIZE_LEN  0x1000U

enum member { LIST, MODULE_NAME = 3, BASE, SIZE, TEXT_SIZE };
enum variable { MODULES };

#define FUZZ 0x7a7a7566 /* "fuzz" */
#define BUZZ 0x7a7a7562

static struct lying_kernel guest;
static struct session session = { .name = (char[]){ "a" } };
static struct driver driver;
static unsigned n_dead, n_sent;

/* The guest has no gate: what would be told to it is counted. */
void __wrap_gate_exports_dead(struct gate *g, unsigned caller);
void __wrap_gate_exports_dead(struct gate *g, unsigned caller)
{
	(void)g;
	(void)caller;
	n_dead++;
}

int __wrap_gate_command(struct gate *g, const struct gate_command *c, gate_done_fn *done,
			void *arg);
int __wrap_gate_command(struct gate *g, const struct gate_command *c, gate_done_fn *done, void *arg)
{
	(void)g;
	(void)c;
	(void)done;
	(void)arg;
	n_sent++;
	return -ENOTCONN;
}

static void step(u8 what, unsigned which, u32 at, u32 value)
{
	const struct lying_step x = { what, (u8)which, (u16)(at / 4), value };

	lying_kernel_step(&guest, &x);
}

/* Makes a module whose place is 0, as nothing else has been written there. */
static void put_module(u32 at, u32 name)
{
	step(2, MODULE_NAME, at, name);
	step(2, SIZE, at, SIZE_LEN);
	step(2, TEXT_SIZE, at, TEXT_LEN);
}

static void put_layout(u32 at, u32 name, u32 base)
{
	put_module(at, name);
	step(3, BASE, at, base);
}

/* Makes the list: nothing, @MODULE, or @MODULE and @OTHER. */
static void put_list(u32 first, u32 second)
{
	if (!first) {
		step(4 | 16, MODULES, 0, MODULES);
		/* a head that is empty points to itself, not to a member */
		memcpy(guest.symbols[MODULES], &guest.symbol_vas[MODULES], 8);
		return;
	}
	step(4, MODULES, 0, first);
	if (second)
		step(3 | 32, LIST, first, second);
	step(3 | 16, LIST, second ? second : first, MODULES);
}

static void unmap(u32 at)
{
	step(5, LYING_PTE, at / 4096 * 4, 0);
}

static enum driver_state looked(void)
{
	driver_look(&guest.s, &driver);
	return driver.state;
}

/* Starts anew: the driver is loaded, at TEXT, and in the list. */
static int put_driver(void **state)
{
	(void)state;
	if (!guest.m)
		return 0;
	lying_kernel_reset(&guest);
	put_layout(MODULE, FUZZ, TEXT);
	put_list(MODULE, 0);
	driver = (struct driver){ .session = &session,
				  .name = (char[]){ "fuzz" },
				  .guest_name = "fuzz",
				  .state = DRIVER_LOADED,
				  .in_guest = true };
	session.drivers = &driver;
	session.ops = NULL;
	session.ops_tail = &session.ops;
	n_dead = n_sent = 0;
	driver_remember_place(&guest.s, &driver);
	assert_true(driver.base == LYING_VA + TEXT);
	return 0;
}

static void a_driver_hides_and_comes_back(void **state)
{
	(void)state;
	if (!guest.m)
		skip();
	assert_int_equal(looked(), DRIVER_LOADED);
	put_list(0, 0);
	assert_int_equal(looked(), DRIVER_HIDDEN);
	put_list(MODULE, 0);
	assert_int_equal(looked(), DRIVER_LOADED);
	assert_int_equal(n_dead, 0);
}

/* Its name says nothing: its code is still there. */
static void a_hidden_driver_whose_name_is_taken_is_hidden(void **state)
{
	(void)state;
	if (!guest.m)
		skip();
	put_layout(OTHER, FUZZ, ELSEWHERE);
	put_list(OTHER, 0);
	assert_int_equal(looked(), DRIVER_HIDDEN);
	unmap(TEXT);
	assert_int_equal(looked(), DRIVER_REMOVED);
	assert_int_equal(n_dead, 1);
}

/* As one that hides in its init: a module with its name is not it, whenever that comes. */
static void a_driver_of_unknown_place_is_hidden(void **state)
{
	(void)state;
	if (!guest.m)
		skip();
	driver.base = 0;
	put_list(0, 0);
	driver_remember_place(&guest.s, &driver);
	assert_int_equal(driver.base, 0);
	assert_int_equal(looked(), DRIVER_HIDDEN);
	put_layout(OTHER, FUZZ, ELSEWHERE);
	put_list(OTHER, 0);
	assert_int_equal(looked(), DRIVER_HIDDEN);
}

/* A module without a place is nowhere: neither where the driver is, nor where it was. */
static void no_place_is_no_drivers_place(void **state)
{
	(void)state;
	if (!guest.m)
		skip();
	put_module(OTHER, FUZZ);
	put_list(OTHER, 0);
	assert_int_equal(looked(), DRIVER_HIDDEN);
	/* It was in its init that the driver hid: where it is has never been seen. */
	driver.state = DRIVER_LOADED;
	driver.base = 0;
	driver_remember_place(&guest.s, &driver);
	assert_int_equal(driver.base, 0);
	assert_int_equal(looked(), DRIVER_HIDDEN);
}

/* What lies at its place by now, text or data, is another module's. */
static void a_driver_whose_place_is_taken_is_removed(void **state)
{
	static const u32 bases[] = { TEXT - TEXT_LEN / 2, TEXT - TEXT_LEN - 8 };

	if (!guest.m)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		put_driver(state);
		put_layout(OTHER, BUZZ, bases[i]);
		put_list(OTHER, 0);
		assert_int_equal(looked(), DRIVER_REMOVED);
	}
}

/* Something that is no module may lie there later. */
static void removed_is_for_good(void **state)
{
	(void)state;
	if (!guest.m)
		skip();
	put_list(0, 0);
	unmap(TEXT);
	assert_int_equal(looked(), DRIVER_REMOVED);
	step(5, LYING_PTE, TEXT / 4096 * 4, (u32)LYING_ARENA + TEXT + LYING_PRESENT);
	assert_int_equal(looked(), DRIVER_REMOVED);
	put_list(MODULE, 0);
	assert_int_equal(looked(), DRIVER_REMOVED);
	assert_int_equal(n_dead, 1);
}

static int n_told, told;

static void unloaded(void *arg, int ret, const char *text)
{
	(void)arg;
	(void)text;
	n_told++;
	told = ret;
}

/* An unload whose turn comes late looks again, before it names a module to the guest. */
static void another_module_is_not_unloaded(void **state)
{
	(void)state;
	if (!guest.m)
		skip();
	driver.steps = 7;
	n_told = 0;
	put_layout(OTHER, FUZZ, ELSEWHERE);
	put_list(OTHER, 0);
	assert_int_equal(driver_unload(&guest.s, &driver, unloaded, NULL), 0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told, -ENOENT);
	assert_int_equal(n_sent, 0);
	assert_int_equal(driver.state, DRIVER_HIDDEN);
	assert_int_equal(driver.steps, 7); /* it keeps all that it has */
}

static int open_guest(void **state)
{
	(void)state;
	if (lying_kernel_open(&guest))
		guest.s.list = &session;
	return 0;
}

static int close_guest(void **state)
{
	(void)state;
	if (guest.m)
		lying_kernel_close(&guest);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_driver_hides_and_comes_back, put_driver),
		cmocka_unit_test_setup(a_hidden_driver_whose_name_is_taken_is_hidden, put_driver),
		cmocka_unit_test_setup(a_driver_of_unknown_place_is_hidden, put_driver),
		cmocka_unit_test_setup(no_place_is_no_drivers_place, put_driver),
		cmocka_unit_test_setup(a_driver_whose_place_is_taken_is_removed, put_driver),
		cmocka_unit_test_setup(removed_is_for_good, put_driver),
		cmocka_unit_test_setup(another_module_is_not_unloaded, put_driver),
	};

	return cmocka_run_group_tests(tests, open_guest, close_guest);
}
