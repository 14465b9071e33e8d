// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decompresses the payload of a bzImage, by the libraries of each format.
 *
 * A fast boot depends on LZ4. Its legacy format is a row of blocks that each decompress to 8 MiB
 * and do not refer to each other, so they are decompressed by several threads at once, each
 * straight to its place. The page faults of the fresh memory are part of that work and are shared
 * in the same way; that is why the memory is neither populated nor cleared first.
 */
#define ZLIB_CONST /* zlib reads through const pointers only if asked to */
#include <bzlib.h>
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel_int.h"
#include "shadow/kernel/payload.h"

#define LZ4_MAGIC   0x184c2102u
#define LZ4_BLOCK   ((size_t)8 << 20)
#define LZ4_BLOCKS  128 /* 1 GiB, KERNEL_IMAGE_SIZE */
#define LZ4_THREADS 4
/* More than any dictionary that the kernel's build asks for (xz: 32 MiB, zstd -22: 128 MiB). */
#define XZ_MEMORY ((u64)256 << 20)
#define ZSTD_LOG  28

/* Decodes to exactly @out_len bytes of @out, or fails; 0 or -EINVAL. */
typedef int decode_fn(const u8 *in, size_t len, u8 *out, size_t out_len);

struct lz4_block {
	const u8 *in;
	size_t len;
};

struct lz4_job {
	struct lz4_block blocks[LZ4_BLOCKS];
	size_t n;
	u8 *out;
	size_t out_len;
	atomic_size_t next;
	atomic_bool failed;
};

static void *lz4_worker(void *arg)
{
	struct lz4_job *job = arg;

	for (;;) {
		size_t i = atomic_fetch_add(&job->next, 1);
		size_t at = i * LZ4_BLOCK, want;
		int got;

		if (i >= job->n || atomic_load(&job->failed))
			return NULL;
		want = job->out_len - at < LZ4_BLOCK ? job->out_len - at : LZ4_BLOCK;
		got = LZ4_decompress_safe((const char *)job->blocks[i].in, (char *)job->out + at,
					  (int)job->blocks[i].len, (int)want);
		if (got < 0 || (size_t)got != want)
			atomic_store(&job->failed, true);
	}
}

static int lz4_split(struct lz4_job *job, const u8 *in, size_t len)
{
	size_t at = 4, limit = (size_t)LZ4_COMPRESSBOUND(LZ4_BLOCK);

	while (at < len) {
		size_t size;

		if (len - at < 4)
			return -EINVAL;
		size = load_u32(in + at);
		at += 4;
		/* lz4 -l starts a new frame where its input was a second file. */
		if (size == LZ4_MAGIC)
			continue;
		if (!size || size > limit || size > len - at || job->n == LZ4_BLOCKS)
			return -EINVAL;
		job->blocks[job->n].in = in + at;
		job->blocks[job->n++].len = size;
		at += size;
	}
	/* Only the last block may be short; the number of blocks then follows from the size. */
	return job->n == (job->out_len + LZ4_BLOCK - 1) / LZ4_BLOCK ? 0 : -EINVAL;
}

static int decode_lz4(const u8 *in, size_t len, u8 *out, size_t out_len)
{
	struct lz4_job job = { .out = out, .out_len = out_len };
	pthread_t threads[LZ4_THREADS];
	size_t want, n = 0;
	cpu_set_t set;
	int ret, cpus;

	ret = lz4_split(&job, in, len);
	if (ret)
		return ret;
	/* The CPUs that this process may use; sysconf() would read a file for all CPUs. */
	cpus = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
	want = cpus > LZ4_THREADS ? LZ4_THREADS : cpus > 1 ? (size_t)cpus : 1;
	if (want > job.n)
		want = job.n;
	/* This thread works, too; if others cannot be made, it does all the work. */
	while (n + 1 < want && !pthread_create(&threads[n], NULL, lz4_worker, &job))
		n++;
	lz4_worker(&job);
	while (n)
		pthread_join(threads[--n], NULL);
	return atomic_load(&job.failed) ? -EINVAL : 0;
}

static int decode_xz(const u8 *in, size_t len, u8 *out, size_t out_len)
{
	size_t in_pos = 0, out_pos = 0;
	u64 memory = XZ_MEMORY;

	if (lzma_stream_buffer_decode(&memory, 0, NULL, in, &in_pos, len, out, &out_pos, out_len) !=
	    LZMA_OK)
		return -EINVAL;
	return out_pos == out_len ? 0 : -EINVAL;
}

static int decode_lzma(const u8 *in, size_t len, u8 *out, size_t out_len)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret ret;

	if (lzma_alone_decoder(&s, XZ_MEMORY) != LZMA_OK)
		return -EINVAL;
	s.next_in = in;
	s.avail_in = len;
	s.next_out = out;
	s.avail_out = out_len;
	do {
		ret = lzma_code(&s, LZMA_FINISH);
	} while (ret == LZMA_OK && s.avail_out);
	lzma_end(&s);
	/* A stream without an end marker ends with LZMA_OK or LZMA_BUF_ERROR and full output. */
	return s.avail_out ? -EINVAL : 0;
}

static int decode_zstd(const u8 *in, size_t len, u8 *out, size_t out_len)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	size_t n;

	if (!ctx)
		return -EINVAL;
	ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_LOG);
	n = ZSTD_decompressDCtx(ctx, out, out_len, in, len);
	ZSTD_freeDCtx(ctx);
	return !ZSTD_isError(n) && n == out_len ? 0 : -EINVAL;
}

static int decode_gzip(const u8 *in, size_t len, u8 *out, size_t out_len)
{
	z_stream s = { 0 };
	int ret;

	if (len > UINT32_MAX || out_len > UINT32_MAX || inflateInit2(&s, 16 + MAX_WBITS) != Z_OK)
		return -EINVAL;
	s.next_in = in;
	s.avail_in = (uInt)len;
	s.next_out = out;
	s.avail_out = (uInt)out_len;
	ret = inflate(&s, Z_FINISH);
	inflateEnd(&s);
	return ret == Z_STREAM_END && !s.avail_out ? 0 : -EINVAL;
}

static int decode_bzip2(const u8 *in, size_t len, u8 *out, size_t out_len)
{
	bz_stream s = { 0 };
	int ret;

	if (len > UINT32_MAX || out_len > UINT32_MAX || BZ2_bzDecompressInit(&s, 0, 0) != BZ_OK)
		return -EINVAL;
	/* The library reads but does not write through next_in. */
	s.next_in = (char *)(uintptr_t)in;
	s.avail_in = (unsigned)len;
	s.next_out = (char *)out;
	s.avail_out = (unsigned)out_len;
	ret = BZ2_bzDecompress(&s);
	BZ2_bzDecompressEnd(&s);
	return ret == BZ_STREAM_END && !s.avail_out ? 0 : -EINVAL;
}

static int decode_none(const u8 *in, size_t len, u8 *out, size_t out_len)
{
	if (len != out_len)
		return -EINVAL;
	memcpy(out, in, len);
	return 0;
}

static const struct format {
	const char *name;
	const char *magic;
	size_t magic_len;
	size_t trailer;	   /* bytes that the build appended: the size */
	decode_fn *decode; /* NULL: known by name only */
} formats[] = {
	{ "LZ4", "\x02\x21\x4c\x18", 4, 4, decode_lz4 },
	{ "XZ",
	  "\xfd"
	  "7zXZ",
	  6, 4, decode_xz },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, 4, decode_zstd },
	{ "gzip", "\x1f\x8b", 2, 0, decode_gzip },
	{ "bzip2", "BZh", 3, 4, decode_bzip2 },
	{ "LZMA", "\x5d\x00\x00", 3, 4, decode_lzma },
	{ "LZO", "\x89LZO", 4, 4, NULL },
	{ "none",
	  "\x7f"
	  "ELF",
	  4, 0, decode_none },
};

static const struct format *find_format(const u8 *data, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (len > formats[i].magic_len + 4 &&
		    !memcmp(data, formats[i].magic, formats[i].magic_len))
			return &formats[i];
	return NULL;
}

int payload_unpack(struct payload *p, const u8 *data, size_t len, size_t max, struct err *e)
{
	const struct format *f = find_format(data, len);
	size_t size;
	u8 *buf;

	p->format = f ? f->name : NULL;
	if (!f || !f->decode)
		return err_set(e, -EOPNOTSUPP, "the payload's compression (%s) is not decoded here",
			       f ? f->name : "unknown");
	size = f->decode == decode_none ? len : load_u32(data + len - 4);
	if (!size || size > max)
		return err_set(
			e, -EINVAL,
			"the %s payload claims to hold %zu bytes, at most %zu can be: damaged",
			f->name, size, max);
	buf = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (buf == MAP_FAILED)
		return err_set(e, -ENOMEM, "out of memory");
	/* Huge pages save faults where the host allows them; nothing depends on it. */
	madvise(buf, size, MADV_HUGEPAGE);
	if (f->decode(data, len - f->trailer, buf, size)) {
		payload_free(buf, size);
		return err_set(e, -EINVAL, "the %s payload does not decompress: damaged", f->name);
	}
	p->data = buf;
	p->len = size;
	return 0;
}

void payload_free(u8 *data, size_t len)
{
	if (data)
		munmap(data, len);
}
