// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the text of all cells in one buffer, already harmless, with the width of each; the widths
 * of the columns are known when it is printed.
 */
#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/plain_text.h"
#include "base/table.h"
#include "base/utf8.h"

#define GAP   2u /* blanks between columns */
#define BELOW 4u /* blanks before a spare column below its row */
#define RESET "\033[0m"

struct cell {
	size_t at; /* in the text, which ends with a NUL */
	size_t width;
	const char *colour;
};

struct table {
	struct table_column columns[TABLE_COLUMNS];
	size_t n_columns;
	struct cell *cells;
	size_t n_cells, max_cells;
	char *text;
	size_t len, size;
	locale_t locale; /* for wcwidth(); 0 until it is needed */
	bool wraps;
	bool failed;
};

struct table *table_create(const struct table_column *columns, size_t n)
{
	struct table *t = n && n <= TABLE_COLUMNS ? calloc(1, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	memcpy(t->columns, columns, n * sizeof(*columns));
	t->n_columns = n;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	if (t->locale)
		freelocale(t->locale);
	free(t->cells);
	free(t->text);
	free(t);
}

void table_wrap(struct table *t)
{
	if (t)
		t->wraps = true;
}

static void text_append(struct table *t, const char *s, size_t len)
{
	size_t size = t->size ? t->size : 4096;
	char *text;

	while (size - t->len < len && size <= SIZE_MAX / 4)
		size *= 2;
	if (size != t->size) {
		text = realloc(t->text, size);
		if (!text || size - t->len < len) {
			t->text = text ? text : t->text;
			t->failed = true;
			return;
		}
		t->text = text;
		t->size = size;
	}
	memcpy(t->text + t->len, s, len);
	t->len += len;
}

/*
 * Returns the columns that a character takes; -1: the C library knows none that is printed. The
 * user's locale does not matter, since all text here is UTF-8; where the system has no C.UTF-8,
 * every character counts as one column.
 */
static int char_width(struct table *t, u32 code)
{
	locale_t old;
	int width;

	if (code < 0x7f)
		return 1;
	if (!t->locale)
		t->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (!t->locale)
		return 1;
	old = uselocale(t->locale);
	width = wcwidth((wchar_t)code);
	uselocale(old);
	return width;
}

/* Appends @s, with every byte that is not harmless as \xNN. Returns its width. */
static size_t text_append_harmless(struct table *t, const char *s)
{
	size_t width = 0;
	u32 code;

	while (*s && !t->failed) {
		unsigned len = utf8_next(s, &code);
		int w = len && plain_text_is_harmless(code) ? char_width(t, code) : -1;

		if (w >= 0) {
			text_append(t, s, len);
			width += (size_t)w;
		} else {
			len = len ? len : 1;
			for (unsigned i = 0; i < len; i++) {
				char hex[PLAIN_TEXT_HEX];

				text_append(t, plain_text_hex(hex, (u8)s[i]), PLAIN_TEXT_HEX - 1);
			}
			width += 4 * (size_t)len;
		}
		s += len;
	}
	return width;
}

static struct cell *cell_append(struct table *t)
{
	size_t max = t->max_cells ? t->max_cells * 2 : 64;
	struct cell *cells;

	if (t->n_cells == t->max_cells) {
		cells = max > SIZE_MAX / sizeof(*cells) / 2
				? NULL
				: realloc(t->cells, max * sizeof(*cells));
		if (!cells) {
			t->failed = true;
			return NULL;
		}
		t->cells = cells;
		t->max_cells = max;
	}
	return &t->cells[t->n_cells++];
}

void table_cell(struct table *t, const char *fmt, ...)
{
	struct cell *c;
	char *s = NULL;
	va_list ap;

	if (!t || t->failed)
		return;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	c = s ? cell_append(t) : NULL;
	if (!c) {
		t->failed = true;
		goto out;
	}
	*c = (struct cell){ .at = t->len, .colour = "" };
	c->width = text_append_harmless(t, s);
	text_append(t, "", 1);
out:
	free(s);
}

void table_row_end(struct table *t)
{
	while (t && !t->failed && t->n_cells % t->n_columns)
		table_cell(t, "%s", "");
}

void table_paint_cell(struct table *t, const char *colour)
{
	if (t && t->n_cells)
		t->cells[t->n_cells - 1].colour = colour;
}

void table_paint_row(struct table *t, const char *colour)
{
	size_t i = t ? t->n_cells : 0;

	while (i && (i == t->n_cells || i % t->n_columns))
		t->cells[--i].colour = colour;
}

/* Returns the width of a line. A column of width 0 has only empty cells, and no gap. */
static size_t line_width(const size_t *width, size_t n)
{
	size_t sum = 0;

	for (size_t c = 0; c < n; c++)
		sum += width[c] ? width[c] + (sum ? GAP : 0) : 0;
	return sum;
}

/* Narrows the columns until a line fits into @limit. Returns how many columns are left. */
static size_t columns_fit(const struct table *t, size_t *width, size_t limit)
{
	size_t n = t->n_columns;

	if (t->columns[n - 1].flags & TABLE_SPARE && n > 1 && line_width(width, n) > limit)
		n--;
	while (line_width(width, n) > limit) {
		size_t widest = n;

		for (size_t c = 0; c < n; c++)
			if (t->columns[c].least && width[c] > t->columns[c].least &&
			    (widest == n || width[c] > width[widest]))
				widest = c;
		if (widest == n)
			break;
		width[widest]--;
	}
	return n;
}

static size_t columns_measure(struct table *t, size_t *width, size_t limit)
{
	for (size_t c = 0; c < t->n_columns; c++) {
		size_t least = t->columns[c].flags >> 8;

		width[c] = t->columns[0].title ? strlen(t->columns[c].title) : 0;
		width[c] = width[c] > least ? width[c] : least;
	}
	for (size_t i = 0, c = 0; i < t->n_cells; i++, c = c + 1 < t->n_columns ? c + 1 : 0)
		width[c] = t->cells[i].width > width[c] ? t->cells[i].width : width[c];
	for (size_t c = 0; c + 1 < t->n_columns; c++)
		width[c] = width[c] > TABLE_CELL_MAX ? TABLE_CELL_MAX : width[c];
	return limit ? columns_fit(t, width, limit) : t->n_columns;
}

/*
 * Returns how many bytes of @s have whole characters that fit into @width columns; *used is how
 * many columns these take.
 */
static size_t head_bytes(struct table *t, const char *s, size_t width, size_t *used)
{
	size_t bytes = 0;
	u32 code;

	*used = 0;
	while (s[bytes]) {
		unsigned len = utf8_next(s + bytes, &code);
		size_t w = (size_t)char_width(t, code);

		if (*used + w > width)
			break;
		*used += w;
		bytes += len;
	}
	return bytes;
}

/*
 * Returns the rest of @s behind its first @width columns, or behind one more, if a wide character
 * lies across; *used is how many.
 */
static const char *text_tail(struct table *t, const char *s, size_t width, size_t *used)
{
	u32 code;

	*used = 0;
	while (*s && *used < width) {
		unsigned len = utf8_next(s, &code);

		*used += (size_t)char_width(t, code);
		s += len;
	}
	return s;
}

/* A line as it is printed: blanks wait for a text behind them, so that no line ends with blanks. */
struct table_line {
	struct table *table;
	FILE *to;
	size_t blanks;
};

static void line_put(struct table_line *l, const char *s, size_t len, const char *colour)
{
	if (!len)
		return;
	fprintf(l->to, "%*s%s", (int)l->blanks, "", colour);
	fwrite(s, 1, len, l->to);
	fputs(*colour ? RESET : "", l->to);
	l->blanks = 0;
}

/* Prints the cell @s, which has @have columns, shortened to @width. */
static void line_put_cut(struct table_line *l, const char *s, size_t have, size_t width,
			 unsigned flags, const char *colour)
{
	struct table *t = l->table;
	size_t dots = width < 3 ? width : 3, keep = width - dots, head, used, skipped;
	const char *tail;
	char *cut;

	head = head_bytes(t, s, flags & TABLE_END ? keep : keep / 3, &used);
	tail = flags & TABLE_END ? "" : text_tail(t, s, have - (keep - used), &skipped);
	if (flags & TABLE_END)
		skipped = have;
	if (asprintf(&cut, "%.*s%.*s%s", (int)head, s, (int)dots, "...", tail) < 0) {
		t->failed = true;
		return;
	}
	line_put(l, cut, strlen(cut), colour);
	free(cut);
	/* A wide character that did not fit leaves one column blank. */
	l->blanks += width - (used + dots + (have - skipped));
}

/* Prints the cell @s of @column, which has @have columns of the terminal, in @width of them. */
static void line_put_cell(struct table_line *l, size_t column, size_t width, const char *s,
			  size_t have, const char *colour)
{
	unsigned flags = l->table->columns[column].flags;
	size_t pad = width > have ? width - have : 0;

	if (!width)
		return;
	if (have > width && !l->table->wraps) {
		line_put_cut(l, s, have, width, flags, colour);
	} else {
		l->blanks += flags & TABLE_RIGHT ? pad : 0;
		line_put(l, s, strlen(s), colour);
		l->blanks += flags & TABLE_RIGHT ? 0 : pad;
	}
	l->blanks += GAP;
}

/* Returns the columns that the first @bytes of @s take. */
static size_t text_width(struct table *t, const char *s, size_t bytes)
{
	size_t width = 0;
	u32 code;

	for (size_t i = 0; i < bytes;) {
		i += utf8_next(s + i, &code);
		width += (size_t)char_width(t, code);
	}
	return width;
}

/*
 * Returns how much of @s goes into a line of @width columns of a cell that wraps; *used is how wide
 * it is. It ends behind a blank or a slash, if there is one in its second half. A character that is
 * wider than @width goes all the same.
 */
static size_t piece_bytes(struct table *t, const char *s, size_t width, size_t *used)
{
	size_t bytes = head_bytes(t, s, width, used), end = bytes;
	u32 code;

	if (!s[bytes])
		return bytes;
	if (!bytes)
		return utf8_next(s, &code);
	while (end > bytes / 2 && s[end] != ' ' && s[end - 1] != ' ' && s[end - 1] != '/')
		end--;
	end = end > bytes / 2 ? end : bytes;
	*used = text_width(t, s, end);
	return end;
}

/* Prints a piece of a cell, and passes the blank over at which it was broken. */
static const char *line_put_piece(struct table_line *l, const char *s, size_t bytes,
				  const char *colour)
{
	size_t len = bytes;

	while (s[bytes] && len && s[len - 1] == ' ')
		len--;
	line_put(l, s, len, colour);
	l->blanks += bytes - len;
	s += bytes;
	return bytes && *s == ' ' ? s + 1 : s;
}

/* Prints a row in as many lines as its cells need. */
static void row_put_wrapped(struct table *t, FILE *to, unsigned indent, const struct cell *cells,
			    const size_t *wide, size_t n, bool colour)
{
	const char *rest[TABLE_COLUMNS];
	bool more = true;

	for (size_t c = 0; c < n; c++)
		rest[c] = t->text + cells[c].at;
	while (more) {
		struct table_line l = { t, to, indent };

		more = false;
		for (size_t c = 0; c < n; c++) {
			bool right = t->columns[c].flags & TABLE_RIGHT;
			size_t used, bytes = piece_bytes(t, rest[c], wide[c], &used);
			size_t pad = wide[c] > used ? wide[c] - used : 0;

			if (!wide[c])
				continue;
			l.blanks += right ? pad : 0;
			rest[c] = line_put_piece(&l, rest[c], bytes, colour ? cells[c].colour : "");
			l.blanks += right ? GAP : pad + GAP;
			more = more || *rest[c];
		}
		fputc('\n', to);
	}
}

/* Prints the cell of a spare column below its row. */
static void spare_put_below(struct table *t, FILE *to, unsigned indent, unsigned width,
			    const struct cell *cell, bool colour)
{
	size_t blanks = indent + BELOW, wide = width > blanks ? width - blanks : 1, used;

	for (const char *s = t->text + cell->at; *s;) {
		struct table_line l = { t, to, blanks };
		size_t bytes = piece_bytes(t, s, wide, &used);

		s = line_put_piece(&l, s, bytes, colour ? cell->colour : "");
		fputc('\n', to);
	}
}

int table_print(struct table *t, FILE *to, unsigned indent, unsigned width, bool colour)
{
	size_t wide[TABLE_COLUMNS] = { 0 }, n;

	table_row_end(t);
	if (!t || t->failed)
		return -ENOMEM;
	n = columns_measure(t, wide, width > indent ? width - indent : width);
	if (t->columns[0].title) {
		struct table_line l = { t, to, indent };

		fputs(colour ? TABLE_BOLD : "", to);
		for (size_t c = 0; c < n; c++)
			line_put_cell(&l, c, wide[c], t->columns[c].title,
				      strlen(t->columns[c].title), "");
		fprintf(to, "%s\n", colour ? RESET : "");
	}
	for (size_t row = 0; row < t->n_cells; row += t->n_columns) {
		struct table_line l = { t, to, indent };

		if (t->wraps && width) {
			row_put_wrapped(t, to, indent, t->cells + row, wide, n, colour);
			if (n < t->n_columns)
				spare_put_below(t, to, indent, width, t->cells + row + n, colour);
			continue;
		}
		for (size_t c = 0; c < n; c++) {
			const struct cell *cell = &t->cells[row + c];

			line_put_cell(&l, c, wide[c], t->text + cell->at, cell->width,
				      colour ? cell->colour : "");
		}
		fputc('\n', to);
	}
	return t->failed ? -ENOMEM : 0;
}

unsigned table_terminal_width(FILE *to)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	char *end;
	long n;

	if (!isatty(fileno(to)))
		return 0;
	if (!ioctl(fileno(to), TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	n = columns ? strtol(columns, &end, 10) : 0;
	return columns && !*end && n > 0 && n < 10000 ? (unsigned)n : 80;
}

bool table_terminal_colour(FILE *to)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fileno(to)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}
