// SPDX-License-Identifier: GPL-2.0-only
/* Prints the record: for people as a table, for programs as one object of JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
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

static const struct table_column columns[COLUMNS] = {
	[COL_TIME] = { "TIME", 0, TABLE_RIGHT },
	[COL_COUNT] = { "COUNT", 0, TABLE_RIGHT },
	[COL_SESSION] = { "SESSION", 7, 0 },
	[COL_DRIVER] = { "DRIVER", 6, 0 },
	[COL_FUNCTION] = { "FUNCTION", 8, 0 },
	[COL_ASKED] = { "ASKED", 8, 0 },
	[COL_USED] = { "USED", 8, 0 },
	[COL_VERDICT] = { "VERDICT", 0, 0 },
	[COL_RULE] = { "RULE", 12, TABLE_SPARE },
};

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
	v->rows = calloc(RECORD_ROWS_ALL, sizeof(*v->rows));
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
	v->lost = r->lost;
	v->cut = r->cut;
	pthread_mutex_unlock(&r->lock);
	qsort(v->rows, v->n, sizeof(*v->rows), compare_time);
	return 0;
}

/* Returns the colour of a verdict, by which a reader finds the calls that did not pass. */
static const char *verdict_colour(const struct record_entry *e)
{
	if (e->event)
		return TABLE_MAGENTA;
	if (!e->verdict || !strcmp(e->verdict, "pass"))
		return "";
	return !strcmp(e->verdict, "deny") ? TABLE_RED : TABLE_YELLOW;
}

static const char *text_or_dash(const char *text)
{
	return text ? text : "-";
}

/* Adds the cells of an entry, in the order of enum column; @count NULL: there is no such column. */
static void record_table_entry(struct table *t, const struct record_entry *e, const u64 *count)
{
	const char *verdict = e->event ? "event" : text_or_dash(e->verdict);

	table_cell(t, "%" PRIu64 ".%06" PRIu64, e->time_ns / 1000000000,
		   e->time_ns / 1000 % 1000000);
	if (count)
		table_cell(t, "%" PRIu64, *count);
	table_cell(t, "%s", text_or_dash(e->session));
	table_cell(t, "%s", text_or_dash(e->driver));
	table_cell(t, "%s", text_or_dash(e->function));
	if (e->call)
		table_cell(t, "(%s)", e->call);
	else if (e->argv)
		table_cell(t, "%s [%s]", text_or_dash(e->asked), e->argv);
	else
		table_cell(t, "%s", text_or_dash(e->asked));
	if (e->result && *e->result)
		table_cell(t, "%s%s= %s", e->used ? e->used : "", e->used ? " " : "", e->result);
	else
		table_cell(t, "%s", text_or_dash(e->used));
	table_cell(t, "%s%s%s", verdict, e->error ? " " : "", e->error ? e->error : "");
	table_paint_cell(t, verdict_colour(e));
	table_cell(t, "%s%s%s", e->rule ? e->rule : "", e->site ? ", from " : "",
		   e->site ? e->site : "");
}

static void print_notes(FILE *to, const struct record_view *v)
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
	if (v->lost)
		fprintf(to, "%" PRIu64 " more are missing: the file took no more at these times\n",
			v->lost);
	if (v->bad_lines)
		fprintf(to, "%" PRIu64 " damaged lines were left out\n", v->bad_lines);
	if (v->cut)
		fprintf(to, "the last line is cut: the writer was stopped in the middle of it\n");
}

int record_print(struct record *r, FILE *to, unsigned width, bool colour)
{
	struct record_view v = { 0 };
	struct table *t = table_create(columns, COLUMNS);
	int ret = t ? record_view(r, &v) : -ENOMEM;

	if (ret)
		goto out;
	table_wrap(t);
	for (size_t i = 0; i < v.n; i++)
		record_table_entry(t, &v.rows[i].entry, &v.rows[i].count);
	ret = v.n ? table_print(t, to, 0, width, colour) : 0;
	if (ret)
		goto out;
	print_notes(to, &v);
out:
	table_free(t);
	free(v.rows);
	return ret;
}

int record_print_sums(struct record *r, FILE *to)
{
	struct record_view v;
	int ret = record_view(r, &v);

	if (ret)
		return ret;
	print_notes(to, &v);
	free(v.rows);
	return 0;
}

/* Those of lines that come one at a time: their widths are guessed. */
static const struct table_column line_columns[] = {
	{ NULL, 0, TABLE_RIGHT | TABLE_LEAST(13) },
	{ NULL, 7, TABLE_LEAST(8) },
	{ NULL, 6, TABLE_LEAST(10) },
	{ NULL, 8, TABLE_LEAST(16) },
	{ NULL, 8, TABLE_LEAST(16) },
	{ NULL, 8, TABLE_LEAST(16) },
	{ NULL, 0, TABLE_LEAST(10) },
	{ NULL, 12, TABLE_SPARE },
};

int record_print_head(const struct record_follow *what)
{
	struct table *t;
	int ret;

	if (what->json)
		return 0;
	t = table_create(line_columns, ARRAY_SIZE(line_columns));
	table_wrap(t);
	for (size_t c = 0; c < COLUMNS; c++)
		if (c != COL_COUNT)
			table_cell(t, "%s", columns[c].title);
	table_paint_row(t, TABLE_BOLD);
	ret = table_print(t, what->to, 0, what->width, what->colour);
	table_free(t);
	return ret;
}

int record_print_line(const struct record_entry *e, const struct record_follow *what)
{
	struct table *t = table_create(line_columns, ARRAY_SIZE(line_columns));
	int ret;

	table_wrap(t);
	record_table_entry(t, e, NULL);
	ret = table_print(t, what->to, 0, what->width, what->colour);
	table_free(t);
	return ret;
}

static void json_rows(FILE *to, const struct record_view *v, bool events, struct record_line *t)
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
	struct record_line t = { 0 };
	int ret;

	ret = record_view(r, &v);
	if (ret)
		return ret;
	fputs("{\"requests\":[", to);
	json_rows(to, &v, false, &t);
	fputs("],\n\"events\":[", to);
	json_rows(to, &v, true, &t);
	fprintf(to,
		"],\n\"others\":%" PRIu64 ",\"not_recorded\":%" PRIu64 ",\"lost\":%" PRIu64
		",\"damaged_lines\":%" PRIu64 ",\"cut\":%s}\n",
		v.others, v.by_policy, v.lost, v.bad_lines, v.cut ? "true" : "false");
	ret = t.failed ? -ENOMEM : 0;
	line_free(&t);
	free(v.rows);
	return ret;
}
