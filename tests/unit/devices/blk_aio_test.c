// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests which transfers of a disk go by io_uring, and which by the queue's thread (blk_queue.h).
 * The linker leads the calls here that tell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "devices/blk_request.h"
#include "devices/blk_ring.h"
#include "tests/unit/devices/blk_fixture.h"

/* What the last requests were; atomic. */
static unsigned rings, reads, writes;
static long kind_of_file_system;
static unsigned slow_us, busy_us;

#define FED_MAX 20000U
/* A driver that adds a write for each that is carried out, until a read is done; atomic. */
static struct ctx *fed;
static unsigned n_fed;

static void feed(void);

bool __real_blk_request_run(struct blk_request *r, struct blk_image *im, bool durable,
			    const bool *stop);
bool __wrap_blk_request_run(struct blk_request *r, struct blk_image *im, bool durable,
			    const bool *stop);
int __real_blk_ring_open(struct io_uring *ring, unsigned entries);
int __wrap_blk_ring_open(struct io_uring *ring, unsigned entries);
/* As the C library calls it where files may be large. */
int __wrap_fstatfs64(int fd, struct statfs *to);

bool __wrap_blk_request_run(struct blk_request *r, struct blk_image *im, bool durable,
			    const bool *stop)
{
	__atomic_fetch_add(r->step == BLK_WRITE ? &writes : &reads, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&slow_us, __ATOMIC_RELAXED))
		usleep(__atomic_load_n(&slow_us, __ATOMIC_RELAXED));
	for (u64 end = now_ns() + 1000ULL * __atomic_load_n(&busy_us, __ATOMIC_RELAXED);
	     now_ns() < end;)
		;
	if (r->step == BLK_WRITE && __atomic_load_n(&fed, __ATOMIC_ACQUIRE))
		feed();
	return __real_blk_request_run(r, im, durable, stop);
}

int __wrap_blk_ring_open(struct io_uring *ring, unsigned entries)
{
	int ret = __real_blk_ring_open(ring, entries);

	rings += !ret;
	return ret;
}

int __wrap_fstatfs64(int fd, struct statfs *to)
{
	(void)fd;
	*to = (struct statfs){ .f_type = kind_of_file_system };
	return 0;
}

static int setup_aio(void **state, enum blk_aio aio, bool direct, long kind)
{
	struct virtio_blk_params params = { .aio = aio, .direct = direct };

	rings = reads = writes = slow_us = busy_us = 0;
	kind_of_file_system = kind;
	return setup_with(state, &params);
}

static int setup_auto(void **state)
{
	return setup_aio(state, BLK_AIO_AUTO, false, EXT4_SUPER_MAGIC);
}

static int setup_auto_direct(void **state)
{
	return setup_aio(state, BLK_AIO_AUTO, true, EXT4_SUPER_MAGIC);
}

static int setup_auto_memory(void **state)
{
	return setup_aio(state, BLK_AIO_AUTO, false, TMPFS_MAGIC);
}

static int setup_auto_server(void **state)
{
	return setup_aio(state, BLK_AIO_AUTO, false, FUSE_SUPER_MAGIC);
}

static int setup_uring(void **state)
{
	return setup_aio(state, BLK_AIO_URING, false, TMPFS_MAGIC);
}

/* A page, so that direct I/O can take it; what is written is read again. */
static void transfer(struct ctx *t, u32 type, u8 value)
{
	u8 *data = t->f.ram + 0x8000;

	if (type == VIRTIO_BLK_T_OUT)
		memset(data, value, 4096);
	set_header(t, type, 8);
	add_descriptor(t, HEADER, 16, false);
	add_descriptor(t, 0x8000, 4096, type == VIRTIO_BLK_T_IN);
	add_descriptor(t, STATUS, 1, true);
	assert_int_equal(submit_chain(t), type == VIRTIO_BLK_T_IN ? 4097 : 1);
	assert_int_equal(t->f.ram[STATUS], VIRTIO_BLK_S_OK);
	if (type == VIRTIO_BLK_T_IN)
		assert_int_equal(data[4095], value);
}

static void needs_ring(void)
{
	if (!rings) {
		print_message("# SKIP: no io_uring here\n");
		skip();
	}
}

#define WRITE_HEADER 0x4200ULL
#define WRITE_STATUS 0x4300ULL

static void make_available(struct ctx *t, u16 head)
{
	u16 *a = (u16 *)(void *)(t->f.ram + AVAIL);

	a[2 + a[1] % t->size] = head;
	__atomic_store_n(&a[1], (u16)(a[1] + 1), __ATOMIC_RELEASE);
}

static void feed(void)
{
	struct ctx *t = __atomic_load_n(&fed, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&t->f.ram[STATUS], __ATOMIC_ACQUIRE) != NO || ++n_fed == FED_MAX)
		__atomic_store_n(&fed, NULL, __ATOMIC_RELEASE);
	else
		make_available(t, 3);
}

static void put_descriptor(struct ctx *t, unsigned i, u64 addr, u32 len, u16 flags)
{
	struct vring_desc *d = (struct vring_desc *)(void *)(t->f.ram + DESC) + i;

	*d = (struct vring_desc){ addr, len, flags, (u16)(i + 1) };
}

static void test_a_read_ends_though_writes_go_on(void **state)
{
	const struct virtio_blk_outhdr write = { .type = VIRTIO_BLK_T_OUT, .sector = 16 };
	const struct virtio_blk_outhdr read = { .type = VIRTIO_BLK_T_IN, .sector = 8 };
	struct ctx *t = *state;

	needs_ring();
	memcpy(t->f.ram + HEADER, &read, sizeof(read));
	memcpy(t->f.ram + WRITE_HEADER, &write, sizeof(write));
	t->f.ram[STATUS] = NO;
	put_descriptor(t, 0, HEADER, 16, VRING_DESC_F_NEXT);
	put_descriptor(t, 1, 0x8000, 4096, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
	put_descriptor(t, 2, STATUS, 1, VRING_DESC_F_WRITE);
	put_descriptor(t, 3, WRITE_HEADER, 16, VRING_DESC_F_NEXT);
	put_descriptor(t, 4, 0x9000, 512, VRING_DESC_F_NEXT);
	put_descriptor(t, 5, WRITE_STATUS, 1, VRING_DESC_F_WRITE);
	n_fed = 0;
	__atomic_store_n(&fed, t, __ATOMIC_RELEASE);
	make_available(t, 0);
	make_available(t, 3);
	virtio_notify(t->v, 0);
	for (unsigned i = 0; i < 10000 && __atomic_load_n(&fed, __ATOMIC_ACQUIRE); i++)
		nap();
	assert_int_equal(t->f.ram[STATUS], VIRTIO_BLK_S_OK);
	assert_in_range(n_fed, 0, FED_MAX - 1);
}

static void some_of_each(struct ctx *t)
{
	for (u8 i = 1; i <= 3; i++) {
		transfer(t, VIRTIO_BLK_T_OUT, i);
		transfer(t, VIRTIO_BLK_T_IN, i);
	}
}

static void test_image_in_memory_has_no_ring(void **state)
{
	some_of_each(*state);
	assert_int_equal(rings, 0);
	assert_int_equal(reads, 3);
	assert_int_equal(writes, 3);
}

static void test_writes_to_the_cache_are_copies(void **state)
{
	needs_ring();
	some_of_each(*state);
	assert_int_equal(reads, 0);
	assert_int_equal(writes, 3);
}

static void test_direct_io_goes_by_the_ring(void **state)
{
	needs_ring();
	some_of_each(*state);
	assert_int_equal(reads + writes, 0);
}

static void test_what_is_asked_for_is_done(void **state)
{
	needs_ring();
	some_of_each(*state);
	assert_int_equal(reads + writes, 0);
}

static void test_writes_that_wait_go_by_the_ring(void **state)
{
	struct ctx *t = *state;

	needs_ring();
	__atomic_store_n(&slow_us, 5000, __ATOMIC_RELAXED);
	transfer(t, VIRTIO_BLK_T_OUT, 1);
	transfer(t, VIRTIO_BLK_T_OUT, 2);
	__atomic_store_n(&slow_us, 0, __ATOMIC_RELAXED);
	for (u8 i = 0; i < BLK_COPY_PAUSE; i++)
		transfer(t, VIRTIO_BLK_T_OUT, i);
	assert_int_equal(writes, 2);
	transfer(t, VIRTIO_BLK_T_OUT, 7);
	assert_int_equal(writes, 3);
}

/* As on a host with more threads than CPUs: a copy is slow, and is one all the same. */
static void test_slow_copies_are_copies(void **state)
{
	struct ctx *t = *state;

	needs_ring();
	__atomic_store_n(&busy_us, 5000, __ATOMIC_RELAXED);
	for (u8 i = 0; i < 4; i++)
		transfer(t, VIRTIO_BLK_T_OUT, i);
	__atomic_store_n(&busy_us, 0, __ATOMIC_RELAXED);
	assert_int_equal(writes, 4);
}

static void test_durable_writes_go_by_the_ring(void **state)
{
	struct ctx *t = *state;

	needs_ring();
	start_device(t, 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	some_of_each(t);
	assert_int_equal(writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_image_in_memory_has_no_ring, setup_auto_memory,
						teardown),
		cmocka_unit_test_setup_teardown(test_writes_to_the_cache_are_copies, setup_auto,
						teardown),
		cmocka_unit_test_setup_teardown(test_direct_io_goes_by_the_ring, setup_auto_direct,
						teardown),
		cmocka_unit_test_setup_teardown(test_direct_io_goes_by_the_ring, setup_auto_server,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_is_asked_for_is_done, setup_uring,
						teardown),
		cmocka_unit_test_setup_teardown(test_writes_that_wait_go_by_the_ring, setup_auto,
						teardown),
		cmocka_unit_test_setup_teardown(test_slow_copies_are_copies, setup_auto, teardown),
		cmocka_unit_test_setup_teardown(test_a_read_ends_though_writes_go_on, setup_auto,
						teardown),
		cmocka_unit_test_setup_teardown(test_durable_writes_go_by_the_ring, setup_auto,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
