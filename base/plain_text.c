// SPDX-License-Identifier: GPL-2.0-only
/* Escapes what a terminal could take for anything but text. */
#include "base/plain_text.h"

#include <stdarg.h>
#include <string.h>

#include "base/utf8.h"

bool plain_text_is_harmless(u32 code)
{
	return code >= 0x20 && (code < 0x7f || code > 0x9f) && code != 0xad &&
	       !(code >= 0x200b && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202e) &&
	       !(code >= 0x2060 && code <= 0x206f) && code != 0xfeff;
}

const char *plain_text_hex(char buf[PLAIN_TEXT_HEX], u8 byte)
{
	snprintf(buf, PLAIN_TEXT_HEX, "\\x%02x", byte);
	return buf;
}

/*
 * Copies one character of @s, escaped if need be, to @out; returns the number of its bytes in @s.
 */
static unsigned escape_next(const char *s, char out[4 * PLAIN_TEXT_HEX])
{
	u32 code;
	unsigned len = utf8_next(s, &code);

	if (len && plain_text_is_harmless(code)) {
		memcpy(out, s, len);
		out[len] = '\0';
		return len;
	}
	len = len ? len : 1;
	for (unsigned i = 0; i < len; i++)
		plain_text_hex(out + (size_t)i * (PLAIN_TEXT_HEX - 1), (u8)s[i]);
	return len;
}

const char *plain_text(char *buf, size_t size, const char *s)
{
	char one[4 * PLAIN_TEXT_HEX];
	size_t at = 0;

	while (*s) {
		unsigned taken = escape_next(s, one);
		size_t len = strlen(one);

		if (len >= size - at)
			break;
		memcpy(buf + at, one, len);
		at += len;
		s += taken;
	}
	buf[at] = '\0';
	return buf;
}

void plain_text_line(FILE *to, const char *fmt, ...)
{
	char text[PLAIN_TEXT_LINE], plain[4 * PLAIN_TEXT_LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(to, "%s\n", plain_text(plain, sizeof(plain), text));
}
