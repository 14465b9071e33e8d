// SPDX-License-Identifier: GPL-2.0-only
/* Tests virtio-rng: random bytes, no more than asked for, and no more than the rate allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "devices/virtio_rng.h"
#include "tests/unit/devices/driver_fixture.h"

#define DATA 0x10000ULL

struct ctx {
	struct fake_host f;
	struct virtio_rng *r;
	struct fixture_driver d;
};

static int setup(void **state)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));

	assert_non_null(t);
	assert_int_equal(virtio_rng_create(&t->r), 0);
	assert_int_equal(virtio_create(&t->d.v, &t->f.host, virtio_rng_type(), t->r), 0);
	virtio_rng_attach(t->r, t->d.v);
	t->d.f = &t->f;
	driver_start(&t->d, 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	virtio_destroy(t->d.v);
	virtio_rng_destroy(t->r);
	free(t);
	return 0;
}

static void test_bytes(void **state)
{
	struct ctx *t = *state;
	unsigned zeroes = 0;

	driver_offer(&t->d, 0, DATA, 1000, true);
	assert_int_equal(driver_wait(&t->d, 0), 1000);
	for (unsigned i = 0; i < 1000; i++)
		zeroes += !t->f.ram[DATA + i];
	assert_true(zeroes < 100);
	assert_int_equal(t->f.ram[DATA + 1000], 0);
	assert_int_equal(t->f.ram[DATA + 1001], 0);
}

static void test_rate(void **state)
{
	struct ctx *t = *state;
	u64 sum = 0;
	s64 n, start;

	start = now_ms();
	while (sum < 4ULL * VIRTIO_RNG_RATE) {
		driver_offer(&t->d, 0, DATA, 50000, true);
		n = driver_wait(&t->d, 0);
		assert_true(n > 0 && n <= 50000);
		sum += (u64)n;
	}
	assert_true(now_ms() - start >= 200);
}

static void test_no_room(void **state)
{
	struct ctx *t = *state;

	driver_offer(&t->d, 0, DATA, 100, false);
	assert_int_equal(driver_wait(&t->d, 0), -1);
	assert_true(driver_broken(&t->d));
	assert_true(driver_broken(&t->d));
	driver_start(&t->d, 0);
	driver_offer(&t->d, 0, DATA, 1, true);
	assert_int_equal(driver_wait(&t->d, 0), 1);
}

static void test_reset_storm(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 200; i++) {
		driver_offer(&t->d, 0, DATA, 65536, true);
		driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		memset(t->f.ram, 0xcc, FAKE_RAM);
		driver_start(&t->d, 0);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_bytes),
		TEST(test_rate),
		TEST(test_no_room),
		TEST(test_reset_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
