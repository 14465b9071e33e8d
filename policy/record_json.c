// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes a request as a line of JSON. By hand: a line is made for every request of a driver, and
 * may cost no more than one pass over the bytes without an allocation. Reading back is jansson's
 * work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "policy/record.h"
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

/* Has room for @more bytes behind the line, or marks it as failed. */
static inline bool line_has_room(struct record_line *t, size_t more)
{
	return t->size - t->len >= more || line_grow(t, more);
}

void line_add(struct record_line *t, const char *s, size_t len)
{
	if (!line_has_room(t, len))
		return;
	memcpy(t->buf + t->len, s, len);
	t->len += len;
}

/* Adds a text that the compiler knows: some moves. */
#define line_add_fixed(t, text)                                              \
	do {                                                                 \
		if (line_has_room(t, sizeof(text) - 1)) {                    \
			memcpy((t)->buf + (t)->len, text, sizeof(text) - 1); \
			(t)->len += sizeof(text) - 1;                        \
		}                                                            \
	} while (0)

/* Adds the last @n bytes before @end, of at least 20 that can be read there. */
static void line_add_digits(struct record_line *t, const char *end, size_t n)
{
	if (!line_has_room(t, 20))
		return;
	memcpy(t->buf + t->len, end - n, 20);
	t->len += n;
}

/*
 * Adds @n by itself, two digits at a time: printf() took most of what a line costs. The buffers
 * have room for what is copied behind the digits.
 */
static void line_add_number(struct record_line *t, u64 n)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930"
				    "31323334353637383940414243444546474849505152535455565758596061"
				    "62636465666768697071727374757677787980818283848586878889909192"
				    "93949596979899";
	char buf[40] = "", *end = buf + 20, *at = end;

	for (; n >= 100; n /= 100)
		memcpy(at -= 2, pairs + 2 * (n % 100), 2);
	if (n >= 10)
		memcpy(at -= 2, pairs + 2 * n, 2);
	else
		*--at = (char)('0' + n);
	line_add_digits(t, end, (size_t)(end - at));
}

/* Spreads 32 bits to their eight digits, the first of which is the lowest byte. */
static u64 hex_digits(u32 n)
{
	const u64 ones = 0x0101010101010101;
	u64 x = __builtin_bswap32(n);
	u64 over_nine;

	x = (x & 0xffff) | (x & 0xffff0000) << 16;
	x = (x & 0x000000ff000000ff) | (x & 0x0000ff000000ff00) << 8;
	x = (x >> 4 & 0x000f000f000f000f) | (x & 0x000f000f000f000f) << 8;
	over_nine = (x + 6 * ones) >> 4 & ones;
	return x + '0' * ones + over_nine * ('a' - '0' - 10);
}

static void line_add_hex(struct record_line *t, u64 n)
{
	const size_t digits = n ? 16 - (size_t)__builtin_clzll(n) / 4 : 1;
	const u64 high = hex_digits((u32)(n >> 32)), low = hex_digits((u32)n);
	char buf[40] = "";

	memcpy(buf, &high, 8);
	memcpy(buf + 8, &low, 8);
	line_add_digits(t, buf + 16, digits);
}

void line_free(struct record_line *t)
{
	free(t->buf);
	memset(t, 0, sizeof(*t));
}

/* Adds a character of a string that cannot stand there as it is; or one that can. */
static void line_add_char(struct record_line *t, const char *s, unsigned len, u32 code)
{
	if (!len || (code >= BYTE_FIRST && code <= BYTE_LAST)) {
		line_add(t, "\\uef", 4);
		line_add_hex(t, (u8)*s);
	} else if (code == '"' || code == '\\') {
		line_add(t, "\\", 1);
		line_add(t, s, 1);
	} else if (code < 0x20 || code == 0x7f) {
		line_add(t, code < 0x10 ? "\\u000" : "\\u00", code < 0x10 ? 5 : 4);
		line_add_hex(t, code);
	} else {
		line_add(t, s, len);
	}
}

/* Does one of the eight bytes not stand for itself? */
static inline bool is_special(u64 x)
{
	const u64 ones = 0x0101010101010101;

	/* A byte below the one that is looked for has the highest bit of the difference set. */
	return (x | (x - 0x20 * ones) | ((x ^ 0x22 * ones) - ones) | ((x ^ 0x5c * ones) - ones) |
		((x ^ 0x7f * ones) - ones)) &
	       0x80 * ones;
}

static inline u64 load(const char *s, size_t len)
{
	u64 x = 0;

	memcpy(&x, s, len);
	return x;
}

/* Does each of the @len bytes stand for itself? Eight at a time, the last of which overlap. */
static bool is_plain(const char *s, size_t len)
{
	if (len >= 8) {
		for (size_t i = 0; i < len - 8; i += 8)
			if (is_special(load(s + i, 8)))
				return false;
		return !is_special(load(s + len - 8, 8));
	}
	if (len >= 4)
		return !is_special(load(s, 4) | load(s + len - 4, 4) << 32);
	for (size_t i = 0; i < len; i++)
		if ((u8)s[i] < 0x20 || (u8)s[i] >= 0x7f || s[i] == '"' || s[i] == '\\')
			return false;
	return true;
}

/* Adds a string of which some bytes do not stand for themselves. */
static void line_add_escaped(struct record_line *t, const char *s)
{
	u32 code;

	while (*s) {
		const unsigned len = utf8_next(s, &code);

		line_add_char(t, s, len, code);
		s += len && !(code >= BYTE_FIRST && code <= BYTE_LAST) ? len : 1;
	}
}

static void line_add_string(struct record_line *t, const char *s)
{
	size_t len;

	if (!s) {
		line_add_fixed(t, "null");
		return;
	}
	len = strlen(s);
	line_add_fixed(t, "\"");
	if (is_plain(s, len))
		line_add(t, s, len);
	else
		line_add_escaped(t, s);
	line_add_fixed(t, "\"");
}

#define line_add_key(t, key) line_add_fixed(t, ",\"" key "\":")

#define line_add_member(t, key, value)     \
	do {                               \
		line_add_key(t, key);      \
		line_add_string(t, value); \
	} while (0)

#define line_add_count(t, key, n)      \
	do {                           \
		line_add_key(t, key);  \
		line_add_number(t, n); \
	} while (0)

static void line_add_args(struct record_line *t, const struct record_entry *e)
{
	line_add_key(t, "args");
	line_add_fixed(t, "[");
	/* As strings: a number of JSON holds 53 bits in most readers. */
	for (unsigned i = 0; i < e->n_args; i++) {
		if (i)
			line_add_fixed(t, ",");
		line_add_fixed(t, "\"0x");
		line_add_hex(t, e->args[i]);
		line_add_fixed(t, "\"");
	}
	line_add_fixed(t, "]");
}

/* Adds what is known of a call when it is over. */
static void line_add_end(struct record_line *t, const char *call, const char *result,
			 u64 duration_ns)
{
	line_add_member(t, "call", call);
	line_add_member(t, "result", result);
	line_add_count(t, "duration_ns", duration_ns);
}

void record_json(struct record_line *t, const struct record_entry *e, u64 count, u64 last_ns)
{
	line_add_fixed(t, "{\"time_ns\":");
	line_add_number(t, e->time_ns);
	if (count) {
		line_add_count(t, "last_ns", last_ns);
		line_add_count(t, "count", count);
	}
	if (e->event) {
		line_add_member(t, "event", e->function);
		if (e->session)
			line_add_member(t, "session", e->session);
		line_add_member(t, "text", e->asked);
		if (e->lost)
			line_add_count(t, "lost", e->lost);
		line_add_fixed(t, "}");
		return;
	}
	line_add_member(t, "session", e->session);
	line_add_member(t, "driver", e->driver);
	line_add_member(t, "function", e->function);
	if (e->req) {
		line_add_count(t, "vcpu", e->req->vcpu);
		line_add_count(t, "pid", e->req->pid);
		line_add_member(t, "command", e->req->command);
		line_add_key(t, "guest_ns");
		if (e->req->guest_ns)
			line_add_number(t, e->req->guest_ns);
		else
			line_add_fixed(t, "null");
		line_add_member(t, "site", e->req->site);
	}
	if (!count)
		line_add_args(t, e);
	line_add_member(t, "asked", e->asked);
	line_add_member(t, "argv", e->argv);
	line_add_member(t, "used", e->used);
	if (e->req && e->req->other_mounts)
		line_add_member(t, "mounts", "caller");
	line_add_member(t, "verdict", e->verdict);
	line_add_member(t, "error", e->error);
	line_add_member(t, "rule", e->rule);
	if (e->req && e->req->id)
		line_add_count(t, "id", e->req->id);
	if (e->req && e->req->call)
		line_add_end(t, e->req->call, e->req->result, e->req->duration_ns);
	line_add_fixed(t, "}");
}

void record_call_end_json(struct record_line *line, const char *call, const char *result,
			  u64 duration_ns)
{
	line->len -= strlen("}\n");
	line_add_end(line, call, result, duration_ns);
	line_add_fixed(line, "}");
	record_json_end(line);
}

void record_json_end(struct record_line *t)
{
	line_add_fixed(t, "\n");
	if (t->failed)
		line_free(t);
}

void record_json_lost(struct record_line *t, const struct record_entry *e, const char *of,
		      const char *more)
{
	struct record_entry event = *e;
	char text[200];

	event.event = true;
	event.function = "lines lost";
	event.asked = text;
	snprintf(text, sizeof(text), "%llu lines of %s%s are not here: there was no room for them",
		 (unsigned long long)e->lost, of, more);
	record_json(t, &event, 0, 0);
	record_json_end(t);
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
