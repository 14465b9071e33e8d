// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the successor of a back end that died: the requests in flight are served, or the device
 * asks for a reset if they are not known.
 */
#include "devices/vq_history.h"
#include "tests/unit/devices/vhost_user_fixture.h"

static void test_back_end_comes_back(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	assert_serves(t);
	lose_back_end(t);
	assert_non_null(strstr(t->note, "is gone"));
	do_request(t);
	do_request(t);
	back_end_start(&t->be, t->path);
	assert_answered(t);
	assert_answered(t);
	await_notes(t, 2);
	assert_non_null(strstr(t->note, "there again"));
	assert_false(driver_broken(&t->d));
	close_disk(t);
}

/* A kick that the predecessor took is repeated for the new one. */
static void test_kick_is_repeated(void **state)
{
	struct ctx *t = *state;

	t->be.deaf = true;
	open_disk(t);
	do_request(t);
	await_count(&t->be.offered, 1);
	lose_back_end(t);
	t->be.deaf = false;
	back_end_start(&t->be, t->path);
	assert_answered(t);
	close_disk(t);
}

/* What was answered in another order is answered all the same. */
static void test_order_does_not_matter(void **state)
{
	struct ctx *t = *state;

	t->be.out_of_order = t->be.swaps = true;
	open_disk(t);
	for (unsigned i = 0; i < 7; i++) {
		do_request(t);
		do_request(t);
		assert_answered(t);
		assert_answered(t);
	}
	lose_back_end(t);
	do_request(t);
	t->be.out_of_order = t->be.swaps = false;
	back_end_start(&t->be, t->path);
	assert_answered(t);
	await_notes(t, 2);
	assert_false(driver_broken(&t->d));
	close_disk(t);
}

static void test_lost_requests_need_a_reset(void **state)
{
	struct ctx *t = *state;

	t->be.out_of_order = true;
	open_disk(t);
	request_two_lose_one(t);
	replace_back_end(t, "out of order");
	for (unsigned i = 0; i < 5000 && !driver_broken(&t->d); i++)
		driver_nap();
	assert_true(driver_broken(&t->d));
	driver_start(&t->d, 0);
	assert_serves(t);
	close_disk(t);
}

/*
 * One request waits while the ring goes round more than once, and the head that is asked for last
 * is one that was answered: the rings look as if that one waited. To serve it again would answer it
 * twice, and the one that waits never.
 */
static void test_a_request_that_waits_for_long_is_noticed(void **state)
{
	struct ctx *t = *state;

	t->be.out_of_order = true;
	open_disk(t);
	do_request(t);
	for (unsigned i = 0; i < 3 * DRIVER_SIZE; i++) {
		/* A driver that takes the descriptor that came back last. */
		t->d.next[0] = 1;
		assert_serves(t);
	}
	lose_back_end(t);
	t->be.out_of_order = false;
	replace_back_end(t, "it is not known which requests");
	for (unsigned i = 0; i < 5000 && !driver_broken(&t->d); i++)
		driver_nap();
	assert_true(driver_broken(&t->d));
	/* Nothing was answered a second time. */
	assert_int_equal(((u16 *)(void *)(driver_page(&t->d, 0) + QUEUE_USED))[1], 3 * DRIVER_SIZE);
	driver_start(&t->d, 0);
	assert_serves(t);
	close_disk(t);
}

/*
 * The rings have gone round, but nothing was under way at a look since: what came behind that is
 * known, and so it is when the successor dies as well.
 */
static void test_requests_behind_a_quiet_moment_are_known(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	for (unsigned i = 0; i < 3 * DRIVER_SIZE; i++) {
		t->d.next[0] = 1;
		assert_serves(t);
	}
	for (unsigned i = 0; i < 3 * VQ_HISTORY_LOOK_MS; i++)
		driver_nap();
	for (unsigned round = 1; round <= 2; round++) {
		__atomic_store_n(&t->be.deaf, true, __ATOMIC_RELEASE);
		t->d.next[0] = 1;
		do_request(t);
		do_request(t);
		/* It has them, and takes no notice of them. */
		await_count(&t->be.offered, 3 * DRIVER_SIZE + 2 * round);
		back_end_stop(&t->be, t->path);
		await_notes(t, 2 * round - 1);
		__atomic_store_n(&t->be.deaf, false, __ATOMIC_RELEASE);
		back_end_start(&t->be, t->path);
		assert_answered(t);
		assert_answered(t);
		await_notes(t, 2 * round);
	}
	assert_false(driver_broken(&t->d));
	close_disk(t);
}

static void test_record_of_requests_is_handed_on(void **state)
{
	struct ctx *t = *state;

	t->be.protocol |= 1ULL << VHOST_USER_P_INFLIGHT;
	t->be.out_of_order = true;
	open_disk(t);
	await_count(&t->be.inflight_set, 1);
	request_two_lose_one(t);
	replace_back_end(t, "there again");
	await_count(&t->be.inflight_set, 2);
	assert_false(driver_broken(&t->d));
	close_disk(t);
}

static void test_back_end_of_another_kind_is_not_taken(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	lose_back_end(t);
	t->be.features |= 1ULL << VIRTIO_BLK_F_RO;
	back_end_start(&t->be, t->path);
	/* The device has looked at it, and left. */
	await_count(&t->be.clients_gone, 2);
	assert_int_equal(__atomic_load_n(&t->notes, __ATOMIC_ACQUIRE), 1);
	/* Even so, the driver can reset the device, and everything ends. */
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(driver_get(&t->d, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	close_disk(t);
}

/* A record is of requests of one driver: the next one has a new record. */
static void test_a_record_ends_with_its_driver(void **state)
{
	struct ctx *t = *state;

	t->be.protocol |= 1ULL << VHOST_USER_P_INFLIGHT;
	open_disk(t);
	/* Made and handed back: else the one that is lost does not count. */
	await_count(&t->be.inflight_set, 1);
	lose_back_end(t);
	/* Reset and started while nobody is there. */
	driver_start(&t->d, 0);
	back_end_start(&t->be, t->path);
	await_count(&t->be.inflight_set, 2);
	assert_int_equal(__atomic_load_n(&t->be.inflight_made, __ATOMIC_ACQUIRE), 2);
	close_disk(t);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_back_end_comes_back),
		TEST(test_kick_is_repeated),
		TEST(test_order_does_not_matter),
		TEST(test_lost_requests_need_a_reset),
		TEST(test_a_request_that_waits_for_long_is_noticed),
		TEST(test_requests_behind_a_quiet_moment_are_known),
		TEST(test_record_of_requests_is_handed_on),
		TEST(test_back_end_of_another_kind_is_not_taken),
		TEST(test_a_record_ends_with_its_driver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
