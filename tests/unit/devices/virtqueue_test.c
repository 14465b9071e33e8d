// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the virtqueue walker against every way in which a driver can break the rules of a split
 * ring, and against the wrap-arounds that a correct one produces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "tests/unit/devices/ring_fixture.h"

#define SIZE  8
#define TABLE 0x9000ULL

struct ctx {
	struct fake_host f;
	struct virtqueue q;
	struct vq_chain c;
};

static struct vring_desc *desc(struct ctx *t, unsigned i)
{
	return (struct vring_desc *)(void *)(t->f.ram + DESC) + i;
}

static struct vring_desc *inner(struct ctx *t, unsigned i)
{
	return (struct vring_desc *)(void *)(t->f.ram + TABLE) + i;
}

static u16 *avail(struct ctx *t)
{
	return (u16 *)(void *)(t->f.ram + AVAIL);
}

static u16 *used(struct ctx *t)
{
	return (u16 *)(void *)(t->f.ram + USED);
}

static struct vring_used_elem *used_elem(struct ctx *t, unsigned i)
{
	return (struct vring_used_elem *)(void *)(t->f.ram + USED + 4) + i;
}

static void desc_set(struct vring_desc *d, u64 addr, u32 len, u16 flags, u16 next)
{
	*d = (struct vring_desc){ addr, len, flags, next };
}

static void offer_chain(struct ctx *t, u16 head)
{
	u16 *a = avail(t);

	a[2 + a[1] % t->q.size] = head;
	a[1]++;
}

static void enable_queue(struct ctx *t, u16 size)
{
	const struct queue_place place = { size, DESC, AVAIL, USED };

	t->q.max = VIRTQUEUE_MAX;
	assert_int_equal(ring_enable(&t->q, &t->f, &place, 1ULL << VIRTIO_RING_F_INDIRECT_DESC), 0);
}

/* Enables the queue in empty memory. */
static void enable_anew(struct ctx *t)
{
	memset(t->f.ram, 0, FAKE_RAM);
	enable_queue(t, SIZE);
}

static int setup(void **state)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));

	assert_non_null(t);
	enable_queue(t, SIZE);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* Checks that a malformed chain gives -EIO, until the queue is set up anew. */
static void assert_broken(struct ctx *t)
{
	assert_int_equal(virtqueue_pop(&t->q, &t->c), -EIO);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), -EIO);
	virtqueue_push(&t->q, 0, 1);
	assert_int_equal(used(t)[1], 0);
	assert_false(virtqueue_listen(&t->q, true));
	assert_false(virtqueue_wants_interrupt(&t->q));
	virtqueue_reset(&t->q);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), 0);
}

static void test_chain(void **state)
{
	struct ctx *t = *state;

	desc_set(desc(t, 3), DATA, 16, VRING_DESC_F_NEXT, 5);
	desc_set(desc(t, 5), DATA + 16, 100, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	desc_set(desc(t, 1), FAKE_HIGH, FAKE_HIGH_RAM, VRING_DESC_F_WRITE, 77);
	offer_chain(t, 3);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
	assert_int_equal(t->c.head, 3);
	assert_int_equal(t->c.n_out, 1);
	assert_int_equal(t->c.n_in, 2);
	assert_int_equal(t->c.out_len, 16);
	assert_int_equal(t->c.in_len, 100 + FAKE_HIGH_RAM);
	assert_ptr_equal(t->c.iov[0].iov_base, t->f.ram + DATA);
	assert_ptr_equal(t->c.iov[2].iov_base, t->f.high);
	virtqueue_push(&t->q, 3, 42);
	assert_int_equal(used(t)[1], 1);
	assert_int_equal(used_elem(t, 0)->id, 3);
	assert_int_equal(used_elem(t, 0)->len, 42);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), 0);
}

static void test_setup_refused(void **state)
{
	struct ctx *t = *state;
	static const struct queue_place bad[] = {
		{ 0, DESC, AVAIL, USED },
		{ 3, DESC, AVAIL, USED },
		{ 512, DESC, AVAIL, USED },
		{ SIZE, DESC + 8, AVAIL, USED },
		{ SIZE, DESC, AVAIL + 1, USED },
		{ SIZE, DESC, AVAIL, USED + 2 },
		{ SIZE, FAKE_RAM, AVAIL, USED },
		{ SIZE, DESC, FAKE_RAM - 8, USED },
		{ SIZE, DESC, FAKE_RAM - 4 - 2 * SIZE, USED },	/* no room for used_event */
		{ SIZE, DESC, AVAIL, FAKE_RAM - 4 - 8 * SIZE }, /* nor for avail_event */
		{ SIZE, DESC, AVAIL, FAKE_RAM - 64 },
		{ SIZE, UINT64_MAX - 15, AVAIL, USED },
		{ SIZE, DESC, UINT64_MAX - 1, USED },
		{ SIZE, DESC, AVAIL, UINT64_MAX - 3 },
		{ SIZE, FAKE_WINDOW, AVAIL, USED },
		{ SIZE, DESC, AVAIL, 0xfffffffffffff000 },
		{ SIZE, FAKE_RAM - 64, AVAIL, USED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(ring_enable(&t->q, &t->f, &bad[i], 0), -EINVAL);
		assert_int_equal(virtqueue_pop(&t->q, &t->c), 0);
	}
}

static void test_last_page_and_sizes(void **state)
{
	struct ctx *t = *state;
	static const u16 sizes[] = { 1, 2, 256 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* To the last byte of RAM. */
		const struct queue_place place = {
			sizes[i],
			DESC,
			AVAIL,
			FAKE_RAM - ALIGN_UP(4ULL + 8 * sizes[i] + 2, 4ULL),
		};

		memset(t->f.ram, 0, FAKE_RAM);
		assert_int_equal(ring_enable(&t->q, &t->f, &place, 0), 0);
		for (unsigned n = 0; n < 3U * sizes[i]; n++) {
			u16 head = (u16)(n % sizes[i]);

			desc_set(desc(t, head), DATA, 1, 0, 0);
			offer_chain(t, head);
			assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
			assert_int_equal(t->c.head, head);
			virtqueue_push(&t->q, head, 0);
		}
	}
}

static void test_head_out_of_range(void **state)
{
	struct ctx *t = *state;

	desc_set(desc(t, SIZE), DATA, 1, 0, 0); /* behind the ring */
	offer_chain(t, SIZE);
	assert_broken(t);
}

static void test_next_out_of_range(void **state)
{
	struct ctx *t = *state;

	desc_set(desc(t, 0), DATA, 1, VRING_DESC_F_NEXT, SIZE);
	desc_set(desc(t, SIZE), DATA, 1, 0, 0); /* behind the ring */
	offer_chain(t, 0);
	assert_broken(t);
}

static void test_self_loop(void **state)
{
	struct ctx *t = *state;

	desc_set(desc(t, 0), DATA, 1, VRING_DESC_F_NEXT, 0);
	offer_chain(t, 0);
	assert_broken(t);
}

static void test_long_loop(void **state)
{
	struct ctx *t = *state;

	for (u16 i = 0; i < SIZE; i++)
		desc_set(desc(t, i), DATA, 1, VRING_DESC_F_NEXT, (u16)((i + 1) % SIZE));
	offer_chain(t, 0);
	assert_broken(t);
}

static void test_avail_jump(void **state)
{
	struct ctx *t = *state;

	desc_set(desc(t, 0), DATA, 1, 0, 0);
	avail(t)[1] = SIZE + 1;
	assert_broken(t);
}

static void test_avail_backwards(void **state)
{
	struct ctx *t = *state;

	avail(t)[1] = 0xffff;
	assert_broken(t);
}

static void test_index_wraps(void **state)
{
	struct ctx *t = *state;

	desc_set(desc(t, 0), DATA, 1, 0, 0);
	for (unsigned i = 0; i < 70000; i++) {
		offer_chain(t, 0);
		assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
		virtqueue_push(&t->q, 0, 0);
		assert_int_equal(used(t)[1], (u16)(i + 1));
	}
}

static void test_bad_buffers(void **state)
{
	struct ctx *t = *state;
	static const struct {
		u64 addr;
		u32 len;
	} bad[] = {
		{ DATA, 0 },
		{ FAKE_RAM - 1, 2 },
		{ FAKE_RAM, 1 },
		{ FAKE_HIGH - 1, 2 },
		{ FAKE_HIGH + FAKE_HIGH_RAM - 1, 2 },
		{ FAKE_WINDOW, 4 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 1, UINT32_MAX },
		{ DATA, UINT32_MAX },
		{ 0, FAKE_RAM + 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		enable_anew(t);
		desc_set(desc(t, 0), bad[i].addr, bad[i].len, 0, 0);
		offer_chain(t, 0);
		assert_broken(t);
		/* The same through an indirect table. */
		enable_anew(t);
		desc_set(inner(t, 0), bad[i].addr, bad[i].len, 0, 0);
		desc_set(desc(t, 0), TABLE, 16, VRING_DESC_F_INDIRECT, 0);
		offer_chain(t, 0);
		assert_broken(t);
	}
}

static void test_writable_before_readable(void **state)
{
	struct ctx *t = *state;

	desc_set(desc(t, 0), DATA, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	desc_set(desc(t, 1), DATA, 1, 0, 0);
	offer_chain(t, 0);
	assert_broken(t);
}

static void test_indirect(void **state)
{
	struct ctx *t = *state;

	desc_set(inner(t, 0), DATA, 16, VRING_DESC_F_NEXT, 2);
	desc_set(inner(t, 2), DATA + 16, 8, VRING_DESC_F_WRITE, 0);
	desc_set(desc(t, 6), TABLE, 3 * 16, VRING_DESC_F_INDIRECT, 0);
	offer_chain(t, 6);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
	assert_int_equal(t->c.head, 6);
	assert_int_equal(t->c.n_out, 1);
	assert_int_equal(t->c.n_in, 1);
	/* A direct one in front of the table is allowed (2.7.5.3.2). */
	desc_set(desc(t, 1), DATA, 4, VRING_DESC_F_NEXT, 6);
	offer_chain(t, 1);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
	assert_int_equal(t->c.n_out, 2);
	assert_int_equal(t->c.head, 1);
}

static void test_indirect_refused(void **state)
{
	struct ctx *t = *state;
	static const struct {
		u64 addr;
		u32 len;
		u16 flags;
	} bad[] = {
		{ TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT },
		{ TABLE, 0, VRING_DESC_F_INDIRECT },
		{ TABLE, 17, VRING_DESC_F_INDIRECT },
		{ TABLE, 8, VRING_DESC_F_INDIRECT },
		{ TABLE, 16 * (VIRTQUEUE_MAX + 1), VRING_DESC_F_INDIRECT },
		{ TABLE, 16 * 65537U, VRING_DESC_F_INDIRECT },
		{ FAKE_RAM, 16, VRING_DESC_F_INDIRECT },
		{ FAKE_RAM - 16, 32, VRING_DESC_F_INDIRECT },
		{ UINT64_MAX - 7, 16, VRING_DESC_F_INDIRECT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		enable_anew(t);
		for (unsigned k = 0; k < 4; k++)
			desc_set(inner(t, k), DATA, 1, 0, 0);
		desc_set(desc(t, 0), bad[i].addr, bad[i].len, bad[i].flags, 1);
		desc_set(desc(t, 1), DATA, 1, 0, 0);
		offer_chain(t, 0);
		assert_broken(t);
	}
}

static void test_indirect_inside(void **state)
{
	struct ctx *t = *state;

	/* Nested. */
	desc_set(inner(t, 0), TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	desc_set(desc(t, 0), TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	offer_chain(t, 0);
	assert_broken(t);
	/* A loop. */
	enable_anew(t);
	desc_set(inner(t, 0), DATA, 1, VRING_DESC_F_NEXT, 1);
	desc_set(inner(t, 1), DATA, 1, VRING_DESC_F_NEXT, 0);
	desc_set(desc(t, 0), TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	offer_chain(t, 0);
	assert_broken(t);
	/* Out of the table. */
	enable_anew(t);
	desc_set(inner(t, 0), DATA, 1, VRING_DESC_F_NEXT, 2);
	desc_set(desc(t, 0), TABLE, 32, VRING_DESC_F_INDIRECT, 0);
	offer_chain(t, 0);
	assert_broken(t);
	/* Not negotiated. */
	enable_anew(t);
	t->q.indirect = false;
	desc_set(inner(t, 0), DATA, 1, 0, 0);
	desc_set(desc(t, 0), TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	offer_chain(t, 0);
	assert_broken(t);
}

static void test_longest_chain(void **state)
{
	struct ctx *t = *state;

	for (u16 i = 0; i < VIRTQUEUE_MAX; i++)
		desc_set(inner(t, i), DATA + i, 1, i + 1 < VIRTQUEUE_MAX ? VRING_DESC_F_NEXT : 0,
			 (u16)(i + 1));
	desc_set(desc(t, 0), TABLE, 16 * VIRTQUEUE_MAX, VRING_DESC_F_INDIRECT, 0);
	offer_chain(t, 0);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
	assert_int_equal(t->c.n_out, VIRTQUEUE_MAX);
	/* One more than the list holds, by a direct descriptor before the table. */
	desc_set(desc(t, 1), DATA, 1, VRING_DESC_F_NEXT, 0);
	offer_chain(t, 1);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), -EIO);
}

static void test_flags(void **state)
{
	struct ctx *t = *state;

	desc_set(desc(t, 0), DATA, 1, 0, 0);
	assert_false(virtqueue_listen(&t->q, false));
	assert_int_equal(used(t)[0], VRING_USED_F_NO_NOTIFY);
	offer_chain(t, 0);
	/* Something came meanwhile: no kick will come for it. */
	assert_true(virtqueue_listen(&t->q, true));
	assert_int_equal(used(t)[0], 0);
	assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
	assert_false(virtqueue_listen(&t->q, true));
	virtqueue_push(&t->q, 0, 0);
	assert_true(virtqueue_wants_interrupt(&t->q));
	avail(t)[0] = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(virtqueue_wants_interrupt(&t->q));
}

static void test_event_index(void **state)
{
	struct ctx *t = *state;
	u16 *used_event = avail(t) + 2 + SIZE;
	u16 *avail_event = (u16 *)(void *)(t->f.ram + USED + 4 + 8 * SIZE);

	t->q.event_idx = true;
	desc_set(desc(t, 0), DATA, 1, 0, 0);
	avail(t)[0] = VRING_AVAIL_F_NO_INTERRUPT; /* without meaning now */
	for (unsigned i = 0; i < 70000; i++) {
		bool want = i % 3 == 1;

		*used_event = (u16)(want ? i : i + 100);
		offer_chain(t, 0);
		assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
		virtqueue_push(&t->q, 0, 0);
		/* The first one always: nobody knows yet what the driver saw before. */
		assert_int_equal(virtqueue_wants_interrupt(&t->q), want || i == 0);
		virtqueue_listen(&t->q, true);
		assert_int_equal(*avail_event, (u16)(i + 1));
	}
	/* Several at once: an event anywhere among them counts. */
	*used_event = (u16)(70000 + 1);
	for (unsigned i = 0; i < 3; i++) {
		offer_chain(t, 0);
		assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
		virtqueue_push(&t->q, 0, 0);
	}
	assert_true(virtqueue_wants_interrupt(&t->q));
	assert_false(virtqueue_wants_interrupt(&t->q));
}

/*
 * Publishes @n chains without a look in between, as for a driver that adds faster than it is
 * served.
 */
static void publish_unlooked(struct ctx *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		offer_chain(t, 0);
		assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
		virtqueue_push(&t->q, 0, 0);
	}
}

/* The used index has 65536 values: behind as many chains it is where it was at the last look. */
static void test_used_index_goes_round_between_two_looks(void **state)
{
	static const unsigned rounds[] = { 65535, 65536, 65537, 65536 + 5, 131072, 131072 + 5 };
	struct ctx *t = *state;
	u16 *used_event = avail(t) + 2 + SIZE;

	desc_set(desc(t, 0), DATA, 1, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rounds); i++) {
		publish_unlooked(t, rounds[i]);
		assert_true(virtqueue_wants_interrupt(&t->q));
		assert_false(virtqueue_wants_interrupt(&t->q));
	}
	t->q.event_idx = true;
	publish_unlooked(t, 1);
	assert_true(virtqueue_wants_interrupt(&t->q)); /* always the first one */
	for (size_t i = 0; i < ARRAY_SIZE(rounds); i++) {
		/* Passed in the first round only. */
		*used_event = (u16)(used(t)[1] + 7);
		publish_unlooked(t, rounds[i]);
		assert_true(virtqueue_wants_interrupt(&t->q));
		assert_false(virtqueue_wants_interrupt(&t->q));
	}
	/* And few chains are few again. */
	*used_event = (u16)(used(t)[1] + 7);
	publish_unlooked(t, 3);
	assert_false(virtqueue_wants_interrupt(&t->q));
}

static void test_rings_overlap(void **state)
{
	struct ctx *t = *state;

	/* All three rings and the data at one place: nonsense, but memory-safe. */
	const struct queue_place place = { SIZE, DESC, DESC, DESC };

	assert_int_equal(ring_enable(&t->q, &t->f, &place, 0), 0);
	for (unsigned i = 0; i < 1000; i++) {
		t->f.ram[DESC + i % 256] = (u8)(i * 37);
		if (virtqueue_pop(&t->q, &t->c) == 1)
			virtqueue_push(&t->q, t->c.head, 1);
		t->q.broken = false;
	}
}

struct racer {
	struct ctx *t;
	bool stop;
};

static void *scribble_over_rings(void *arg)
{
	struct racer *r = arg;
	u32 x = 1;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		x = x * 1664525 + 1013904223;
		__atomic_store_n(&r->t->f.ram[DESC + (x >> 8) % 0x3000], (u8)(x >> 24),
				 __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A second processor rewrites the rings all the time: what comes out must stay inside RAM. */
static void test_concurrent_scribbling(void **state)
{
	struct ctx *t = *state;
	struct racer r = { t, false };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, scribble_over_rings, &r), 0);
	for (unsigned i = 0; i < 200000; i++) {
		t->q.broken = false;
		if (virtqueue_pop(&t->q, &t->c) == 1) {
			for (unsigned k = 0; k < t->c.n_out + t->c.n_in; k++) {
				u8 *p = t->c.iov[k].iov_base;
				size_t len = t->c.iov[k].iov_len;
				bool low = p >= t->f.ram && len <= FAKE_RAM &&
					   p + len <= t->f.ram + FAKE_RAM;
				bool high = p >= t->f.high && p + len <= t->f.high + FAKE_HIGH_RAM;

				assert_true(low || high);
			}
			assert_true(t->c.head < SIZE);
			virtqueue_push(&t->q, t->c.head, 1);
		}
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static void test_iov(void **state)
{
	char a[4] = "abc", b[1] = "d", c[6] = "efghi";
	struct iovec v[] = { { a, 3 }, { b, 1 }, { c, 5 } };
	char out[16] = "";

	(void)state;
	assert_int_equal(iov_read(v, 3, 2, out, 4), 4);
	assert_memory_equal(out, "cdef", 4);
	assert_int_equal(iov_read(v, 3, 7, out, 16), 2);
	assert_int_equal(iov_read(v, 3, 9, out, 1), 0);
	assert_int_equal(iov_read(v, 3, UINT64_MAX, out, 1), 0);
	assert_int_equal(iov_write(v, 3, 2, "XYZ", 3), 3);
	assert_memory_equal(a, "abX", 3);
	assert_int_equal(b[0], 'Y');
	assert_int_equal(c[0], 'Z');
	assert_int_equal(iov_cut(v, 3, 2, 4), 3);
	assert_int_equal(v[0].iov_len, 1);
	assert_int_equal(v[2].iov_len, 2);
	assert_int_equal(iov_cut(v, 3, 2, 0), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_chain),
		TEST(test_setup_refused),
		TEST(test_last_page_and_sizes),
		TEST(test_head_out_of_range),
		TEST(test_next_out_of_range),
		TEST(test_self_loop),
		TEST(test_long_loop),
		TEST(test_avail_jump),
		TEST(test_avail_backwards),
		TEST(test_index_wraps),
		TEST(test_bad_buffers),
		TEST(test_writable_before_readable),
		TEST(test_indirect),
		TEST(test_indirect_refused),
		TEST(test_indirect_inside),
		TEST(test_longest_chain),
		TEST(test_flags),
		TEST(test_event_index),
		TEST(test_used_index_goes_round_between_two_looks),
		TEST(test_rings_overlap),
		TEST(test_concurrent_scribbling),
		cmocka_unit_test(test_iov),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
