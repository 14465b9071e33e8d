// SPDX-License-Identifier: GPL-2.0-only
/* Reads the file of a record back, line by line, and believes none of them. */
#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "policy/record_int.h"

/* Longer than any line that record_add() can write: 6 bytes for each byte of all its names. */
#define LINE_SIZE (1u << 20)

enum line_state { LINE_END, LINE_WHOLE, LINE_OPEN, LINE_LONG };

/*
 * Reads one line, without its newline. fgets() would not do: a hostile file holds NULs and endless
 * lines.
 */
static enum line_state record_read_line(FILE *f, char *buf, size_t *len)
{
	bool too_long = false;
	int c;

	*len = 0;
	while ((c = getc_unlocked(f)) != EOF && c != '\n') {
		if (*len == LINE_SIZE)
			too_long = true;
		else
			buf[(*len)++] = (char)c;
	}
	if (too_long)
		return LINE_LONG;
	if (c == '\n')
		return LINE_WHOLE;
	return *len ? LINE_OPEN : LINE_END;
}

/*
 * Gets a member that is a string or null; false if it is something else. The string is a copy,
 * which the entry owns until free_entry().
 */
static bool line_get_string(const json_t *line, const char *key, const char **out)
{
	const json_t *v = json_object_get(line, key);
	char *s;

	*out = NULL;
	if (!v || json_is_null(v))
		return true;
	if (!json_is_string(v))
		return false;
	s = strdup(json_string_value(v));
	if (!s)
		return false;
	record_json_unescape(s);
	*out = s;
	return true;
}

static void free_entry(const struct record_entry *e)
{
	const char *const owned[] = { e->session, e->driver,  e->function, e->asked, e->argv,
				      e->used,	  e->verdict, e->error,	   e->rule };

	for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
		char *s;

		memcpy(&s, &owned[i], sizeof(s)); /* const only for users that do not own it */
		free(s);
	}
}

static bool known_verdict(const char *s)
{
	for (int v = VERDICT_PASS; v <= VERDICT_PENDING; v++) {
		if (!strcmp(verdict_name((enum verdict)v), s))
			return true;
	}
	return false;
}

static bool record_entry_of(const json_t *line, struct record_entry *e)
{
	const json_t *time = json_object_get(line, "time_ns");

	if (!json_is_integer(time) || json_integer_value(time) < 0)
		return false;
	e->time_ns = (u64)json_integer_value(time);
	e->event = json_object_get(line, "event") != NULL;
	if (e->event) {
		const json_t *lost = json_object_get(line, "lost");

		if (lost && (!json_is_integer(lost) || json_integer_value(lost) < 0))
			return false;
		e->lost = (u64)json_integer_value(lost);
		return line_get_string(line, "event", &e->function) &&
		       line_get_string(line, "session", &e->session) &&
		       line_get_string(line, "text", &e->asked) && e->function;
	}
	return line_get_string(line, "session", &e->session) &&
	       line_get_string(line, "driver", &e->driver) &&
	       line_get_string(line, "function", &e->function) &&
	       line_get_string(line, "asked", &e->asked) &&
	       line_get_string(line, "argv", &e->argv) && line_get_string(line, "used", &e->used) &&
	       line_get_string(line, "verdict", &e->verdict) &&
	       line_get_string(line, "error", &e->error) &&
	       line_get_string(line, "rule", &e->rule) && e->session && e->driver && e->function &&
	       e->verdict && known_verdict(e->verdict);
}

static bool pattern_fits(const char *pattern, const char *value)
{
	return !pattern || (value && !fnmatch(pattern, value, 0));
}

static bool entry_wanted(const struct record_filter *f, const struct record_entry *e)
{
	return pattern_fits(f->session, e->session) && pattern_fits(f->driver, e->driver) &&
	       pattern_fits(f->function, e->function) && pattern_fits(f->verdict, e->verdict);
}

/* Counts the line into @r; false if it is no request. */
static bool record_take_line(struct record *r, const char *buf, size_t len,
			     const struct record_filter *f)
{
	struct record_entry e = { 0 };
	json_t *line = json_loadb(buf, len, 0, NULL);
	bool good = json_is_object(line) && record_entry_of(line, &e);

	if (good && entry_wanted(f, &e)) {
		record_count(r, &e);
		r->lost += e.lost;
	}
	free_entry(&e);
	json_decref(line);
	return good;
}

static u64 read_lines(struct record *r, FILE *file, char *buf, const struct record_filter *f)
{
	enum line_state state;
	u64 good = 0;
	size_t len;

	while ((state = record_read_line(file, buf, &len)) != LINE_END) {
		if (state != LINE_LONG && record_take_line(r, buf, len, f))
			good++;
		else if (state == LINE_OPEN)
			r->cut = true; /* the writer was stopped in the middle of it */
		else
			r->bad_lines++;
	}
	return good;
}

int record_read_some(struct record **out, const char *path, const struct record_filter *f,
		     struct err *e)
{
	static const struct record_filter all;
	struct record *r = NULL;
	char *buf = NULL;
	FILE *file;
	u64 good;
	int ret;

	file = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
	if (!file)
		return err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	ret = record_new(&r);
	if (!ret)
		buf = malloc(LINE_SIZE);
	if (!buf) {
		ret = err_set(e, -ENOMEM, "%s: out of memory", path);
		goto out;
	}
	good = read_lines(r, file, buf, f ? f : &all);
	if (ferror(file))
		ret = err_set(e, -EIO, "%s: cannot read: %s", path, strerror(errno));
	else if (!good && (r->bad_lines || r->cut))
		ret = err_set(e, -EINVAL, "%s: not a record of requests: no line of it is one",
			      path);
out:
	if (file != stdin)
		fclose(file);
	free(buf);
	if (ret)
		record_free(r);
	else
		*out = r;
	return ret;
}

int record_read(struct record **out, const char *path, struct err *e)
{
	return record_read_some(out, path, NULL, e);
}
