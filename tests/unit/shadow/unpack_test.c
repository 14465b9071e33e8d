// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests drivers that are compressed: read as if they were not, bounded, and refused when damaged.
 */
#define ZLIB_CONST
#include <lzma.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/shadow/dummy_ko.h"

static struct ko compressed_xz(const struct ko *k)
{
	static u8 out[1 << 20];
	struct ko c = { NULL, 0 };

	assert_true(k->len <= sizeof(out));
	assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, k->data, k->len, out,
						 &c.len, sizeof(out)),
			 LZMA_OK);
	c.data = malloc(c.len + 1);
	memcpy(c.data, out, c.len);
	return c;
}

static struct ko compressed_zstd(const struct ko *k)
{
	struct ko c = { malloc(ZSTD_compressBound(k->len)), 0 };

	c.len = ZSTD_compress(c.data, ZSTD_compressBound(k->len), k->data, k->len, 3);
	assert_false(ZSTD_isError(c.len));
	return c;
}

static struct ko compressed_gzip(const struct ko *k)
{
	struct ko c = { malloc(k->len + 4096), 0 };
	z_stream s = { 0 };

	assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	s.next_in = k->data;
	s.avail_in = (uInt)k->len;
	s.next_out = c.data;
	s.avail_out = (uInt)k->len + 4096;
	assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
	c.len = s.total_out;
	deflateEnd(&s);
	return c;
}

static const struct {
	const char *name;
	struct ko (*compress)(const struct ko *k);
} formats[] = { { "xz", compressed_xz }, { "zstd", compressed_zstd }, { "gzip", compressed_gzip } };

static void links_as_if_it_were_not(void **state)
{
	struct ko *k = *state;

	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		struct link_addresses a = made_up_addresses();
		struct ko c = formats[f].compress(k), plain, same;
		struct err e = { "" };
		struct planned one = plan_ko(k), two = plan_ko(&c);

		assert_string_equal(module_name(two.m), "dummy");
		assert_int_equal(emit_copy(&one, &a, "dummy1", "__1", &plain, &e), 0);
		assert_int_equal(emit_copy(&two, &a, "dummy1", "__1", &same, &e), 0);
		assert_int_equal(plain.len, same.len);
		assert_memory_equal(plain.data, same.data, plain.len);
		drop_plan(&one);
		drop_plan(&two);
		free(plain.data);
		free(same.data);
		free(c.data);
	}
}

static int unpack_ko(const struct ko *c, size_t len, size_t max, struct ko *out, struct err *e)
{
	int ret;

	out->data = malloc(len + 1);
	out->len = len;
	memcpy(out->data, c->data, len);
	ret = module_unpack(&out->data, &out->len, max, "x.ko", e);
	return ret;
}

static void damage_is_told(void **state)
{
	struct ko *k = *state;

	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		struct ko c = formats[f].compress(k), out;
		struct err e = { "" };

		for (size_t len = 16; len < c.len; len += 1 + len / 7) {
			assert_int_equal(unpack_ko(&c, len, 1 << 20, &out, &e), -EINVAL);
			assert_non_null(strstr(e.text, "x.ko: its "));
			assert_non_null(strstr(e.text, formats[f].name));
			free(out.data);
		}
		/* something behind it that is no other member */
		c.data[c.len] = 'x';
		assert_int_equal(unpack_ko(&c, c.len + 1, 1 << 20, &out, &e), -EINVAL);
		free(out.data);
		free(c.data);
	}
}

static void members_follow_each_other(void **state)
{
	struct ko *k = *state, half[2] = { { k->data, k->len / 2 },
					   { k->data + k->len / 2, k->len - k->len / 2 } };

	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		struct ko a = formats[f].compress(&half[0]), b = formats[f].compress(&half[1]);
		struct ko both = { malloc(a.len + b.len), a.len + b.len }, out;
		struct err e = { "" };

		memcpy(both.data, a.data, a.len);
		memcpy(both.data + a.len, b.data, b.len);
		assert_int_equal(unpack_ko(&both, both.len, 1 << 20, &out, &e), 0);
		assert_int_equal(out.len, k->len);
		assert_memory_equal(out.data, k->data, k->len);
		free(out.data);
		free(both.data);
		free(a.data);
		free(b.data);
	}
}

/* A megabyte of zeros takes some hundred bytes. */
static void output_is_bounded(void **state)
{
	struct ko zeros = { calloc(1, 1 << 20), 1 << 20 };

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		struct ko c = formats[f].compress(&zeros), out;
		struct err e = { "" };

		assert_int_equal(unpack_ko(&c, c.len, (1 << 20) - 1, &out, &e), -EFBIG);
		assert_non_null(strstr(e.text, "x.ko: too large once decompressed (at most "
					       "1048575 bytes are read)"));
		free(out.data);
		assert_int_equal(unpack_ko(&c, c.len, 1 << 20, &out, &e), 0);
		assert_int_equal(out.len, 1 << 20);
		free(out.data);
		free(c.data);
	}
	free(zeros.data);
}

/* A client's driver is bounded by what it is unpacked, not by how small it is compressed. */
static void a_drivers_bound_is_that_of_its_unpacked_size(void **state)
{
	struct ko *k = *state;
	struct module *m;
	struct err e;

	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		struct ko c = formats[f].compress(k);
		int fd = memfd_create("ko", MFD_CLOEXEC);

		assert_true(c.len < k->len);
		assert_int_equal(write(fd, c.data, c.len), c.len);
		assert_int_equal(module_open_fd(&m, fd, "x.ko", k->len - 1, &e), -EFBIG);
		assert_non_null(strstr(e.text, "x.ko: too large once decompressed"));
		assert_int_equal(module_open_fd(&m, fd, "x.ko", c.len - 1, &e), -EFBIG);
		assert_non_null(strstr(e.text, "x.ko: too large ("));
		assert_int_equal(module_open_fd(&m, fd, "x.ko", k->len, &e), 0);
		module_close(m);
		close(fd);
		free(c.data);
	}
}

static void other_formats_are_named(void **state)
{
	static const struct ko others[] = { { (u8 *)(uintptr_t) "BZh91AY&SY", 10 },
					    { (u8 *)(uintptr_t) "\x04\x22\x4d\x18-----", 9 } };
	struct err e = { "" };
	struct ko out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		assert_int_equal(unpack_ko(&others[i], others[i].len, 1 << 20, &out, &e),
				 -EOPNOTSUPP);
		assert_non_null(strstr(e.text, ".xz, .zst or .gz"));
		free(out.data);
	}
	/* what is not compressed stays as it is */
	assert_int_equal(unpack_ko(&(struct ko){ (u8 *)(uintptr_t) "\x7f"
								   "ELF",
						 4 },
				   4, 1, &out, &e),
			 0);
	assert_int_equal(out.len, 4);
	free(out.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_ko(links_as_if_it_were_not),
		with_ko(damage_is_told),
		with_ko(members_follow_each_other),
		cmocka_unit_test(output_is_bounded),
		with_ko(a_drivers_bound_is_that_of_its_unpacked_size),
		cmocka_unit_test(other_formats_are_named),
	};

	need_images();
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
