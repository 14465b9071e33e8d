// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "policy/record_int.h"

enum column {
	COL_TIME,
	COL_COUNT,
	COL_SESSION,
	COL_DRIVER,
	COL_FUNCTION,
	COL_ASKED,
	COL_USED,
	COL_VERDICT,
	COL_RULE,
	COLUMNS,
};

static const struct {
	const char *title;
	size_t least; /* not made narrower than this; 0: never made narrower */
	bool right;
} columns[COLUMNS] = {
	[COL_TIME] = { "TIME", 0, true },	   [COL_COUNT] = { "COUNT", 0, true },
	[COL_SESSION] = { "SESSION", 7, false },   [COL_DRIVER] = { "DRIVER", 6, false },
	[COL_FUNCTION] = { "FUNCTION", 8, false }, [COL_ASKED] = { "ASKED", 8, false },
	[COL_USED] = { "USED", 8, false },	   [COL_VERDICT] = { "VERDICT", 0, false },
	[COL_RULE] = { "RULE", 12, false },
};

#define GAP	 2u   /* blanks between columns */
#define CELL_MAX 400u /* characters of a cell where the width has no limit */

#define BOLD	"\033[1m"
#define RED	"\033[31m"
#define YELLOW	"\033[33m"
#define MAGENTA "\033[35m"
#define RESET	"\033[0m"

static int compare_time(const void *a, const void *b)
{
	const struct record_row *x = a, *y = b;

	if (x->entry.time_ns != y->entry.time_ns)
		return x->entry.time_ns < y->entry.time_ns ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

int record_view(struct record *r, struct record_view *v)
{
	memset(v, 0, sizeof(*v));
	v->rows = calloc(RECORD_ROWS, sizeof(*v->rows));
	if (!v->rows)
		return -ENOMEM;
	pthread_mutex_lock(&r->lock);
	v->n = r->n_rows;
	for (size_t i = 0; i < v->n; i++) {
		v->rows[i] = r->rows[i];
		v->requests += v->rows[i].count;
	}
	v->others = r->others;
	v->by_policy = r->by_policy;
	v->bad_lines = r->bad_lines;
	v->cut = r->cut;
	pthread_mutex_unlock(&r->lock);
	qsort(v->rows, v->n, sizeof(*v->rows), compare_time);
	return 0;
}

/* What could move the cursor, hide or reorder text on a terminal. */
static bool harmless(u32 code)
{
	return code >= 0x20 && (code < 0x7f || code > 0x9f) &&
	       !(code >= 0x200b && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202e) &&
	       !(code >= 0x2060 && code <= 0x206f) && code != 0xfeff;
}

static void add_visible(struct text *t, const char *s)
{
	u32 code;

	while (*s) {
		unsigned len = utf8_next(s, &code);

		if (len && harmless(code)) {
			text_add(t, s, len);
		} else {
			len = len ? len : 1;
			for (unsigned i = 0; i < len; i++)
				text_printf(t, "\\x%02x", (u8)s[i]);
		}
		s += len;
	}
}

static void cell_text(struct text *t, const struct record_row *row, enum column col)
{
	const struct record_entry *e = &row->entry;

	t->len = 0;
	switch (col) {
	case COL_TIME:
		text_printf(t, "%" PRIu64 ".%06" PRIu64, e->time_ns / 1000000000,
			    e->time_ns / 1000 % 1000000);
		break;
	case COL_COUNT:
		text_printf(t, "%" PRIu64, row->count);
		break;
	case COL_SESSION:
		add_visible(t, e->session ? e->session : "-");
		break;
	case COL_DRIVER:
		add_visible(t, e->driver ? e->driver : "-");
		break;
	case COL_FUNCTION:
		add_visible(t, e->function ? e->function : "-");
		break;
	case COL_ASKED:
		add_visible(t, e->asked ? e->asked : "-");
		if (e->argv) {
			text_add(t, " [", 2);
			add_visible(t, e->argv);
			text_add(t, "]", 1);
		}
		break;
	case COL_USED:
		add_visible(t, e->used ? e->used : "-");
		break;
	case COL_VERDICT:
		add_visible(t, e->event ? "event" : e->verdict ? e->verdict : "-");
		if (e->error) {
			text_add(t, " ", 1);
			add_visible(t, e->error);
		}
		break;
	case COL_RULE:
		add_visible(t, e->rule ? e->rule : "");
		break;
	case COLUMNS:
	default:
		break;
	}
	text_add(t, "", 1); /* the NUL */
}

/* Characters, each taken as one column wide. */
static size_t length(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((u8)*s & 0xc0) != 0x80;
	return n;
}

static const char *skip(const char *s, size_t n)
{
	while (*s && n--) {
		do
			s++;
		while (((u8)*s & 0xc0) == 0x80);
	}
	return s;
}

/* @s in exactly @width columns; what is too long loses its middle, as the end of a path tells most */
static void put_cell(FILE *to, const char *s, size_t width, bool right, bool last)
{
	size_t n = length(s), head;
	int pad = n < width ? (int)(width - n) : 0;

	if (n > width) {
		head = width > 3 ? (width - 3) / 3 : 0;
		fprintf(to, "%.*s...%s", (int)(skip(s, head) - s), s,
			skip(s, n - (width - 3 - head)));
	} else if (right) {
		fprintf(to, "%*s%s", pad, "", s);
	} else {
		fprintf(to, "%s%*s", s, last ? 0 : pad, "");
	}
	if (!last)
		fprintf(to, "%*s", (int)GAP, "");
}

static size_t total(const size_t *width)
{
	size_t sum = 0;

	for (int c = 0; c < COLUMNS; c++)
		sum += width[c] ? width[c] + (c ? GAP : 0) : 0;
	return sum;
}

/* Narrow the widest columns until all fit; the rule goes first, it is for those who have the room. */
static void fit(size_t *width, size_t limit)
{
	if (total(width) > limit)
		width[COL_RULE] = 0;
	while (total(width) > limit) {
		int widest = -1;

		for (int c = 0; c < COLUMNS; c++) {
			if (columns[c].least && width[c] > columns[c].least &&
			    (widest < 0 || width[c] > width[widest]))
				widest = c;
		}
		if (widest < 0)
			return;
		width[widest]--;
	}
}

static void put_head(FILE *to, const size_t *width, int last, bool colour)
{
	fputs(colour ? BOLD : "", to);
	for (int c = 0; c <= last; c++)
		put_cell(to, columns[c].title, width[c], columns[c].right, c == last);
	fprintf(to, "%s\n", colour ? RESET : "");
}

static const char *colour_of(const struct record_entry *e)
{
	if (e->event)
		return MAGENTA;
	if (!e->verdict || !strcmp(e->verdict, "pass"))
		return "";
	return !strcmp(e->verdict, "deny") ? RED : YELLOW;
}

static void put_row(FILE *to, const struct record_row *row, const size_t *width, int last,
		    bool colour, struct text *t)
{
	for (int c = 0; c <= last; c++) {
		const char *paint = colour && c == COL_VERDICT ? colour_of(&row->entry) : "";

		cell_text(t, row, (enum column)c);
		fputs(paint, to);
		put_cell(to, t->failed ? "?" : t->buf, width[c], columns[c].right, c == last);
		fputs(*paint ? RESET : "", to);
	}
	fputc('\n', to);
}

static void put_notes(FILE *to, const struct record_view *v)
{
	fprintf(to, "%" PRIu64 " %s in %zu %s\n", v->requests,
		v->requests == 1 ? "entry" : "entries", v->n, v->n == 1 ? "row" : "rows");
	if (v->others)
		fprintf(to,
			"%" PRIu64
			" more without a row of their own: memory for rows is bounded, a "
			"file (--record) keeps all\n",
			v->others);
	if (v->by_policy)
		fprintf(to, "%" PRIu64 " more that the policy does not record\n", v->by_policy);
	if (v->bad_lines)
		fprintf(to, "%" PRIu64 " damaged lines were left out\n", v->bad_lines);
	if (v->cut)
		fprintf(to, "the last line is cut: the writer was stopped in the middle of it\n");
}

int record_print(struct record *r, FILE *to, unsigned width, bool colour)
{
	size_t wide[COLUMNS];
	struct record_view v;
	struct text t = { 0 };
	int ret, last;

	ret = record_view(r, &v);
	if (ret)
		return ret;
	for (int c = 0; c < COLUMNS; c++) {
		wide[c] = strlen(columns[c].title);
		for (size_t i = 0; i < v.n; i++) {
			size_t n;

			cell_text(&t, &v.rows[i], (enum column)c);
			n = t.failed ? 1 : length(t.buf);
			wide[c] = n > wide[c] ? n : wide[c];
		}
		wide[c] = wide[c] > CELL_MAX ? CELL_MAX : wide[c];
	}
	if (width)
		fit(wide, width);
	last = wide[COL_RULE] ? COL_RULE : COL_VERDICT;
	if (v.n)
		put_head(to, wide, last, colour);
	for (size_t i = 0; i < v.n; i++)
		put_row(to, &v.rows[i], wide, last, colour, &t);
	put_notes(to, &v);
	ret = t.failed ? -ENOMEM : 0;
	text_free(&t);
	free(v.rows);
	if (!ret && (fflush(to) || ferror(to)))
		ret = -EIO;
	return ret;
}

static void json_rows(FILE *to, const struct record_view *v, bool events, struct text *t)
{
	const char *comma = "";

	for (size_t i = 0; i < v->n; i++) {
		const struct record_row *row = &v->rows[i];

		if (row->entry.event != events)
			continue;
		t->len = 0;
		record_json(t, &row->entry, row->count, row->last_ns);
		if (!t->failed)
			fprintf(to, "%s\n  %.*s", comma, (int)t->len, t->buf);
		comma = ",";
	}
}

int record_print_json(struct record *r, FILE *to)
{
	struct record_view v;
	struct text t = { 0 };
	int ret;

	ret = record_view(r, &v);
	if (ret)
		return ret;
	fputs("{\"requests\":[", to);
	json_rows(to, &v, false, &t);
	fputs("],\n\"events\":[", to);
	json_rows(to, &v, true, &t);
	fprintf(to,
		"],\n\"others\":%" PRIu64 ",\"not_recorded\":%" PRIu64 ",\"damaged_lines\":%" PRIu64
		",\"cut\":%s}\n",
		v.others, v.by_policy, v.bad_lines, v.cut ? "true" : "false");
	ret = t.failed ? -ENOMEM : 0;
	text_free(&t);
	free(v.rows);
	if (!ret && (fflush(to) || ferror(to)))
		ret = -EIO;
	return ret;
}
