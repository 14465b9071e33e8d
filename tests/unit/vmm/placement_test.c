// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that inward entries are led to a driver's functions when the guest's loader has placed it,
 * all or none, and that a guest kernel that lies about the place (lying_kernel.h) gets nothing led.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <elf.h>
#include <errno.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/little_endian.h"
#include "tests/unit/shadow/images.h"
#include "tests/unit/vmm/lying_kernel.h"
#include "vmm/session/driver.h"
#include "vmm/session/guest_module.h"

/* Places in the arena. */
#define MODULE	 0x1000U
#define OTHER	 0x2000U
#define TEXT	 0x4000U
#define TEXT_LEN 0x1000U
#define INIT	 0x6000U
#define INIT_LEN 0x800U
#define KALLSYMS 0x7000U
#define SYMBOLS	 0x8000U
#define ENTRIES	 0x20000U /* the driver's own range: nothing is read there */

#define N_FUNCTIONS 3

static struct lying_kernel guest;
static struct session session = { .name = (char[]){ "a" } };
static struct driver driver;
static u8 page[4096];
static u8 *pages[] = { page };
static struct inward_entry functions[N_FUNCTIONS];
static struct module *module;
static u32 n_symbols;

static u32 member(const char *strct, const char *name)
{
	u32 off, size;

	assert_int_equal(kernel_member(guest.k, strct, name, &off, &size), 0);
	return off;
}

static void put(u32 at, u64 value, size_t len)
{
	assert_true(at <= LYING_SIZE - len);
	memcpy(guest.arena + at, &value, len);
}

static void put_part(u32 at, const char *part, u64 base, u32 len)
{
	const u32 layout = member("module", part);

	put(at + layout + member("module_layout", "base"), base, 8);
	put(at + layout + member("module_layout", "size"), len, 4);
	put(at + layout + member("module_layout", "text_size"), len, 4);
}

static void put_module(u32 at, const char *name)
{
	memcpy(guest.arena + at + member("module", "name"), name, strlen(name) + 1);
	put_part(at, "core_layout", LYING_VA + TEXT, TEXT_LEN);
	put_part(at, "init_layout", LYING_VA + INIT, INIT_LEN);
	put(at + member("module", "kallsyms"), LYING_VA + KALLSYMS, 8);
}

/* Makes the kernel's list of the one module; 0: of none. */
static void put_list(u32 at)
{
	const u32 list = member("module", "list");
	u64 head = guest.symbol_vas[0], first = at ? LYING_VA + at + list : head;

	memcpy(guest.symbols[0], &first, sizeof(first));
	if (at)
		put(at + list, head, 8);
}

static void put_symbol(u32 index, u64 value)
{
	put(SYMBOLS + index * (u32)sizeof(Elf64_Sym) + (u32)offsetof(Elf64_Sym, st_value), value,
	    8);
}

static int put_driver(void **state)
{
	struct err e = { "" };

	(void)state;
	if (!guest.m)
		return 0;
	lying_kernel_reset(&guest);
	put_module(MODULE, "a__d");
	put_list(MODULE);
	put(KALLSYMS + member("mod_kallsyms", "symtab"), LYING_VA + SYMBOLS, 8);
	put(KALLSYMS + member("mod_kallsyms", "num_symtab"), n_symbols, 4);
	functions[0] = (struct inward_entry){ .symbol = "open", .index = 1 };
	functions[1] = (struct inward_entry){ .symbol = "probe", .index = 5 };
	functions[2] = (struct inward_entry){ .symbol = "close", .index = 8 };
	put_symbol(1, LYING_VA + TEXT);
	put_symbol(5, LYING_VA + INIT + INIT_LEN - 1);
	put_symbol(8, LYING_VA + TEXT + TEXT_LEN - 1);
	driver = (struct driver){ .session = &session,
				  .name = (char[]){ "d" },
				  .path = (char[]){ "d.ko" },
				  .guest_name = "a__d",
				  .module = module,
				  .inward = functions,
				  .n_inward = N_FUNCTIONS,
				  .own = { .va = LYING_VA + ENTRIES, .n = 1, .hva = pages } };
	for (size_t i = 0; i < N_FUNCTIONS; i++) {
		const struct own_entry en = inward_own_entry(&driver, i);

		gate_inward_entry(&en);
	}
	assert_int_equal(inward_await(&guest.s, &driver, &e), 0);
	return 0;
}

static int forget_driver(void **state)
{
	(void)state;
	placement_free(driver.placement);
	driver.placement = NULL;
	assert_null(guest.s.placements);
	return 0;
}

/* The wait for the module ends while its list is walked, and perhaps another begins. */
static bool ends_meanwhile, begins_anew;
static unsigned walks;

int __real_guest_module_find(struct sessions *s, const char *name, struct guest_module *out,
			     struct err *e);
int __wrap_guest_module_find(struct sessions *s, const char *name, struct guest_module *out,
			     struct err *e);

int __wrap_guest_module_find(struct sessions *s, const char *name, struct guest_module *out,
			     struct err *e)
{
	char why[PLACEMENT_WHY_MAX];

	walks++;
	/* The event loop waits for nothing that a guest can make long. */
	assert_int_equal(pthread_mutex_trylock(&s->placements_lock), 0);
	pthread_mutex_unlock(&s->placements_lock);
	if (ends_meanwhile) {
		assert_int_equal(placement_end(driver.placement, why), NOT_TOLD);
		placement_free(driver.placement);
		driver.placement = NULL;
	}
	if (begins_anew)
		assert_int_equal(inward_await(s, &driver, e), 0);
	return __real_guest_module_find(s, name, out, e);
}

/* Follows entry @i as a processor does. */
static u64 leads_to(size_t i)
{
	const u64 va = inward_entry_va(&driver, i);
	const u8 *p = page + (va - driver.own.va);

	assert_int_equal((va + 1) % 4, 0); /* one cache line holds the word that is swapped */
	assert_int_equal(p[0], 0xe9);
	return va + 5 + (u64)(s64)(s32)load_u32(p + 1);
}

static void expect_traps(void)
{
	for (size_t i = 0; i < N_FUNCTIONS; i++) {
		u64 to = leads_to(i);

		assert_int_equal(page[to - driver.own.va], 0xcc);
		assert_int_equal(to / UMBRA_OWN_ENTRY,
				 inward_entry_va(&driver, i) / UMBRA_OWN_ENTRY);
	}
}

static s64 comes(u32 at)
{
	return placement_on_module(&guest.s, LYING_VA + at);
}

/* Expects that the module is refused for @reason, and that nothing is led. */
static void expect_refused(int error, const char *reason)
{
	char why[PLACEMENT_WHY_MAX];

	assert_int_equal(comes(MODULE), error);
	expect_traps();
	assert_int_equal(inward_settle(&driver, why), NOT_PLACED);
	if (!strstr(why, reason))
		fail_msg("%s", why);
	assert_int_equal(functions[0].target, 0);
}

#define NEED_KERNEL()           \
	do {                    \
		if (!guest.m)   \
			skip(); \
	} while (0)

static void each_entry_leads_to_its_function(void **state)
{
	char why[PLACEMENT_WHY_MAX];

	(void)state;
	NEED_KERNEL();
	expect_traps();
	assert_int_equal(comes(MODULE), 0);
	assert_true(leads_to(0) == LYING_VA + TEXT);
	assert_true(leads_to(1) == LYING_VA + INIT + INIT_LEN - 1);
	assert_true(leads_to(2) == LYING_VA + TEXT + TEXT_LEN - 1);
	assert_int_equal(inward_settle(&driver, why), PLACED);
	assert_true(functions[2].target == LYING_VA + TEXT + TEXT_LEN - 1);
	/* nobody awaits it any more */
	put_symbol(1, LYING_VA + TEXT + 16);
	assert_int_equal(comes(MODULE), 0);
	assert_true(leads_to(0) == LYING_VA + TEXT);
}

static void other_modules_are_nobodys_business(void **state)
{
	char why[PLACEMENT_WHY_MAX];

	(void)state;
	NEED_KERNEL();
	put_module(OTHER, "a__de");
	assert_int_equal(comes(OTHER), 0);
	assert_int_equal(placement_on_module(&guest.s, 0), 0);
	assert_int_equal(placement_on_module(&guest.s, UINT64_MAX), 0);
	assert_int_equal(comes(LYING_SIZE - 8), 0);
	expect_traps();
	assert_int_equal(inward_settle(&driver, why), NOT_TOLD);
}

static void a_module_is_placed_once(void **state)
{
	(void)state;
	NEED_KERNEL();
	assert_int_equal(comes(MODULE), 0);
	put_symbol(1, LYING_VA + TEXT + 16);
	assert_int_equal(comes(MODULE), -EEXIST);
	assert_true(leads_to(0) == LYING_VA + TEXT);
}

/* What is not awaited any more, or by another, is led nowhere. */
static void a_wait_that_ends_meanwhile_leads_nothing(void **state)
{
	(void)state;
	NEED_KERNEL();
	walks = 0;
	ends_meanwhile = begins_anew = true;
	assert_int_equal(comes(MODULE), -ENOENT);
	begins_anew = false;
	assert_int_equal(comes(MODULE), -ENOENT);
	ends_meanwhile = false;
	assert_int_equal(walks, 2);
	expect_traps();
	/* nobody awaits it any more */
	assert_int_equal(comes(MODULE), 0);
	assert_int_equal(walks, 2);
}

/* Anybody in the guest's kernel can ring, with the address of anything. */
static void what_is_not_in_the_kernels_list_is_refused(void **state)
{
	(void)state;
	NEED_KERNEL();
	put_module(OTHER, "a__d");
	assert_int_equal(comes(OTHER), -EINVAL);
	expect_traps();
	/* and that takes nothing from the driver's own */
	assert_int_equal(comes(MODULE), 0);
	assert_true(leads_to(0) == LYING_VA + TEXT);
	forget_driver(state);
	put_driver(state);
	put_list(0);
	expect_refused(-ENOENT, "no module a__d");
}

static void a_table_that_is_not_the_drivers_is_refused(void **state)
{
	static const u32 counts[] = { 0, 1, UINT32_MAX };

	(void)state;
	NEED_KERNEL();
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		forget_driver(state);
		put_driver(state);
		put(KALLSYMS + member("mod_kallsyms", "num_symtab"), counts[i], 4);
		expect_refused(-EINVAL, "symbols");
	}
}

static void a_table_that_cannot_be_read_is_refused(void **state)
{
	static const u64 wild[] = { 0, UINT64_MAX, UINT64_MAX - 100, LYING_VA + LYING_SIZE - 4 };

	(void)state;
	NEED_KERNEL();
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		forget_driver(state);
		put_driver(state);
		put(KALLSYMS + member("mod_kallsyms", "symtab"), wild[i], 8);
		expect_refused(-EFAULT, "cannot read");
		put_driver(state);
		put(MODULE + member("module", "kallsyms"), wild[i], 8);
		expect_refused(-EFAULT, "cannot read");
	}
}

static void a_function_outside_of_its_module_is_refused(void **state)
{
	static const u64 wild[] = { 0, UINT64_MAX, LYING_VA + TEXT + TEXT_LEN, LYING_VA + TEXT - 1,
				    LYING_VA + INIT - 1 };

	(void)state;
	NEED_KERNEL();
	for (size_t i = 0; i < ARRAY_SIZE(wild); i++) {
		forget_driver(state);
		put_driver(state);
		put_symbol(8, wild[i]); /* the last one: those before it would fit */
		expect_refused(-ERANGE, "close() at");
	}
}

/* A module lies in module space, whatever its struct says. */
static void a_module_elsewhere_is_refused(void **state)
{
	static const u64 bases[] = { 0, 0x1000, 0xffffffff81000000ULL, LINK_MODULES_END - 8 };

	(void)state;
	NEED_KERNEL();
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		forget_driver(state);
		put_driver(state);
		put_part(MODULE, "core_layout", bases[i], TEXT_LEN);
		put_symbol(1, bases[i]);
		put_symbol(8, bases[i]);
		expect_refused(-ERANGE, "open() at");
	}
}

static int open_guest(void **state)
{
	struct err e = { "" };
	char path[512];

	(void)state;
	if (!lying_kernel_open(&guest))
		return 0;
	if (module_open(&module,
			image_path(path, sizeof(path), "cloud", "modules/kernel/mm/zsmalloc.ko"),
			&e))
		fail_msg("%s", e.text);
	n_symbols = module_symbol_count(module);
	assert_true(n_symbols > 9);
	return 0;
}

static int close_guest(void **state)
{
	(void)state;
	if (!guest.m)
		return 0;
	module_close(module);
	lying_kernel_close(&guest);
	return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, put_driver, forget_driver)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_entry_leads_to_its_function),
		CASE(other_modules_are_nobodys_business),
		CASE(a_module_is_placed_once),
		CASE(a_wait_that_ends_meanwhile_leads_nothing),
		CASE(what_is_not_in_the_kernels_list_is_refused),
		CASE(a_table_that_is_not_the_drivers_is_refused),
		CASE(a_table_that_cannot_be_read_is_refused),
		CASE(a_function_outside_of_its_module_is_refused),
		CASE(a_module_elsewhere_is_refused),
	};

	return cmocka_run_group_tests(tests, open_guest, close_guest);
}
