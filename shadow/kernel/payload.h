/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decompresses the payload of a bzImage on the host.
 *
 * Known: LZ4 in its legacy format, XZ (with the x86 BCJ filter), zstd, gzip, bzip2, LZMA, and a
 * payload that is not compressed. The kernel's build appends the decompressed size to each of them
 * (gzip has it anyway), so the memory is allocated once, exactly, and a payload that yields any
 * other size is refused.
 */
#ifndef UMBRA_SHADOW_KERNEL_PAYLOAD_H
#define UMBRA_SHADOW_KERNEL_PAYLOAD_H

#include "base/err.h"
#include "base/types.h"

struct payload {
	u8 *data; /* a fresh mapping, for payload_free() */
	size_t len;
	const char *format; /* "LZ4", set whenever it was recognised; else NULL */
};

/*
 * Decompresses @len bytes at @data, to at most @max. -EINVAL: damaged; -EOPNOTSUPP: a format that
 * is not decoded here; -ENOMEM.
 */
int payload_unpack(struct payload *p, const u8 *data, size_t len, size_t max, struct err *e);
void payload_free(u8 *data, size_t len);

#endif
