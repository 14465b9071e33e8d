// SPDX-License-Identifier: GPL-2.0-only
/* Tests the Internet's checksum over pieces of any length and alignment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "devices/net_sum.h"

#define LEN 70000U

/* RFC 1071 by the letter, in the order of the network; stored as it is returned. */
static u16 plain_checksum(const u8 *p, size_t len)
{
	u32 sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (u32)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	sum = (u16)~sum;
	return __builtin_bswap16((u16)(sum ? sum : 0xffff));
}

static void test_pieces(void **state)
{
	u8 *data = malloc(LEN);
	unsigned seed = 7;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < LEN; i++)
		data[i] = (u8)rand_r(&seed);
	for (unsigned round = 0; round < 2000; round++) {
		size_t from = (size_t)rand_r(&seed) % 9, at = from;
		size_t to = from + (size_t)rand_r(&seed) % (round % 50 ? 300 : LEN - 9);
		struct net_sum s = { 0 };

		while (at < to) {
			size_t part = (size_t)rand_r(&seed) % (round % 2 ? 7 : 4000);

			part = part < to - at ? part : to - at;
			net_sum_add(&s, data + at, part);
			at += part;
		}
		assert_int_equal(net_sum_checksum(&s), plain_checksum(data + from, to - from));
	}
	free(data);
}

/* The greatest sum that a frame can have does not overflow, and 0 is never told. */
static void test_extremes(void **state)
{
	u8 *data = malloc(LEN);
	struct net_sum s = { 0 };

	(void)state;
	assert_non_null(data);
	memset(data, 0xff, LEN);
	net_sum_add(&s, data, LEN);
	assert_int_equal(net_sum_checksum(&s), 0xffff);
	s = (struct net_sum){ 0 };
	for (unsigned i = 0; i < LEN; i++)
		net_sum_add(&s, data, 1);
	assert_int_equal(net_sum_checksum(&s), 0xffff);
	s = (struct net_sum){ 0 };
	assert_int_equal(net_sum_checksum(&s), 0xffff);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
