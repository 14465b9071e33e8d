// SPDX-License-Identifier: GPL-2.0-only
/* Tests in which slots of the bus functions lie, those that are asked for among them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/pci.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_wish_the_first_free_slot_is_taken, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_kept_slot_waits_for_who_asks_for_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_slot_that_is_taken_or_absent_is_refused, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
