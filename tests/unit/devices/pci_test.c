// SPDX-License-Identifier: GPL-2.0-only
/* Tests where functions lie, in slots of bus 0 and behind root ports, and what ports pass on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/pci_regs.h>

#include "devices/pci.h"
#include "devices/pci_port.h"
#include "tests/unit/devices/fake_host.h"

static const struct pci_id some_id = { .vendor = 0x1af4, .device = 0x1041, .class = 0x020000 };

static struct fake_host *host;

static int setup(void **state)
{
	struct pci_bus *bus;

	host = fake_host_alloc(sizeof(*host));
	assert_non_null(host);
	assert_int_equal(pci_bus_create(&bus, &host->host, FAKE_WINDOW, FAKE_WIN_END), 0);
	*state = bus;
	return 0;
}

static int teardown(void **state)
{
	pci_bus_destroy(*state);
	free(host);
	return 0;
}

static unsigned slot_of_new(struct pci_bus *bus, unsigned want)
{
	struct pci_dev *d;

	assert_int_equal(pci_dev_create_at(&d, bus, want, &some_id, NULL, NULL), 0);
	return pci_dev_slot(d);
}

static void without_a_wish_the_first_free_slot_is_taken(void **state)
{
	for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
		assert_int_equal(slot_of_new(*state, PCI_SLOT_ANY), slot);
}

static void a_kept_slot_waits_for_who_asks_for_it(void **state)
{
	pci_bus_keep_slots(*state, 1U << 1 | 1U << 3 | 1U << 31);
	assert_int_equal(slot_of_new(*state, PCI_SLOT_ANY), 2);
	assert_int_equal(slot_of_new(*state, PCI_SLOT_ANY), 4);
	assert_int_equal(slot_of_new(*state, 3), 3);
	assert_int_equal(slot_of_new(*state, 31), 31);
	assert_int_equal(slot_of_new(*state, PCI_SLOT_ANY), 5);
	assert_int_equal(slot_of_new(*state, 1), 1);
}

static void a_slot_that_is_taken_or_absent_is_refused(void **state)
{
	struct pci_dev *d;

	assert_int_equal(slot_of_new(*state, 7), 7);
	assert_int_equal(pci_dev_create_at(&d, *state, 7, &some_id, NULL, NULL), -EBUSY);
	assert_int_equal(pci_dev_create_at(&d, *state, PCI_SLOTS, &some_id, NULL, NULL), -EINVAL);
	/* One that is kept may be asked for, but is none of the free ones. */
	pci_bus_keep_slots(*state, ~0U);
	assert_int_equal(pci_dev_create(&d, *state, &some_id, NULL, NULL), -ENOSPC);
}

/* --- root ports ------------------------------------------------------------------------------ */

#define PORTS_WINDOW 0xe0200000ULL
#define PORTS_END    0xe0a00000ULL
#define PORTS_ECAM   PORTS_END
#define BUSES	     4
#define BAR_SIZE     0x4000U

/* A device behind a port, or on bus 0: its BAR reads as @mark. */
struct thing {
	struct pci_dev *d;
	u32 mark;
	u64 at;
	int resets;
};

struct tree {
	struct pci_bus *bus, *behind[2];
	struct thing things[3]; /* behind the two ports, on bus 0 */
};

static void thing_bar(void *arg, unsigned bar, u64 offset, void *data, unsigned len, bool write)
{
	const struct thing *t = arg;

	(void)bar;
	(void)offset;
	if (!write && len == 4)
		memcpy(data, &t->mark, 4);
}

static void thing_moved(void *arg, unsigned bar, u64 gpa)
{
	struct thing *t = arg;

	(void)bar;
	t->at = gpa;
}

static void thing_reset(void *arg)
{
	struct thing *t = arg;

	t->resets++;
}

static const struct pci_ops thing_ops = {
	.bar = thing_bar,
	.bar_moved = thing_moved,
	.reset = thing_reset,
};

static void thing_add(struct thing *t, struct pci_bus *bus, u32 mark)
{
	t->mark = mark;
	assert_int_equal(pci_dev_create(&t->d, bus, &some_id, &thing_ops, t), 0);
	assert_int_equal(pci_dev_add_bar(t->d, 0, BAR_SIZE), 0);
	pci_dev_ready(t->d);
}

/* Makes two ports, functions 0 and 1 of slot 2, each with a device behind it, and one beside. */
static int setup_tree(void **state)
{
	static struct tree t;

	t = (struct tree){ .bus = NULL };
	host = fake_host_alloc(sizeof(*host));
	assert_non_null(host);
	assert_int_equal(pci_bus_create(&t.bus, &host->host, PORTS_WINDOW, PORTS_END), 0);
	assert_int_equal(pci_bus_map_ecam(t.bus, PORTS_ECAM, BUSES), 0);
	for (unsigned i = 0; i < 2; i++) {
		const struct pci_port_config c = { 2, i, (u8)(16 + i), (u16)(i + 1) };

		assert_int_equal(pci_port_create(&t.behind[i], t.bus, &c), 0);
		thing_add(&t.things[i], t.behind[i], 0xa0 + i);
	}
	thing_add(&t.things[2], t.bus, 0xa2);
	*state = &t;
	return 0;
}

static int teardown_tree(void **state)
{
	const struct tree *t = *state;

	pci_bus_destroy(t->bus);
	free(host);
	return 0;
}

/* Reads by the ports and by memory, which have to agree as far as memory reaches. */
static u32 config_of(unsigned bus, unsigned slot, unsigned fn, unsigned reg, unsigned len)
{
	u32 v;

	fake_out(host, 0xcf8, 0x80000000U | bus << 16 | slot << 11 | fn << 8 | (reg & 0xfc), 4);
	v = fake_in(host, (u16)(0xcfc + (reg & 3)), len);
	if (bus < BUSES)
		assert_int_equal(
			(u32)fake_read(host, PORTS_ECAM + (bus << 20 | slot << 15 | fn << 12 | reg),
				       len),
			v);
	return v;
}

static void set_config(unsigned bus, unsigned slot, unsigned fn, unsigned reg, u32 value,
		       unsigned len)
{
	fake_out(host, 0xcf8, 0x80000000U | bus << 16 | slot << 11 | fn << 8 | (reg & 0xfc), 4);
	fake_out(host, (u16)(0xcfc + (reg & 3)), value, len);
}

#define PORT(i)		     2, (i)
#define ABSENT		     0xffffffff
#define FUNCTION_ID	     0x10411af4
#define WINDOW_OF(base, end) ((u32)(base) >> 16 | ((u32)(end)&0xfff00000))

/* Returns where the capability is; 0: there is none. */
static unsigned find_capability(unsigned bus, unsigned slot, unsigned fn, u8 id)
{
	unsigned at = config_of(bus, slot, fn, PCI_CAPABILITY_LIST, 1);

	while (at && config_of(bus, slot, fn, at, 1) != id)
		at = config_of(bus, slot, fn, at + 1, 1);
	return at;
}

static void a_port_is_a_bridge_of_pci_express(void **state)
{
	unsigned cap;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(config_of(0, PORT(i), 0, 4), 0x000c1b36);
		assert_int_equal(config_of(0, PORT(i), PCI_CLASS_DEVICE, 2), 0x0604);
		assert_int_equal(config_of(0, PORT(i), PCI_HEADER_TYPE, 1), 0x81);
		assert_int_equal(config_of(0, PORT(i), PCI_PRIMARY_BUS, 4) & 0xffffff,
				 (i + 1) << 16 | (i + 1) << 8);
		assert_int_equal(config_of(0, PORT(i), PCI_INTERRUPT_PIN, 1), 0);
		cap = find_capability(0, PORT(i), PCI_CAP_ID_EXP);
		assert_true(cap);
		/* version 2, root port, with a slot, in which there is something */
		assert_int_equal(config_of(0, PORT(i), cap + PCI_EXP_FLAGS, 2), 0x142);
		assert_int_equal(config_of(0, PORT(i), cap + PCI_EXP_LNKCAP + 3, 1), 16 + i);
		assert_int_equal(config_of(0, PORT(i), cap + PCI_EXP_SLTCAP, 4), (i + 1) << 19);
		assert_true(config_of(0, PORT(i), cap + PCI_EXP_SLTSTA, 2) & PCI_EXP_SLTSTA_PDS);
		/* windows that it does not have cannot be made */
		for (unsigned reg = PCI_IO_BASE; reg < PCI_CAPABILITY_LIST; reg += 4) {
			if (reg == PCI_MEMORY_BASE)
				continue;
			set_config(0, PORT(i), reg, 0xffffffff, 4);
			assert_int_equal(config_of(0, PORT(i), reg, 4), 0);
		}
	}
	/* The host bridge and a function of its own have no such things. */
	assert_int_equal(config_of(0, 0, 0, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(config_of(0, 1, 0, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(find_capability(0, 1, 0, PCI_CAP_ID_EXP), 0);
}

static void a_device_is_on_the_bus_behind_its_port(void **state)
{
	struct tree *t = *state;
	struct pci_place p = pci_dev_place(t->things[1].d);
	unsigned cap;

	assert_true(p.behind && p.slot == 2 && p.function == 1);
	p = pci_dev_place(t->things[2].d);
	assert_true(!p.behind && p.slot == 1 && !p.function);
	for (unsigned i = 0; i < 2; i++) {
		const struct thing *d = &t->things[i];

		assert_int_equal(config_of(i + 1, 0, 0, 0, 4), FUNCTION_ID);
		cap = find_capability(i + 1, 0, 0, PCI_CAP_ID_EXP);
		assert_true(cap);
		assert_int_equal(config_of(i + 1, 0, 0, cap + PCI_EXP_FLAGS, 2), 2);
		/* nothing beside it */
		assert_int_equal(config_of(i + 1, 1, 0, 0, 4), ABSENT);
		assert_int_equal(config_of(i + 1, 0, 1, 0, 4), ABSENT);
		/* in the port's window, which is its own */
		assert_int_equal(config_of(0, PORT(i), PCI_MEMORY_BASE, 4),
				 WINDOW_OF(PORTS_WINDOW + (i << 20), PORTS_WINDOW + (i << 20)));
		assert_int_equal(d->at, PORTS_WINDOW + (i << 20));
		assert_int_equal(fake_read(host, d->at, 4), d->mark);
	}
	assert_int_equal(t->things[2].at, PORTS_WINDOW + (2 << 20));
	assert_int_equal(config_of(3, 0, 0, 0, 4), ABSENT);
	assert_int_equal(config_of(255, 0, 0, 0, 4), ABSENT);
	/* one function behind a port; its extended space is absent */
	assert_int_equal(pci_dev_create(&t->things[0].d, t->behind[0], &some_id, NULL, NULL),
			 -ENOSPC);
	assert_int_equal(fake_read(host, PORTS_ECAM + (1 << 20) + 0x100, 4), ABSENT);
	assert_int_equal(fake_read(host, PORTS_ECAM + (BUSES << 20) - 4, 4), ABSENT);
}

/* The numbers are the guest's: any, those that make no sense among them. */
static void bus_numbers_lead_where_they_say(void **state)
{
	(void)state;
	/* exchanged */
	set_config(0, PORT(0), PCI_PRIMARY_BUS, 0x020200, 4);
	set_config(0, PORT(1), PCI_PRIMARY_BUS, 0x010100, 4);
	set_config(2, 0, 0, PCI_INTERRUPT_LINE, 0x11, 1);
	assert_int_equal(config_of(1, 0, 0, PCI_INTERRUPT_LINE, 1), 0);
	assert_int_equal(config_of(2, 0, 0, PCI_INTERRUPT_LINE, 1), 0x11);
	/* above what memory reaches */
	set_config(0, PORT(0), PCI_PRIMARY_BUS, 0xfffe00, 4);
	assert_int_equal(config_of(0xfe, 0, 0, PCI_INTERRUPT_LINE, 1), 0x11);
	assert_int_equal(config_of(0xff, 0, 0, 0, 4), ABSENT);
	assert_int_equal(config_of(2, 0, 0, 0, 4), ABSENT);
	/* both the same: the first port has it, and nobody the other device */
	set_config(0, PORT(0), PCI_PRIMARY_BUS, 0x010100, 4);
	assert_int_equal(config_of(1, 0, 0, PCI_INTERRUPT_LINE, 1), 0x11);
	/* a loop: bus 0 is never behind a port, and keeps its functions */
	set_config(0, PORT(0), PCI_PRIMARY_BUS, 0xff0000, 4);
	set_config(0, PORT(1), PCI_PRIMARY_BUS, 0xff0000, 4);
	assert_int_equal(config_of(0, PORT(1), 0, 4), 0x000c1b36);
	for (unsigned bus = 1; bus < 256; bus++)
		assert_int_equal(config_of(bus, 0, 0, 0, 4), ABSENT);
	/* a range that ends before it begins */
	set_config(0, PORT(0), PCI_PRIMARY_BUS, 0x020300, 4);
	assert_int_equal(config_of(3, 0, 0, 0, 4), ABSENT);
	assert_int_equal(config_of(2, 0, 0, 0, 4), ABSENT);
}

static bool is_decoded(const struct thing *t, u64 at)
{
	return t->at == at && (u32)fake_read(host, at, 4) == t->mark;
}

static void a_bar_is_decoded_inside_of_the_window_only(void **state)
{
	struct thing *d = &((struct tree *)*state)->things[0];
	const u64 home = d->at, far = PORTS_WINDOW + 0x500000;

	/* the BAR leaves the window, the window follows */
	set_config(1, 0, 0, PCI_BASE_ADDRESS_0, (u32)far, 4);
	assert_int_equal(d->at, 0);
	assert_int_equal(fake_read(host, home, 4), ABSENT);
	set_config(0, PORT(0), PCI_MEMORY_BASE, WINDOW_OF(far, far), 4);
	assert_true(is_decoded(d, far));
	/* one register of it after the other */
	set_config(0, PORT(0), PCI_MEMORY_BASE, (u32)(far + 0x100000) >> 16, 2);
	assert_int_equal(d->at, 0);
	set_config(0, PORT(0), PCI_MEMORY_BASE, 0, 2);
	assert_true(is_decoded(d, far));
	set_config(0, PORT(0), PCI_MEMORY_LIMIT, (u32)(far - 0x100000) >> 16, 2);
	assert_int_equal(d->at, 0);
	set_config(0, PORT(0), PCI_MEMORY_LIMIT, 0xffff, 2);
	assert_true(is_decoded(d, far));
	/* neither command register may be without memory */
	set_config(0, PORT(0), PCI_COMMAND, 0, 2);
	assert_int_equal(d->at, 0);
	set_config(0, PORT(0), PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(is_decoded(d, far));
	set_config(1, 0, 0, PCI_COMMAND, 0, 2);
	assert_int_equal(d->at, 0);
	set_config(1, 0, 0, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(is_decoded(d, far));
}

/* A window may say all of memory: what is decoded is what a BAR may on bus 0. */
static void a_window_opens_nothing_that_is_not_for_devices(void **state)
{
	struct tree *t = *state;
	struct thing *d = &t->things[0];
	static const u32 bad[] = { 0,	       0x1000,	   0x10000,    0xc0000000,
				   0xdfffc000, 0xfec00000, 0xfee00000, 0xffffc000 };

	set_config(0, PORT(0), PCI_MEMORY_BASE, 0xfff00000, 4);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		set_config(1, 0, 0, PCI_BASE_ADDRESS_0, bad[i], 4);
		assert_int_equal(d->at, 0);
	}
	/* nor over another device, or over configuration space */
	set_config(1, 0, 0, PCI_BASE_ADDRESS_0, (u32)t->things[2].at, 4);
	assert_int_equal(d->at, 0);
	assert_true(is_decoded(&t->things[2], t->things[2].at));
	set_config(1, 0, 0, PCI_BASE_ADDRESS_0, PORTS_ECAM, 4);
	assert_int_equal(d->at, 0);
	set_config(1, 0, 0, PCI_BASE_ADDRESS_0, PORTS_WINDOW + 0x600000, 4);
	assert_true(is_decoded(d, PORTS_WINDOW + 0x600000));
}

/* A kernel that moves BARs of 32 bits does not switch them off meanwhile. */
static void two_bars_may_change_places(void **state)
{
	struct tree *t = *state;
	static struct thing other;
	struct thing *one = &t->things[2];
	u64 a, b;

	thing_add(&other, t->bus, 0xa3);
	a = one->at;
	b = other.at;
	assert_true(a && b && a != b);
	set_config(0, pci_dev_slot(one->d), 0, PCI_BASE_ADDRESS_0, (u32)b, 4);
	assert_int_equal(one->at, 0);
	assert_int_equal((u32)fake_read(host, b, 4), 0xa3);
	set_config(0, pci_dev_slot(other.d), 0, PCI_BASE_ADDRESS_0, (u32)a, 4);
	assert_int_equal(other.at, a);
	assert_int_equal(one->at, b);
	assert_int_equal((u32)fake_read(host, a, 4), 0xa3);
	assert_int_equal((u32)fake_read(host, b, 4), 0xa2);
	/* So it is with one that a port lets go. */
	set_config(0, pci_dev_slot(other.d), 0, PCI_BASE_ADDRESS_0, (u32)t->things[0].at, 4);
	assert_int_equal(other.at, 0);
	a = t->things[0].at;
	set_config(0, PORT(0), PCI_COMMAND, 0, 2);
	assert_int_equal(other.at, a);
	assert_int_equal((u32)fake_read(host, a, 4), 0xa3);
}

static void the_secondary_bus_reset_resets_what_is_behind(void **state)
{
	struct tree *t = *state;

	set_config(1, 0, 0, PCI_INTERRUPT_LINE, 0x11, 1);
	set_config(0, PORT(0), PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET, 2);
	set_config(0, PORT(0), PCI_BRIDGE_CONTROL, 0, 2);
	assert_int_equal(t->things[0].resets, 1);
	assert_int_equal(t->things[1].resets + t->things[2].resets, 0);
	assert_int_equal(t->things[0].at, 0);
	assert_int_equal(config_of(1, 0, 0, PCI_COMMAND, 2), 0);
	assert_int_equal(config_of(1, 0, 0, PCI_BASE_ADDRESS_0, 4), 0);
	assert_int_equal(config_of(1, 0, 0, PCI_INTERRUPT_LINE, 1), 0);
	/* The port itself is not behind it, and its guest restores what it had. */
	assert_int_equal(config_of(0, PORT(0), PCI_SECONDARY_BUS, 1), 1);
	set_config(1, 0, 0, PCI_BASE_ADDRESS_0, (u32)PORTS_WINDOW, 4);
	set_config(1, 0, 0, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(is_decoded(&t->things[0], PORTS_WINDOW));
}

static void after_a_reset_all_is_as_it_was_created(void **state)
{
	struct tree *t = *state;
	u8 before[3][64];

	for (unsigned i = 0; i < 64; i++)
		for (unsigned f = 0; f < 3; f++)
			before[f][i] = (u8)(f < 2 ? config_of(0, PORT(f), i, 1)
						  : config_of(1, 0, 0, i, 1));
	/* The two devices change places, and so do their windows and buses. */
	for (unsigned i = 0; i < 2; i++)
		set_config(0, PORT(i), PCI_MEMORY_BASE, 0xfff00000, 4);
	set_config(1, 0, 0, PCI_BASE_ADDRESS_0, (u32)PORTS_WINDOW + 0x80000, 4);
	set_config(2, 0, 0, PCI_BASE_ADDRESS_0, (u32)PORTS_WINDOW, 4);
	set_config(1, 0, 0, PCI_BASE_ADDRESS_0, (u32)PORTS_WINDOW + (1 << 20), 4);
	set_config(0, PORT(0), PCI_PRIMARY_BUS, 0x020202, 4);
	set_config(0, PORT(1), PCI_PRIMARY_BUS, 0x010101, 4);
	assert_true(is_decoded(&t->things[0], PORTS_WINDOW + (1 << 20)));
	assert_true(is_decoded(&t->things[1], PORTS_WINDOW));
	pci_bus_reset(t->bus);
	for (unsigned i = 0; i < 64; i++)
		for (unsigned f = 0; f < 3; f++)
			assert_int_equal(before[f][i], f < 2 ? config_of(0, PORT(f), i, 1)
							     : config_of(1, 0, 0, i, 1));
	assert_true(is_decoded(&t->things[0], PORTS_WINDOW));
	assert_true(is_decoded(&t->things[1], PORTS_WINDOW + (1 << 20)));
	assert_true(is_decoded(&t->things[2], PORTS_WINDOW + (2 << 20)));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(t->things[i].resets, 1);
}

static void a_port_that_cannot_be_is_refused(void **state)
{
	static const struct pci_port_config bad[] = {
		{ 0, 0, 0, 0 }, { 32, 0, 0, 0 }, { 3, 8, 0, 0 }, { 3, 0, 0, 0x2000 }
	};
	struct tree *t = *state;
	struct pci_bus *behind;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(pci_port_create(&behind, t->bus, &bad[i]), -EINVAL);
	assert_int_equal(pci_port_create(&behind, t->bus, &(struct pci_port_config){ 2, 1, 0, 0 }),
			 -EBUSY);
	/* 8 MiB of window, 3 of them taken; a slot with functions is not free */
	for (unsigned i = 0; i < 5; i++) {
		const struct pci_port_config c = { 3, i, 0, 0 };

		assert_int_equal(pci_port_create(&behind, t->bus, &c), 0);
	}
	assert_int_equal(pci_port_create(&behind, t->bus, &(struct pci_port_config){ 4, 0, 0, 0 }),
			 -ENOSPC);
	assert_int_equal(slot_of_new(t->bus, PCI_SLOT_ANY), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_wish_the_first_free_slot_is_taken, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_kept_slot_waits_for_who_asks_for_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_slot_that_is_taken_or_absent_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_port_is_a_bridge_of_pci_express, setup_tree,
						teardown_tree),
		cmocka_unit_test_setup_teardown(a_device_is_on_the_bus_behind_its_port, setup_tree,
						teardown_tree),
		cmocka_unit_test_setup_teardown(bus_numbers_lead_where_they_say, setup_tree,
						teardown_tree),
		cmocka_unit_test_setup_teardown(a_bar_is_decoded_inside_of_the_window_only,
						setup_tree, teardown_tree),
		cmocka_unit_test_setup_teardown(a_window_opens_nothing_that_is_not_for_devices,
						setup_tree, teardown_tree),
		cmocka_unit_test_setup_teardown(two_bars_may_change_places, setup_tree,
						teardown_tree),
		cmocka_unit_test_setup_teardown(the_secondary_bus_reset_resets_what_is_behind,
						setup_tree, teardown_tree),
		cmocka_unit_test_setup_teardown(after_a_reset_all_is_as_it_was_created, setup_tree,
						teardown_tree),
		cmocka_unit_test_setup_teardown(a_port_that_cannot_be_is_refused, setup_tree,
						teardown_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
