// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a disk over vhost-user: requests, features, a change of its size, and back ends that cannot
 * be used.
 */
#include "tests/unit/devices/vhost_user_fixture.h"

static void test_requests_are_served(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	for (unsigned i = 0; i < 40; i++) {
		t->f.ram[STATUS] = 0x5a;
		do_request(t);
		assert_answered(t);
		assert_int_equal(t->f.ram[STATUS], VIRTIO_BLK_S_OK);
	}
	/* Nothing of this process's addresses went out. */
	assert_true(__atomic_load_n(&t->be.base_address, __ATOMIC_ACQUIRE) == 1ULL << 45);
	/* A reset, and once more. */
	driver_start(&t->d, 0);
	assert_serves(t);
	close_disk(t);
}

static void test_features(void **state)
{
	struct ctx *t = *state;
	u32 low;

	t->be.features |= 1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_BLK_F_RO |
			  1ULL << VIRTIO_BLK_F_CONFIG_WCE | 1ULL << VIRTIO_BLK_F_MQ;
	open_disk(t);
	driver_put(&t->d, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	low = driver_get(&t->d, VIRTIO_PCI_COMMON_DF, 4);
	/* What the back end has, what we know of it, and nothing else. */
	assert_int_equal(low, 1U << VIRTIO_RING_F_INDIRECT_DESC | 1U << VIRTIO_BLK_F_RO |
				      1U << VIRTIO_BLK_F_FLUSH);
	assert_true(vhost_user_blk_is_readonly(t->b));
	close_disk(t);
}

static void test_resize(void **state)
{
	struct ctx *t = *state;
	u32 generation;

	open_disk(t);
	assert_int_equal(read_capacity(t), SECTORS);
	generation = driver_get(&t->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	__atomic_store_n(&t->be.capacity, 4 * SECTORS, __ATOMIC_RELEASE);
	change_config(t);
	for (unsigned i = 0; i < 5000 && read_capacity(t) == SECTORS; i++)
		driver_nap();
	assert_int_equal(read_capacity(t), 4 * SECTORS);
	assert_int_equal(vhost_user_blk_size(t->b), 4ULL * SECTORS * 512);
	for (unsigned i = 0; i < 5000; i++)
		if (driver_get(&t->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1) != generation)
			break;
	assert_int_not_equal(driver_get(&t->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	assert_true(virtio_isr(t->d.v) & 2);
	close_disk(t);
}

static void test_memory_must_be_shared(void **state)
{
	struct ctx *t = *state;
	struct vhost_user_blk_params p = { .path = t->path, .queues = 1 };
	int fd = t->f.ram_fd;
	struct err e;

	back_end_start(&t->be, t->path);
	t->f.ram_fd = 0;
	assert_int_equal(vhost_user_blk_create(&t->b, &t->f.host, &p, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "memory cannot be shared"));
	t->f.ram_fd = fd;
	back_end_stop(&t->be, t->path);
	back_end_start(&t->be, t->path);
	p.queues = 2;
	assert_int_equal(vhost_user_blk_create(&t->b, &t->f.host, &p, &e), -EINVAL);
	assert_non_null(strstr(e.text, "1 queue,"));
	back_end_stop(&t->be, t->path);
	assert_int_equal(vhost_user_blk_create(&t->b, &t->f.host, &p, &e), -ENOENT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_requests_are_served),
		TEST(test_features),
		TEST(test_resize),
		TEST(test_memory_must_be_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
