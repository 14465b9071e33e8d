// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opens and places a kernel file of any content, and loads and uses its symbols. Sizes that a
 * header claims are honoured up to a bound, so that the fuzzer spends its time on parsing, not on
 * memory.
 */
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/kernel.h"

#define PLACE_MAX ((u64)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_kernel(const struct kernel *k)
{
	const struct kernel_export *x;
	char buf[256];
	size_t n;
	u32 off, len;

	x = kernel_exports(k, &n);
	for (size_t i = 0; i < n && i < 64; i++) {
		kernel_prototype(k, x[i].name, buf, sizeof(buf));
		kernel_symbolize(k, x[i].addr, NULL);
	}
	kernel_member(k, "module", "name", &off, &len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kernel_layout *l;
	struct kernel *k;
	struct err e = { "" };
	u8 *mem;

	if (kernel_parse(&k, "fuzz", data, size, true, &e))
		return 0;
	l = kernel_layout(k);
	if (!kernel_payload_opaque(k) && l->span && l->span <= PLACE_MAX) {
		mem = malloc(l->span);
		if (mem)
			kernel_place(k, mem, l->span, l->relocatable ? l->align : 0, &e);
		free(mem);
	}
	kernel_load_symbols(k, &e);
	use_kernel(k);
	kernel_close(k);
	return 0;
}
