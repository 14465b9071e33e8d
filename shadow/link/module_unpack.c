// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decompresses a .ko that a distribution installed as .ko.xz, .ko.zst or .ko.gz, as kmod does
 * before it loads one. The size is not known before, and the file is a stranger's: the output is
 * bounded, and so is the memory that a decoder may take.
 */
#define ZLIB_CONST /* zlib reads through const pointers only if asked to */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "shadow/link/module_int.h"

#define XZ_MEMORY ((u64)128 << 20) /* of a decoder; xz -9 needs 65 MiB */
#define ZSTD_LOG  27		   /* of its window; zstd -22 has 128 MiB */

/* A file while it is decompressed. */
struct unpack {
	const u8 *in;
	size_t in_len;
	u8 *out;
	size_t len, size, max; /* len of size bytes are used, at most max are allowed */
};

/* Makes room for more output. -EFBIG: it has the greatest size allowed. */
static int unpack_grow(struct unpack *u)
{
	size_t size = u->size ? u->size * 2 : u->in_len * 4;
	u8 *out;

	if (u->len < u->size)
		return 0;
	if (u->size == u->max)
		return -EFBIG;
	size = size < u->max ? size : u->max;
	out = realloc(u->out, size);
	if (!out)
		return -ENOMEM;
	u->out = out;
	u->size = size;
	return 0;
}

static int unpack_xz(struct unpack *u)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret r = lzma_stream_decoder(&s, XZ_MEMORY, LZMA_CONCATENATED);
	int ret = r == LZMA_OK ? 0 : -ENOMEM;

	s.next_in = u->in;
	s.avail_in = u->in_len;
	while (!ret && r != LZMA_STREAM_END) {
		ret = unpack_grow(u);
		if (ret)
			break;
		s.next_out = u->out + u->len;
		s.avail_out = u->size - u->len;
		r = lzma_code(&s, LZMA_FINISH);
		u->len = u->size - s.avail_out;
		if (r != LZMA_OK && r != LZMA_STREAM_END)
			ret = r == LZMA_MEM_ERROR ? -ENOMEM : -EINVAL;
	}
	lzma_end(&s);
	return ret;
}

static int unpack_zstd(struct unpack *u)
{
	ZSTD_inBuffer in = { u->in, u->in_len, 0 };
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	size_t left = 1;
	int ret = ctx ? 0 : -ENOMEM;

	if (ctx)
		ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_LOG);
	/* 0: a frame has ended, another may follow. */
	while (!ret && (left || in.pos < in.size)) {
		size_t before = in.pos;
		ZSTD_outBuffer out;

		ret = unpack_grow(u);
		if (ret)
			break;
		out = (ZSTD_outBuffer){ u->out, u->size, u->len };
		left = ZSTD_decompressStream(ctx, &out, &in);
		if (ZSTD_isError(left) || (left && in.pos == before && out.pos == u->len))
			ret = -EINVAL;
		u->len = out.pos;
	}
	ZSTD_freeDCtx(ctx);
	return ret;
}

static int unpack_gzip(struct unpack *u)
{
	z_stream s = { 0 };
	int ret = inflateInit2(&s, 16 + MAX_WBITS) == Z_OK ? 0 : -ENOMEM, r = Z_OK;

	if (ret)
		return ret;
	s.next_in = u->in;
	s.avail_in = (uInt)u->in_len;
	while (!ret && (r != Z_STREAM_END || s.avail_in)) {
		if (r == Z_STREAM_END && inflateReset(&s) != Z_OK) /* another member follows */
			ret = -EINVAL;
		if (!ret)
			ret = unpack_grow(u);
		if (ret)
			break;
		s.next_out = u->out + u->len;
		s.avail_out = (uInt)(u->size - u->len);
		r = inflate(&s, Z_NO_FLUSH);
		/* Z_BUF_ERROR: nothing could be done, for want of input */
		if (r != Z_OK && r != Z_STREAM_END)
			ret = r == Z_MEM_ERROR ? -ENOMEM : -EINVAL;
		u->len = u->size - s.avail_out;
	}
	inflateEnd(&s);
	return ret;
}

static const struct unpacker {
	const char *name;
	const char *magic;
	size_t magic_len;
	int (*unpack)(struct unpack *u); /* NULL: known by name only */
} unpackers[] = {
	{ "xz",
	  "\xfd"
	  "7zXZ",
	  6, unpack_xz },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, unpack_zstd },
	{ "gzip", "\x1f\x8b", 2, unpack_gzip },
	{ "bzip2", "BZh", 3, NULL },
	{ "LZ4", "\x04\x22\x4d\x18", 4, NULL },
	{ "LZO", "\x89LZO", 4, NULL },
};

int module_unpack(u8 **data, size_t *len, size_t max, const char *label, struct err *e)
{
	struct unpack u = { .in = *data, .in_len = *len, .max = max };
	const struct unpacker *k = NULL;
	int ret;

	for (size_t i = 0; !k && i < ARRAY_SIZE(unpackers); i++)
		if (*len >= unpackers[i].magic_len &&
		    !memcmp(*data, unpackers[i].magic, unpackers[i].magic_len))
			k = &unpackers[i];
	if (!k)
		return 0;
	if (!k->unpack)
		return err_set(e, -EOPNOTSUPP,
			       "%s: compressed by %s; drivers as .xz, .zst or .gz are read here",
			       label, k->name);
	ret = k->unpack(&u);
	if (ret) {
		free(u.out);
		if (ret == -ENOMEM)
			return err_set(e, ret, "%s: out of memory", label);
		if (ret == -EFBIG)
			return err_set(
				e, ret,
				"%s: too large once decompressed (at most %zu bytes are read)",
				label, max);
		return err_set(e, ret, "%s: its %s data does not decompress: damaged, or cut off",
			       label, k->name);
	}
	if (!u.len) {
		free(u.out);
		return err_set(e, -EINVAL, "%s: the file that it holds is empty", label);
	}
	free(*data);
	*data = u.out;
	*len = u.len;
	return 0;
}
