// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a back end that stays and answers nothing: no other thread waits for it, and a reset is
 * bounded.
 */
#include "base/clock.h"
#include "tests/unit/devices/vhost_user_fixture.h"

static s64 reset_ms(struct ctx *t)
{
	s64 begin = now_ms();

	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(driver_get(&t->d, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	return now_ms() - begin;
}

/*
 * Neither the vCPU that resets or starts the device nor who asks for its size waits for a back end.
 */
static void test_a_mute_back_end_holds_up_nobody(void **state)
{
	struct ctx *t = *state;
	s64 begin;

	open_disk(t);
	assert_serves(t);
	__atomic_store_n(&t->be.mute, true, __ATOMIC_RELEASE);
	/* It is asked for its configuration, for five seconds. */
	change_config(t);
	for (unsigned i = 0; i < 50; i++)
		driver_nap();
	begin = now_ms();
	assert_int_equal(vhost_user_blk_size(t->b), SECTORS * 512);
	assert_int_equal(read_capacity(t), SECTORS);
	assert_in_range(now_ms() - begin, 0, 100);
	assert_in_range(reset_ms(t), 0, 900);
	/* Its end, too, while it is greeted in vain. */
	await_notes(t, 1);
	begin = now_ms();
	driver_start(&t->d, 0);
	assert_in_range(now_ms() - begin, 0, 500);
	begin = now_ms();
	close_disk(t);
	assert_in_range(now_ms() - begin, 0, 1500);
}

/* The same where it is asked to leave the queues. */
static void test_a_reset_is_bounded(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	assert_serves(t);
	__atomic_store_n(&t->be.mute, true, __ATOMIC_RELEASE);
	assert_in_range(reset_ms(t), 0, 900);
	await_notes(t, 1);
	assert_non_null(strstr(t->note, "is gone"));
	back_end_stop(&t->be, t->path);
	__atomic_store_n(&t->be.mute, false, __ATOMIC_RELEASE);
	back_end_start(&t->be, t->path);
	driver_start(&t->d, 0);
	assert_serves(t);
	close_disk(t);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_mute_back_end_holds_up_nobody),
		TEST(test_a_reset_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
