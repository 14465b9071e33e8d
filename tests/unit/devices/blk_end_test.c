// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that the end of a disk's queue is bounded, whatever the driver has asked for: 64 reads of
 * 31 GiB each, by 254 descriptors that all name the same buffer, must not hold up a reset, nor a
 * resize beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "tests/unit/devices/blk_fixture.h"

#define BIG_AT	 (1ULL << 33)
#define BIG	 (124ULL << 20) /* bytes of one descriptor */
#define REQUESTS 64U
#define TABLE	 0x6000ULL
#define LIMIT_MS 1000

/* The buffer: the same 2 MiB again and again, as only its size matters. */
static u8 *big;

static void *ram_with_big(struct host *h, u64 gpa, u64 len)
{
	if (gpa >= BIG_AT && gpa - BIG_AT < BIG && len && len <= BIG - (gpa - BIG_AT))
		return big + (gpa - BIG_AT);
	return fake_ram(h, gpa, len);
}

static void map_big(void)
{
	const size_t piece = 2U << 20;
	int fd = memfd_create("big", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)piece), 0);
	big = mmap(NULL, BIG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(big, MAP_FAILED);
	for (size_t at = 0; at < BIG; at += piece)
		assert_ptr_equal(mmap(big + at, piece, PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED, fd, 0),
				 big + at);
	close(fd);
}

static int setup_big(void **state, bool aio_threads)
{
	struct virtio_blk_params params = { .aio = aio_threads ? BLK_AIO_THREADS : BLK_AIO_URING };
	static struct host_ops ops;
	struct ctx *t;

	map_big();
	setup_with(state, &params);
	t = *state;
	assert_int_equal(ftruncate(t->fd, (off_t)64 << 30), 0);
	virtio_blk_refresh(t->b);
	ops = *t->f.host.ops;
	ops.ram = ram_with_big;
	t->f.host.ops = &ops;
	start_sized(t, 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_RING_F_INDIRECT_DESC, 64);
	return 0;
}

static int setup_ring(void **state)
{
	return setup_big(state, false);
}

static int setup_threads(void **state)
{
	return setup_big(state, true);
}

static int teardown_big(void **state)
{
	int ret = teardown(state);

	munmap(big, BIG);
	return ret;
}

static void queue_huge_reads(struct ctx *t)
{
	struct vring_desc *in = (struct vring_desc *)(void *)(t->f.ram + TABLE);
	struct vring_desc *d = (struct vring_desc *)(void *)(t->f.ram + DESC);
	u16 *avail = (u16 *)(void *)(t->f.ram + AVAIL);

	set_header(t, VIRTIO_BLK_T_IN, 0);
	in[0] = (struct vring_desc){ HEADER, 16, VRING_DESC_F_NEXT, 1 };
	for (u16 i = 1; i < 255; i++)
		in[i] = (struct vring_desc){ BIG_AT, (u32)BIG,
					     VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, (u16)(i + 1) };
	in[255] = (struct vring_desc){ STATUS, 1, VRING_DESC_F_WRITE, 0 };
	for (u16 i = 0; i < REQUESTS; i++) {
		d[i] = (struct vring_desc){ TABLE, 256 * sizeof(*in), VRING_DESC_F_INDIRECT, 0 };
		avail[2 + i] = i;
	}
	__atomic_store_n(&avail[1], REQUESTS, __ATOMIC_RELEASE);
	virtio_notify(t->v, 0);
}

static void *resize_beside(void *arg)
{
	struct ctx *t = arg;

	virtio_blk_resize(t->b, 1ULL << 30);
	return NULL;
}

static void test_a_reset_does_not_wait_for_huge_reads(void **state)
{
	struct ctx *t = *state;
	pthread_t beside;
	s64 begin, took;

	queue_huge_reads(t);
	for (unsigned i = 0; i < 100; i++)
		nap();
	/* Nothing else would be tested if they were refused or done. */
	assert_int_equal(((u16 *)(void *)(t->f.ram + USED))[1], 0);
	begin = now_ms();
	assert_int_equal(pthread_create(&beside, NULL, resize_beside, t), 0);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	pthread_join(beside, NULL);
	took = now_ms() - begin;
	print_message("# ended after %lld ms\n", (long long)took);
	assert_in_range(took, 0, LIMIT_MS);
	assert_int_equal(virtio_blk_size(t->b), 1 << 30);
	/* The queue is as good as new. */
	start_device(t, 1ULL << VIRTIO_BLK_F_FLUSH);
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 1, DATA, 512, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(t->f.ram[DATA], 1);
}

/* A request of several pieces arrives whole and in order. */
static void test_pieces_are_put_together(void **state)
{
	const u32 len = 12U << 20;
	struct ctx *t = *state;
	u8 *image = malloc(len), *got = malloc(len);

	assert_non_null(image);
	assert_non_null(got);
	for (u32 i = 0; i < len; i++)
		image[i] = (u8)(i >> 9) ^ (u8)(i >> 17);
	assert_int_equal(pwrite(t->fd, image, len, 1 << 20), len);
	/*
	 * The buffer repeats every 2 MiB: so its last 2 MiB are what stays, each byte by a piece.
	 */
	assert_int_equal(do_request(t, VIRTIO_BLK_T_IN, 2048, BIG_AT, len, NULL), VIRTIO_BLK_S_OK);
	assert_memory_equal(big, image + len - (2 << 20), 2 << 20);
	/* Written from unaligned buffers, so that pieces end within descriptors. */
	set_header(t, VIRTIO_BLK_T_OUT, 1 << 16);
	add_descriptor(t, HEADER, 16, false);
	add_descriptor(t, BIG_AT + 512, (3 << 20) + 512, false);
	add_descriptor(t, BIG_AT + 1024, (2 << 20) - 1024, false);
	add_descriptor(t, BIG_AT, 512, false);
	add_descriptor(t, STATUS, 1, true);
	assert_int_equal(submit_chain(t), 1);
	assert_int_equal(t->f.ram[STATUS], VIRTIO_BLK_S_OK);
	assert_int_equal(pread(t->fd, got, 5 << 20, (off_t)512 << 16), 5 << 20);
	assert_memory_equal(got, big + 512, (3 << 20) + 512);
	assert_memory_equal(got + (3 << 20) + 512, big + 1024, (2 << 20) - 1024);
	assert_memory_equal(got + (5 << 20) - 512, big, 512);
	free(image);
	free(got);
}

int main(void)
{
#define BOTH(f)                                                       \
	{ #f " (io_uring)", f, setup_ring, teardown_big, NULL },      \
	{                                                             \
#f " (threads)", f, setup_threads, teardown_big, NULL \
	}
	const struct CMUnitTest tests[] = {
		BOTH(test_a_reset_does_not_wait_for_huge_reads),
		BOTH(test_pieces_are_put_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
