// SPDX-License-Identifier: GPL-2.0-only
/* Reads the file of a record back, line by line, and believes none of them. */
#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/record_int.h"

/* Longer than any line that record_add() can write: 6 bytes for each byte of all its names. */
#define LINE_SIZE (1u << 20)

enum line_state { LINE_END, LINE_WHOLE, LINE_OPEN, LINE_LONG };

/* A line as it is read. */
struct line_reader {
	FILE *file;
	char *buf; /* of LINE_SIZE */
	size_t len;
	bool too_long, begun; /* begun: the file has ended within it, and may go on */
	bool grows;	      /* a regular file that is followed */
};

/*
 * Reads one line, without its newline; LINE_OPEN at an end of the file within it, from where the
 * next call goes on if the file does. fgets() would not do: a hostile file holds NULs and endless
 * lines.
 */
static enum line_state record_read_line(struct line_reader *l)
{
	int c;

	if (!l->begun) {
		l->len = 0;
		l->too_long = false;
	}
	while ((c = getc_unlocked(l->file)) != EOF && c != '\n') {
		if (l->len == LINE_SIZE)
			l->too_long = true;
		else
			l->buf[l->len++] = (char)c;
	}
	l->begun = c != '\n' && l->len;
	if (l->begun)
		return l->too_long ? LINE_LONG : LINE_OPEN;
	if (l->too_long)
		return LINE_LONG;
	return c == '\n' ? LINE_WHOLE : LINE_END;
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
	const char *const owned[] = { e->session, e->driver, e->function, e->asked,
				      e->argv,	  e->used,   e->verdict,  e->error,
				      e->rule,	  e->call,   e->result,	  e->site };

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
	/* An end has all that the line before had, and what came of it. */
	e->is_end = json_is_integer(json_object_get(line, "id")) &&
		    json_is_string(json_object_get(line, "result"));
	return line_get_string(line, "session", &e->session) &&
	       line_get_string(line, "driver", &e->driver) &&
	       line_get_string(line, "function", &e->function) &&
	       line_get_string(line, "asked", &e->asked) &&
	       line_get_string(line, "argv", &e->argv) && line_get_string(line, "used", &e->used) &&
	       line_get_string(line, "verdict", &e->verdict) &&
	       line_get_string(line, "error", &e->error) &&
	       line_get_string(line, "rule", &e->rule) && line_get_string(line, "call", &e->call) &&
	       line_get_string(line, "site", &e->site) &&
	       line_get_string(line, "result", &e->result) && e->session && e->driver &&
	       e->function && e->verdict && known_verdict(e->verdict);
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

/* What is done with the lines of a file. */
struct record_reading {
	struct record *r;
	const struct record_filter *f;
	const struct record_follow *follow; /* or NULL: they are counted only */
	int error;			    /* of printing */
	u64 good;			    /* lines that were requests */
};

static int print_entry(const json_t *line, const struct record_entry *e,
		       const struct record_follow *what)
{
	if (!what->json)
		return record_print_line(e, what);
	return json_dumpf(line, what->to, JSON_COMPACT) || putc('\n', what->to) == EOF ? -EIO : 0;
}

/* Counts the line into the record, and prints it; false if it is no request. */
static bool record_take_line(struct record_reading *to, const struct line_reader *l)
{
	struct record_entry e = { 0 };
	json_t *line = json_loadb(l->buf, l->len, 0, NULL);
	bool good = json_is_object(line) && record_entry_of(line, &e);

	if (good && entry_wanted(to->f, &e)) {
		if (!e.is_end)
			record_count(to->r, &e);
		to->r->lost += e.lost;
		if (to->follow && !to->error)
			to->error = print_entry(line, &e, to->follow);
	}
	free_entry(&e);
	json_decref(line);
	return good;
}

/* Counts a line that is whole, or as it is at the end of its file. */
static void record_take(struct record_reading *to, struct line_reader *l, enum line_state state)
{
	if (state != LINE_LONG && record_take_line(to, l))
		to->good++;
	else if (state == LINE_OPEN)
		to->r->cut = true; /* the writer was stopped in the middle of it */
	else
		to->r->bad_lines++;
}

/* Reads all whole lines that the file has. */
static void read_lines(struct record_reading *to, struct line_reader *l)
{
	enum line_state state;

	while (!to->error) {
		state = record_read_line(l);
		/* A signal has ended the wait for a pipe. */
		if (to->follow && ferror(l->file) && errno == EINTR) {
			clearerr(l->file);
			if (to->follow->wait(to->follow->arg))
				continue;
		}
		if (state == LINE_END || l->begun)
			return;
		record_take(to, l, state);
	}
}

/* Begins anew with a file that has become shorter, and has another one go on. */
static void file_look_again(struct record_reading *to, struct line_reader *l)
{
	struct stat st;

	clearerr(l->file);
	if (fstat(fileno(l->file), &st) || st.st_size >= ftello(l->file))
		return;
	rewind(l->file);
	to->r->bad_lines += l->begun;
	l->begun = false;
}

/* Waits at the end of files that are followed. False: nothing will come. */
static bool record_await_more(struct record_reading *to, struct line_reader *l, size_t n)
{
	const struct record_follow *what = to->follow;
	bool grows = false;

	for (size_t i = 0; i < n; i++)
		grows = grows || (l[i].grows && !ferror(l[i].file));
	if (!what || !grows || to->error || fflush(what->to) || ferror(what->to) ||
	    !what->wait(what->arg))
		return false;
	for (size_t i = 0; i < n; i++)
		if (l[i].grows && !ferror(l[i].file))
			file_look_again(to, &l[i]);
	return true;
}

static int reader_open(struct line_reader *l, const char *path, bool follow, struct err *e)
{
	struct stat st;

	l->file = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
	if (!l->file)
		return err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	l->buf = malloc(LINE_SIZE);
	if (!l->buf)
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	l->grows = follow && !fstat(fileno(l->file), &st) && S_ISREG(st.st_mode);
	return 0;
}

static void reader_close(struct line_reader *l)
{
	if (l->file && l->file != stdin)
		fclose(l->file);
	free(l->buf);
}

/* Reads the files until none goes on. */
static int read_files(struct record_reading *to, struct line_reader *l, const char *const *paths,
		      size_t n, struct err *e)
{
	if (to->follow)
		to->error = record_print_head(to->follow);
	do
		for (size_t i = 0; i < n; i++)
			read_lines(to, &l[i]);
	while (record_await_more(to, l, n));
	for (size_t i = 0; i < n; i++) {
		if (ferror(l[i].file))
			return err_set(e, -EIO, "%s: cannot read: %s", paths[i], strerror(errno));
		if (l[i].begun && !to->error)
			record_take(to, &l[i], l[i].too_long ? LINE_LONG : LINE_OPEN);
	}
	if (to->error)
		return err_set(e, to->error, "%s",
			       to->error == -ENOMEM ? "out of memory" : strerror(-to->error));
	if (!to->good && (to->r->bad_lines || to->r->cut))
		return err_set(e, -EINVAL, "%s: not a record of requests: no line of it is one",
			       paths[0]);
	return 0;
}

static int record_read_paths(struct record **out, const char *const *paths,
			     struct record_reading *to, struct err *e)
{
	struct line_reader *l;
	size_t n = 0, opened = 0;
	int ret = record_new(&to->r);

	while (paths[n])
		n++;
	l = calloc(n + 1, sizeof(*l));
	if (ret || !l) {
		free(l);
		record_free(to->r);
		return err_set(e, -ENOMEM, "%s: out of memory", paths[0]);
	}
	while (!ret && opened < n) {
		ret = reader_open(&l[opened], paths[opened], to->follow, e);
		opened++;
	}
	if (!ret)
		ret = read_files(to, l, paths, n, e);
	for (size_t i = 0; i < opened; i++)
		reader_close(&l[i]);
	free(l);
	if (ret)
		record_free(to->r);
	else
		*out = to->r;
	return ret;
}

static const struct record_filter all;

int record_read_some(struct record **out, const char *const *paths, const struct record_filter *f,
		     struct err *e)
{
	struct record_reading to = { .f = f ? f : &all };

	return record_read_paths(out, paths, &to, e);
}

int record_follow(struct record **out, const char *const *paths, const struct record_filter *f,
		  const struct record_follow *what, struct err *e)
{
	struct record_reading to = { .f = f ? f : &all, .follow = what };

	return record_read_paths(out, paths, &to, e);
}

int record_read(struct record **out, const char *path, struct err *e)
{
	const char *const paths[] = { path, NULL };

	return record_read_some(out, paths, NULL, e);
}
