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

void line_add(struct record_line *t, const char *s, size_t len)
{
	if (!line_grow(t, len))
		return;
	memcpy(t->buf + t->len, s, len);
	t->len += len;
}

static void line_add_text(struct record_line *t, const char *s)
{
	line_add(t, s, strlen(s));
}

/* Adds @n to the base, 10 or 16, by itself: printf() took most of what a line costs. */
static void line_add_number(struct record_line *t, u64 n, unsigned base)
{
	char buf[20], *end = buf + sizeof(buf), *at = end;

	do
		*--at = "0123456789abcdef"[n % base];
	while (n /= base);
	line_add(t, at, (size_t)(end - at));
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
		line_add_number(t, (u8)*s, 16);
	} else if (code == '"' || code == '\\') {
		line_add(t, "\\", 1);
		line_add(t, s, 1);
	} else if (code < 0x20 || code == 0x7f) {
		line_add(t, code < 0x10 ? "\\u000" : "\\u00", code < 0x10 ? 5 : 4);
		line_add_number(t, code, 16);
	} else {
		line_add(t, s, len);
	}
}

/* Returns how many bytes @s begins with that stand for themselves. */
static size_t plain_bytes(const char *s)
{
	size_t n = 0;

	while ((u8)s[n] >= 0x20 && (u8)s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
		n++;
	return n;
}

static void line_add_string(struct record_line *t, const char *s)
{
	u32 code;

	if (!s) {
		line_add(t, "null", 4);
		return;
	}
	line_add(t, "\"", 1);
	for (;;) {
		size_t plain = plain_bytes(s);
		unsigned len;

		line_add(t, s, plain);
		s += plain;
		if (!*s)
			break;
		len = utf8_next(s, &code);
		line_add_char(t, s, len, code);
		s += len && !(code >= BYTE_FIRST && code <= BYTE_LAST) ? len : 1;
	}
	line_add(t, "\"", 1);
}

static void line_add_key(struct record_line *t, const char *key)
{
	line_add(t, ",\"", 2);
	line_add_text(t, key);
	line_add(t, "\":", 2);
}

static void line_add_member(struct record_line *t, const char *key, const char *value)
{
	line_add_key(t, key);
	line_add_string(t, value);
}

static void line_add_count(struct record_line *t, const char *key, u64 n)
{
	line_add_key(t, key);
	line_add_number(t, n, 10);
}

static void line_add_args(struct record_line *t, const struct record_entry *e)
{
	line_add_key(t, "args");
	line_add(t, "[", 1);
	/* As strings: a number of JSON holds 53 bits in most readers. */
	for (unsigned i = 0; i < e->n_args; i++) {
		line_add_text(t, i ? ",\"0x" : "\"0x");
		line_add_number(t, e->args[i], 16);
		line_add(t, "\"", 1);
	}
	line_add(t, "]", 1);
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
	line_add_text(t, "{\"time_ns\":");
	line_add_number(t, e->time_ns, 10);
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
		line_add(t, "}", 1);
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
			line_add_number(t, e->req->guest_ns, 10);
		else
			line_add(t, "null", 4);
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
	line_add(t, "}", 1);
}

void record_call_end_json(struct record_line *line, const char *call, const char *result,
			  u64 duration_ns)
{
	line->len -= strlen("}\n");
	line_add_end(line, call, result, duration_ns);
	line_add(line, "}", 1);
	record_json_end(line);
}

void record_json_end(struct record_line *t)
{
	line_add(t, "\n", 1);
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
