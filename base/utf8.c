// SPDX-License-Identifier: GPL-2.0-only
/* Decodes UTF-8 as RFC 3629 has it, and nothing else. */
#include "base/utf8.h"

unsigned utf8_next(const char *s, u32 *code)
{
	const u8 *b = (const u8 *)s;
	static const u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned len;
	u32 c;

	if (b[0] < 0x80) {
		*code = b[0];
		return b[0] ? 1 : 0;
	}
	len = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
	if (b[0] < 0xc2 || b[0] > 0xf4)
		return 0;
	c = b[0] & (0xffu >> (len + 1));
	for (unsigned i = 1; i < len; i++) {
		if ((b[i] & 0xc0) != 0x80) /* also the NUL */
			return 0;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return len;
}
