// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests virtio-balloon: which pages are given back and which are not, target and actual size,
 * statistics, and reports of free pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <linux/virtio_balloon.h>

#include "base/clock.h"
#include "devices/virtio_balloon.h"
#include "tests/unit/devices/driver_fixture.h"

#define DATA	 0x10000ULL /* buffers of the driver */
#define PAGES	 (FAKE_RAM / 4096)
#define INFLATE	 0
#define DEFLATE	 1
#define STATS	 2
#define F(bit)	 (1ULL << VIRTIO_BALLOON_F_##bit)
#define MARK	 0x5a
#define HIGH_PFN ((u32)(FAKE_HIGH >> 12))

struct ctx {
	struct fake_host f;
	struct virtio_balloon *b;
	struct fixture_driver d;
	unsigned changes; /* atomic */
};

static void on_changed(void *arg)
{
	struct ctx *t = arg;

	__atomic_fetch_add(&t->changes, 1, __ATOMIC_ACQ_REL);
}

static int setup(void **state)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));
	const struct virtio_balloon_params params = { true, true, on_changed, t };

	assert_non_null(t);
	assert_int_equal(virtio_balloon_create(&t->b, &params), 0);
	assert_int_equal(virtio_create(&t->d.v, &t->f.host, virtio_balloon_type(t->b), t->b), 0);
	virtio_balloon_attach(t->b, t->d.v);
	t->d.f = &t->f;
	driver_start(&t->d, F(STATS_VQ) | F(REPORTING));
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	virtio_destroy(t->d.v);
	virtio_balloon_destroy(t->b);
	free(t);
	return 0;
}

static struct balloon_state look(struct ctx *t)
{
	struct balloon_state s;

	virtio_balloon_look(t->b, &s);
	return s;
}

/* Marks the first byte and the last one of the RAM's pages from 32 on, and of those at 4 GiB. */
static void mark_pages(struct ctx *t)
{
	for (unsigned i = 32; i < PAGES; i++)
		t->f.ram[i * 4096] = t->f.ram[i * 4096 + 4095] = MARK;
	for (unsigned i = 0; i < FAKE_HIGH_RAM / 4096; i++)
		t->f.high[i * 4096] = t->f.high[i * 4096 + 4095] = MARK;
}

static bool page_is_marked(const struct ctx *t, u32 pfn)
{
	const u8 *p =
		pfn >= HIGH_PFN ? t->f.high + (pfn - HIGH_PFN) * 4096U : t->f.ram + pfn * 4096U;

	assert_int_equal(p[0], p[4095]);
	return p[0] == MARK;
}

static unsigned marked(const struct ctx *t)
{
	unsigned n = 0;

	for (u32 i = 32; i < PAGES; i++)
		n += page_is_marked(t, i);
	for (u32 i = 0; i < FAKE_HIGH_RAM / 4096; i++)
		n += page_is_marked(t, HIGH_PFN + i);
	return n;
}

/* Offers the numbers to @queue and waits for the answer; returns what driver_wait() does. */
static s64 offer_pages(struct ctx *t, unsigned queue, const u32 *pfns, size_t bytes)
{
	memcpy(t->f.ram + DATA, pfns, bytes);
	driver_offer(&t->d, queue, DATA, (u32)bytes, false);
	return driver_wait(&t->d, queue);
}

static void test_inflate(void **state)
{
	static const u32 pfns[] = { 41, 40, 50, 42, 50 };
	struct ctx *t = *state;
	unsigned before;

	mark_pages(t);
	before = marked(t);
	assert_int_equal(offer_pages(t, INFLATE, pfns, sizeof(pfns)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pfns); i++)
		assert_false(page_is_marked(t, pfns[i]));
	assert_int_equal(marked(t), before - 4);
	/* Neighbours go together. */
	assert_int_equal(t->f.discards, 2);
	assert_int_equal(look(t).inflated, 4 * 4096);
	assert_int_equal(offer_pages(t, DEFLATE, pfns, sizeof(pfns)), 0);
	assert_int_equal(marked(t), before - 4);
	assert_int_equal(t->f.discards, 2);
}

static void test_pages_that_are_no_ram(void **state)
{
	static const u32 pfns[] = { PAGES,     UINT32_MAX,   0xc0000,	     0xfffc0,
				    PAGES - 1, PAGES + 1,    HIGH_PFN - 1,   HIGH_PFN + 1,
				    HIGH_PFN,  HIGH_PFN + 2, UINT32_MAX - 1, PAGES - 2 };
	struct ctx *t = *state;
	unsigned before;

	mark_pages(t);
	before = marked(t);
	assert_int_equal(offer_pages(t, INFLATE, pfns, sizeof(pfns)), 0);
	assert_int_equal(marked(t), before - 4);
	assert_false(page_is_marked(t, PAGES - 1) || page_is_marked(t, PAGES - 2));
	assert_false(page_is_marked(t, HIGH_PFN) || page_is_marked(t, HIGH_PFN + 1));
	assert_int_equal(t->f.bad_discards, 0);
	assert_int_equal(t->f.discarded, 4 * 4096);
	assert_false(driver_broken(&t->d));
}

/* What is behind the last whole number is none. */
static void test_half_a_number(void **state)
{
	static const u32 pfns[] = { 40, 41 };
	struct ctx *t = *state;

	mark_pages(t);
	assert_int_equal(offer_pages(t, INFLATE, pfns, 7), 0);
	assert_false(page_is_marked(t, 40));
	assert_true(page_is_marked(t, 41));
	assert_int_equal(offer_pages(t, INFLATE, pfns, 3), 0);
	assert_int_equal(t->f.discards, 1);
}

static void test_wrong_chains(void **state)
{
	static const u32 pfns[PAGES + 1] = { 0 };
	struct ctx *t = *state;
	const u64 features = F(STATS_VQ);

	/* As many as there are is no error, one more is. */
	assert_int_equal(offer_pages(t, INFLATE, pfns, sizeof(pfns) - 4), 0);
	assert_int_equal(offer_pages(t, INFLATE, pfns, sizeof(pfns)), -1);
	assert_true(driver_broken(&t->d));
	/* No numbers; no statistics; a queue that was not negotiated. */
	for (unsigned queue = INFLATE; queue <= 4; queue++) {
		driver_start(&t->d, features);
		driver_offer(&t->d, queue, DATA, 4096, queue <= STATS);
		for (unsigned i = 0; i < 5000 && !driver_broken(&t->d); i++)
			driver_nap();
		assert_true(driver_broken(&t->d));
	}
	/* A report that the device would have to read. */
	driver_start(&t->d, features | F(REPORTING));
	driver_offer(&t->d, 4, DATA, 4096, false);
	assert_int_equal(driver_wait(&t->d, 4), -1);
	assert_int_equal(t->f.bad_discards, 0);
	driver_start(&t->d, features);
	assert_int_equal(offer_pages(t, INFLATE, pfns, 4), 0);
}

static u32 config_get(struct ctx *t, u32 at)
{
	u32 value = 0;

	virtio_config_io(t->d.v, at, &value, sizeof(value), false);
	return value;
}

static void config_put(struct ctx *t, u32 at, u64 value, unsigned len)
{
	virtio_config_io(t->d.v, at, &value, len, true);
}

static void test_target(void **state)
{
	struct ctx *t = *state;
	u32 generation = driver_get(&t->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	assert_int_equal(look(t).total, FAKE_RAM);
	assert_int_equal(look(t).target, FAKE_RAM);
	assert_int_equal(look(t).actual, FAKE_RAM);
	virtio_balloon_set_target(t->b, FAKE_RAM - 10 * 4096 + 1);
	assert_int_equal(look(t).target, FAKE_RAM - 10 * 4096);
	assert_int_equal(config_get(t, 0), 10);
	assert_int_equal(driver_get(&t->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation + 1);
	assert_int_equal(virtio_isr(t->d.v), 2);
	/* The same again is no news. */
	virtio_balloon_set_target(t->b, FAKE_RAM - 10 * 4096);
	assert_int_equal(virtio_isr(t->d.v), 0);
	virtio_balloon_set_target(t->b, UINT64_MAX);
	assert_int_equal(config_get(t, 0), 0);
	virtio_balloon_set_target(t->b, 0);
	assert_int_equal(config_get(t, 0), PAGES);
	/* The target is not the driver's to write. */
	config_put(t, 0, 3, 4);
	assert_int_equal(config_get(t, 0), PAGES);
}

static void test_actual(void **state)
{
	struct ctx *t = *state;

	config_put(t, 4, 10, 4);
	assert_int_equal(t->changes, 1);
	assert_int_equal(config_get(t, 4), 10);
	/* Nobody has looked: the changes are one. */
	config_put(t, 4, 11, 4);
	assert_int_equal(t->changes, 1);
	assert_int_equal(look(t).actual, FAKE_RAM - 11 * 4096);
	config_put(t, 4, 11, 4);
	assert_int_equal(t->changes, 1);
	config_put(t, 4, 12, 4);
	assert_int_equal(t->changes, 2);
	/* Other widths and places are no register. */
	config_put(t, 4, 99, 2);
	config_put(t, 4, 99, 8);
	config_put(t, 5, 99, 4);
	config_put(t, 4092, 99, 4);
	assert_int_equal(config_get(t, 4), 12);
	/* No driver holds more than there is. */
	config_put(t, 4, UINT32_MAX, 4);
	assert_int_equal(look(t).actual, 0);
	/* A reset forgets it, and tells; the target is the host's. */
	virtio_balloon_set_target(t->b, 4096);
	registers_reset(t->d.v);
	assert_int_equal(t->changes, 3);
	assert_int_equal(look(t).actual, FAKE_RAM);
	assert_int_equal(look(t).target, 4096);
	assert_false(look(t).driver);
	config_put(t, 4, 10, 4);
	assert_int_equal(look(t).actual, FAKE_RAM);
}

static void test_memory_that_stays(void **state)
{
	static const u32 pfns[] = { 40, 41 };
	struct ctx *t = *state;

	mark_pages(t);
	t->f.discard_error = EOPNOTSUPP;
	assert_int_equal(offer_pages(t, INFLATE, pfns, sizeof(pfns)), 0);
	assert_true(page_is_marked(t, 40));
	assert_int_equal(look(t).inflated, 0);
}

/* --- statistics ------------------------------------------------------------------------------ */

struct stat {
	u16 tag;
	u64 value;
} __attribute__((packed));

static void offer_stats(struct ctx *t, const struct stat *s, size_t n)
{
	memcpy(t->f.ram + DATA, s, n * sizeof(*s));
	driver_offer(&t->d, STATS, DATA, (u32)(n * sizeof(*s)), false);
}

static void await_stats(struct ctx *t, u64 count)
{
	for (unsigned i = 0; i < 5000 && look(t).stats.count < count; i++)
		driver_nap();
	assert_int_equal(look(t).stats.count, count);
}

static void test_stats(void **state)
{
	static const struct stat first[] = { { VIRTIO_BALLOON_S_MEMFREE, 1234567 },
					     { 700, 3 },
					     { VIRTIO_BALLOON_S_HTLB_PGFAIL, 0 },
					     { VIRTIO_BALLOON_S_MEMTOT, UINT64_MAX - 1 } };
	static const struct stat second[] = { { VIRTIO_BALLOON_S_AVAIL, 5 } };
	struct ctx *t = *state;
	struct balloon_stats s = look(t).stats;
	u32 len;

	assert_int_equal(s.updated, 0);
	for (unsigned i = 0; i < BALLOON_STATS; i++)
		assert_true(s.value[i] == BALLOON_STAT_UNKNOWN);
	offer_stats(t, first, ARRAY_SIZE(first));
	await_stats(t, 1);
	s = look(t).stats;
	assert_true(s.updated > 1700000000);
	assert_int_equal(s.value[BALLOON_STAT_FREE], 1234567);
	assert_int_equal(s.value[BALLOON_STAT_HUGE_FAILED], 0);
	assert_true(s.value[BALLOON_STAT_TOTAL] == UINT64_MAX - 1);
	assert_true(s.value[BALLOON_STAT_SWAP_IN] == BALLOON_STAT_UNKNOWN);
	/* The buffer is kept until there is a wish for more. */
	assert_false(driver_take(&t->d, STATS, &len));
	virtio_balloon_refresh(t->b);
	assert_int_equal(driver_wait(&t->d, STATS), 0);
	offer_stats(t, second, ARRAY_SIZE(second));
	await_stats(t, 2);
	s = look(t).stats;
	assert_int_equal(s.value[BALLOON_STAT_AVAILABLE], 5);
	assert_true(s.value[BALLOON_STAT_FREE] == BALLOON_STAT_UNKNOWN);
	assert_false(driver_take(&t->d, STATS, &len));
	/* A buffer of no length is none; statistics do not outlive a reset. */
	offer_stats(t, first, 0);
	assert_int_equal(driver_wait(&t->d, STATS), -1);
	assert_true(driver_broken(&t->d));
	driver_start(&t->d, F(STATS_VQ));
	assert_int_equal(look(t).stats.updated, 0);
	offer_stats(t, first, 1);
	await_stats(t, 3);
	/* A second buffer takes the place of the first. */
	offer_stats(t, second, 1);
	assert_int_equal(driver_wait(&t->d, STATS), 0);
	await_stats(t, 4);
}

static void test_interval(void **state)
{
	static const struct stat one[] = { { VIRTIO_BALLOON_S_MEMFREE, 1 } };
	struct ctx *t = *state;
	s64 start;

	offer_stats(t, one, 1);
	await_stats(t, 1);
	/* The first wish is for now, the others come by themselves. */
	virtio_balloon_set_interval(t->b, 1);
	assert_int_equal(driver_wait(&t->d, STATS), 0);
	start = now_ms();
	for (unsigned i = 2; i < 4; i++) {
		offer_stats(t, one, 1);
		await_stats(t, i);
		assert_int_equal(driver_wait(&t->d, STATS), 0);
	}
	assert_true(now_ms() - start >= 2000);
	assert_int_equal(look(t).interval, 1);
	virtio_balloon_set_interval(t->b, 3600);
	virtio_balloon_set_interval(t->b, 0);
	offer_stats(t, one, 1);
	await_stats(t, 4);
	virtio_balloon_refresh(t->b);
	assert_int_equal(driver_wait(&t->d, STATS), 0);
}

/* --- reports --------------------------------------------------------------------------------- */

static void report(struct ctx *t, unsigned queue, u64 addr, u32 len)
{
	driver_offer(&t->d, queue, addr, len, true);
	assert_int_equal(driver_wait(&t->d, queue), 0);
}

static void test_report(void **state)
{
	struct ctx *t = *state;
	unsigned before;

	mark_pages(t);
	before = marked(t);
	report(t, 3, 40 * 4096, 3 * 4096);
	assert_int_equal(marked(t), before - 3);
	assert_int_equal(look(t).reported, 3 * 4096);
	/* Only whole pages: 50 of these. */
	report(t, 4, 50 * 4096 - 1, 2 * 4096);
	assert_int_equal(marked(t), before - 4);
	assert_false(page_is_marked(t, 50));
	report(t, 4, 52 * 4096 + 1, 4095);
	report(t, 4, 53 * 4096, 4095);
	report(t, 4, 54 * 4096 + 1, 4096);
	report(t, 4, 55 * 4096, 1);
	assert_int_equal(marked(t), before - 4);
	assert_int_equal(t->f.bad_discards, 0);
	assert_int_equal(look(t).inflated, 0);
}

/* Without statistics Linux has the reports in queue 2. */
static void test_report_without_stats(void **state)
{
	struct ctx *t = *state;

	driver_start(&t->d, F(REPORTING));
	mark_pages(t);
	report(t, 2, 40 * 4096, 4096);
	report(t, 4, 41 * 4096, 4096);
	assert_false(page_is_marked(t, 40) || page_is_marked(t, 41));
}

/* Free pages that are filled with a value must keep it; zeroes are what a page has afterwards. */
static void test_poison(void **state)
{
	struct ctx *t = *state;

	driver_start(&t->d, F(REPORTING) | F(PAGE_POISON));
	mark_pages(t);
	config_put(t, 12, 0xaaaaaaaa, 4);
	assert_int_equal(config_get(t, 12), 0xaaaaaaaa);
	report(t, 4, 40 * 4096, 4096);
	assert_true(page_is_marked(t, 40));
	config_put(t, 12, 0, 4);
	report(t, 4, 40 * 4096, 4096);
	assert_false(page_is_marked(t, 40));
	/* Who did not negotiate it cannot mean it. */
	driver_start(&t->d, F(REPORTING));
	mark_pages(t);
	config_put(t, 12, 0xaaaaaaaa, 4);
	report(t, 4, 40 * 4096, 4096);
	assert_false(page_is_marked(t, 40));
	registers_reset(t->d.v);
	assert_int_equal(config_get(t, 12), 0);
}

static void test_offers(void **state)
{
	struct ctx *t = *state;
	const struct virtio_balloon_params params = { false, false, NULL, NULL };
	struct virtio_balloon *plain;

	assert_true(virtio_balloon_type(t->b)->features ==
		    (F(STATS_VQ) | F(DEFLATE_ON_OOM) | F(PAGE_POISON) | F(REPORTING)));
	assert_int_equal(virtio_balloon_create(&plain, &params), 0);
	assert_true(virtio_balloon_type(plain)->features == (F(STATS_VQ) | F(PAGE_POISON)));
	virtio_balloon_destroy(plain);
}

static void test_reset_storm(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 200; i++) {
		for (unsigned queue = 0; queue < 5; queue++)
			driver_offer(&t->d, queue, DATA, 256, queue > STATS);
		virtio_balloon_refresh(t->b);
		virtio_balloon_set_interval(t->b, i % 3);
		driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		memset(t->f.ram, 0xcc, FAKE_RAM);
		virtio_balloon_refresh(t->b);
		driver_start(&t->d, F(STATS_VQ) | F(REPORTING));
	}
	assert_int_equal(t->f.bad_discards, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_inflate),
		TEST(test_pages_that_are_no_ram),
		TEST(test_half_a_number),
		TEST(test_wrong_chains),
		TEST(test_target),
		TEST(test_actual),
		TEST(test_memory_that_stays),
		TEST(test_stats),
		TEST(test_interval),
		TEST(test_report),
		TEST(test_report_without_stats),
		TEST(test_poison),
		TEST(test_offers),
		TEST(test_reset_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
