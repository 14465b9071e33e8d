// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decodes instructions of any bytes: what is decoded lies within the bytes that were given, is the
 * same whatever stands behind it, and is none as soon as its last byte is missing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/x86_insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_register(u8 n)
{
	return n < 16 || n == X86_NONE;
}

static void check_fields(const struct x86_insn *in, size_t left)
{
	if (!in->length || in->length > left || in->length > X86_INSN_MAX)
		abort();
	if (in->kind > X86_INDIRECT || in->segment > X86_SEG_GS)
		abort();
	if (in->kind != X86_DIRECT && in->rel)
		abort();
	if (!(is_register(in->base) || in->base == X86_RIP) || !is_register(in->index) ||
	    (in->base == X86_RIP && in->index != X86_NONE))
		abort();
	if (in->scale != 1 && in->scale != 2 && in->scale != 4 && in->scale != 8)
		abort();
	if (!in->has_mem && (in->disp || in->width || in->base != X86_NONE))
		abort();
	if (in->width > 512)
		abort();
}

static bool same(const struct x86_insn *a, const struct x86_insn *b)
{
	return a->length == b->length && a->kind == b->kind && a->rel == b->rel &&
	       a->has_mem == b->has_mem && a->base == b->base && a->index == b->index &&
	       a->scale == b->scale && a->segment == b->segment && a->disp == b->disp &&
	       a->width == b->width;
}

/* Decodes a copy of exactly @n bytes, so that the sanitizer sees a read behind them. */
static int decode_exactly(const u8 *data, size_t n, struct x86_insn *in)
{
	u8 *copy = malloc(n ? n : 1);
	int ret;

	if (!copy)
		abort();
	memcpy(copy, data, n);
	ret = x86_decode(copy, n, in);
	free(copy);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x86_insn in, again;
	size_t at = 0;

	while (at < size) {
		u8 other[X86_INSN_MAX];

		if (x86_decode(data + at, size - at, &in)) {
			at++;
			continue;
		}
		check_fields(&in, size - at);
		if (decode_exactly(data + at, in.length, &again) || !same(&in, &again))
			abort();
		if (!decode_exactly(data + at, in.length - 1U, &again))
			abort();
		memset(other, 0xa5, sizeof(other));
		memcpy(other, data + at, in.length);
		if (x86_decode(other, sizeof(other), &again) || !same(&in, &again))
			abort();
		at += in.length;
	}
	return 0;
}
