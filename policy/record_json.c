// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes a request as a line of JSON. By hand: a line is made for every request of a driver, and
 * may cost no more than one pass over the bytes without an allocation. Reading back is jansson's
 * work.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/record_json.h"

#define BYTE_FIRST 0xef80u /* see record.h */
#define BYTE_LAST  0xefffu

static bool line_grow(struct record_line *t, size_t more)
{
	size_t size = t->size ? t->size : 1024;
	char *buf;

	if (t->failed)
		return false;
	while (size - t->len < more) {
		if (size > SIZE_MAX / 4) {
			t->failed = true;
			return false;
		}
		size *= 2;
	}
	if (size == t->size)
		return true;
	buf = realloc(t->buf, size);
	if (!buf) {
		t->failed = true;
		return false;
	}
	t->buf = buf;
	t->size = size;
	return true;
}

void line_add(struct record_line *t, const char *s, size_t len)
{
	if (!line_grow(t, len))
		return;
	memcpy(t->buf + t->len, s, len);
	t->len += len;
}

void line_printf(struct record_line *t, const char *fmt, ...)
{
	char buf[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n > 0)
		line_add(t, buf, (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf) - 1);
}

void line_free(struct record_line *t)
{
	free(t->buf);
	memset(t, 0, sizeof(*t));
}

static void line_add_string(struct record_line *t, const char *s)
{
	u32 code;

	if (!s) {
		line_add(t, "null", 4);
		return;
	}
	line_add(t, "\"", 1);
	while (*s) {
		unsigned len = utf8_next(s, &code);

		if (!len || (code >= BYTE_FIRST && code <= BYTE_LAST)) {
			line_printf(t, "\\uef%02x", (u8)*s);
			len = 1;
		} else if (code == '"' || code == '\\') {
			line_printf(t, "\\%c", (int)code);
		} else if (code < 0x20 || code == 0x7f) {
			line_printf(t, "\\u%04x", code);
		} else {
			line_add(t, s, len);
		}
		s += len;
	}
	line_add(t, "\"", 1);
}

static void line_add_member(struct record_line *t, const char *key, const char *value)
{
	line_printf(t, ",\"%s\":", key);
	line_add_string(t, value);
}

void record_json(struct record_line *t, const struct record_entry *e, u64 count, u64 last_ns)
{
	line_printf(t, "{\"time_ns\":%" PRIu64, e->time_ns);
	if (count)
		line_printf(t, ",\"last_ns\":%" PRIu64 ",\"count\":%" PRIu64, last_ns, count);
	if (e->event) {
		line_add_member(t, "event", e->function);
		if (e->session)
			line_add_member(t, "session", e->session);
		line_add_member(t, "text", e->asked);
		if (e->lost)
			line_printf(t, ",\"lost\":%" PRIu64, e->lost);
		line_add(t, "}", 1);
		return;
	}
	line_add_member(t, "session", e->session);
	line_add_member(t, "driver", e->driver);
	line_add_member(t, "function", e->function);
	if (e->req) {
		line_printf(t, ",\"vcpu\":%u,\"pid\":%u", e->req->vcpu, e->req->pid);
		line_add_member(t, "command", e->req->command);
	}
	if (!count) {
		line_add(t, ",\"args\":[", 9);
		/* As strings: a number of JSON holds 53 bits in most readers. */
		for (unsigned i = 0; i < e->n_args; i++)
			line_printf(t, "%s\"0x%" PRIx64 "\"", i ? "," : "", e->args[i]);
		line_add(t, "]", 1);
	}
	line_add_member(t, "asked", e->asked);
	line_add_member(t, "argv", e->argv);
	line_add_member(t, "used", e->used);
	line_add_member(t, "verdict", e->verdict);
	line_add_member(t, "error", e->error);
	line_add_member(t, "rule", e->rule);
	line_add(t, "}", 1);
}

void record_json_unescape(char *s)
{
	char *to = s;
	u32 code;

	while (*s) {
		unsigned len = utf8_next(s, &code);

		if (len == 3 && code >= BYTE_FIRST && code <= BYTE_LAST) {
			*to++ = (char)(code & 0xff);
			s += len;
			continue;
		}
		len = len ? len : 1;
		memmove(to, s, len);
		to += len;
		s += len;
	}
	*to = '\0';
}
