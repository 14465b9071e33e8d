// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what a disk tells of a request that the host's kernel does not give back: a flush that
 * stays in its system call, as on a server that does not answer; and a resize beside it, or of a
 * file that stays in ftruncate(2), which is ftruncate64() here. The linker leads these calls here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>

#include "base/clock.h"
#include "devices/blk_image.h"
#include "tests/unit/devices/blk_fixture.h"

static sem_t entered, release;
static bool hold_truncate; /* atomic */

int __wrap_blk_image_flush(struct blk_image *im);
int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);

int __wrap_blk_image_flush(struct blk_image *im)
{
	(void)im;
	sem_post(&entered);
	sem_wait(&release);
	return 0;
}

int __wrap_ftruncate64(int fd, off_t len)
{
	if (__atomic_exchange_n(&hold_truncate, false, __ATOMIC_ACQ_REL)) {
		sem_post(&entered);
		sem_wait(&release);
	}
	return __real_ftruncate64(fd, len);
}

static void *reset_device(void *arg)
{
	struct ctx *t = arg;

	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	return NULL;
}

static void ask_for_a_flush(struct ctx *t)
{
	set_header(t, VIRTIO_BLK_T_FLUSH, 0);
	add_descriptor(t, HEADER, 16, false);
	add_descriptor(t, STATUS, 1, true);
	notify_queue(t);
	sem_wait(&entered);
}

static s64 await_held(const struct ctx *t, s64 ms)
{
	s64 held = 0;

	for (unsigned i = 0; i < 5000 && (held = virtio_blk_held_ms(t->b)) < ms; i++)
		nap();
	return held;
}

static void test_a_reset_that_waits_is_told(void **state)
{
	struct ctx *t = *state;
	pthread_t beside;
	s64 begin, held;

	ask_for_a_flush(t);
	/* To be slow is no fault while nobody waits. */
	for (unsigned i = 0; i < 20; i++)
		nap();
	assert_int_equal(virtio_blk_held_ms(t->b), 0);
	begin = now_ms();
	assert_int_equal(pthread_create(&beside, NULL, reset_device, t), 0);
	held = await_held(t, 50);
	assert_in_range(held, 50, now_ms() - begin + 1);
	/* Another wish to stop is no new beginning. */
	virtio_blk_stop_begin(t->b);
	held = virtio_blk_held_ms(t->b);
	assert_in_range(held, 50, now_ms() - begin + 1);
	sem_post(&release);
	pthread_join(beside, NULL);
	assert_int_equal(virtio_blk_held_ms(t->b), 0);
	/* And the disk is as good as new. */
	start_device(t, 1ULL << VIRTIO_BLK_F_FLUSH);
	assert_int_equal(virtio_blk_held_ms(t->b), 0);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 1, DATA, 512, NULL), VIRTIO_BLK_S_OK);
}

static void test_an_end_can_be_asked_for_without_waiting(void **state)
{
	struct ctx *t = *state;
	s64 begin = now_ms();

	ask_for_a_flush(t);
	virtio_blk_stop_begin(t->b);
	assert_in_range(now_ms() - begin, 0, 1000);
	assert_in_range(await_held(t, 20), 20, 5000);
	sem_post(&release);
	for (unsigned i = 0; i < 5000 && virtio_blk_held_ms(t->b); i++)
		nap();
	assert_int_equal(virtio_blk_held_ms(t->b), 0);
}

/* The reset has the device's lock until the flush is back: a resize says so and does nothing. */
static void test_a_resize_does_not_wait_for_a_reset(void **state)
{
	struct ctx *t = *state;
	u64 size = virtio_blk_size(t->b);
	pthread_t beside;
	s64 begin;

	ask_for_a_flush(t);
	assert_int_equal(pthread_create(&beside, NULL, reset_device, t), 0);
	await_held(t, 20);
	begin = now_ms();
	alarm(20); /* the fault is to wait here */
	assert_int_equal(virtio_blk_resize(t->b, size + 4096), -EBUSY);
	assert_int_equal(virtio_blk_resize(t->b, 512), -EBUSY);
	alarm(0);
	assert_in_range(now_ms() - begin, 0, 10000);
	assert_int_equal(virtio_blk_size(t->b), size);
	assert_int_equal(lseek(t->fd, 0, SEEK_END), size);
	sem_post(&release);
	pthread_join(beside, NULL);
	assert_int_equal(virtio_blk_resize(t->b, size + 4096), 0);
	assert_int_equal(lseek(t->fd, 0, SEEK_END), size + 4096);
}

static void *grow_disk(void *arg)
{
	struct ctx *t = arg;

	return (void *)(intptr_t)virtio_blk_resize(t->b, virtio_blk_size(t->b) + 4096);
}

/* A vCPU that reads a register, or asks for a sector, does not wait for the file's new size. */
static void test_nobody_waits_for_a_resize(void **state)
{
	struct ctx *t = *state;
	u64 size = virtio_blk_size(t->b), capacity = 0;
	pthread_t beside;
	void *ret;

	__atomic_store_n(&hold_truncate, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&beside, NULL, grow_disk, t), 0);
	sem_wait(&entered);
	alarm(20); /* the fault is to wait from here on */
	virtio_config_io(t->v, 0, &capacity, 8, false);
	assert_int_equal(capacity, size / 512);
	reg_read(t, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 1, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	alarm(0);
	sem_post(&release);
	assert_int_equal(pthread_join(beside, &ret), 0);
	assert_null(ret);
	assert_int_equal(virtio_blk_size(t->b), size + 4096);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_plain, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_reset_that_waits_is_told),
		TEST(test_an_end_can_be_asked_for_without_waiting),
		TEST(test_a_resize_does_not_wait_for_a_reset),
		TEST(test_nobody_waits_for_a_resize),
	};

	sem_init(&entered, 0, 0);
	sem_init(&release, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
