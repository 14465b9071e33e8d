/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prints tables for people, and alone knows how wide a text is on a terminal.
 *
 * A table is made with its columns, filled cell by cell from left to right, row after row, and
 * printed once. Width is display width as wcwidth(3) has it: a CJK character takes two columns, a
 * combining mark none. Cells may hold any bytes: bytes that could move a cursor, reorder or hide
 * text, and bytes that are no UTF-8, are shown as \xNN, so that a name chosen by a guest or a file
 * does no harm.
 *
 * Columns stand two blanks apart, the last one is not padded, numbers are right-aligned if their
 * column says so. If a terminal is too narrow, columns that may be left out are, then the widest
 * of those that may be narrowed lose their middle (the end of a path tells most) until all fits;
 * after table_wrap() they go on in further lines instead.
 *
 * Memory that runs out is remembered: filling a table needs no checks, table_print() tells.
 */
#ifndef UMBRA_BASE_TABLE_H
#define UMBRA_BASE_TABLE_H

#include <stdio.h>

#include "base/types.h"

#define TABLE_COLUMNS  32
#define TABLE_CELL_MAX 400 /* display columns of a cell, but in a last column: there is no limit */

#define TABLE_RIGHT 1u /* right-aligned: numbers */
#define TABLE_SPARE 2u /* the last column only: left out as the first if a line gets too long */
#define TABLE_END   4u /* a narrowed cell loses its end, not its middle: prose */
/* As wide as that at least, for tables of one row each that are to stand below one another. */
#define TABLE_LEAST(n) ((unsigned)(n) << 8)

struct table_column {
	const char *title; /* borrowed; NULL in the first column: a table without a head */
	unsigned least;	   /* is narrowed to this at most; 0: is never narrowed */
	unsigned flags;	   /* TABLE_... */
};

#define TABLE_BOLD    "\033[1m"
#define TABLE_RED     "\033[31m"
#define TABLE_YELLOW  "\033[33m"
#define TABLE_MAGENTA "\033[35m"

struct table;

/* Makes an empty table. @columns, at most TABLE_COLUMNS, are copied. NULL: out of memory. */
struct table *table_create(const struct table_column *columns, size_t n);
void table_free(struct table *t); /* NULL is allowed, here and below */

/* Adds the next cell of the row; behind the last one a new row begins. */
void table_cell(struct table *t, const char *fmt, ...) __printf(2, 3);
/* Ends the row: its other cells are empty. */
void table_row_end(struct table *t);
/* Paints the cell, or all cells of the row, that came last: TABLE_RED, ..., "" for none. */
void table_paint_cell(struct table *t, const char *colour);
void table_paint_row(struct table *t, const char *colour);

/*
 * Has nothing be cut: a narrowed cell goes on in the lines that follow, a spare column that does
 * not fit stands below its row, on lines of its own, and without a limit of the width a cell that
 * is longer than TABLE_CELL_MAX moves what is behind it.
 */
void table_wrap(struct table *t);

/*
 * Prints all rows, each line behind @indent blanks. @width: columns of the terminal, 0: no limit.
 * @colour: the head is bold, and the cells have the colours that they were painted in. -ENOMEM: a
 * cell could not be kept, and nothing is printed. Errors of the stream are not looked at: the
 * caller asks ferror() or fflush().
 */
int table_print(struct table *t, FILE *to, unsigned indent, unsigned width, bool colour);

/* Returns the columns of the terminal that @to is, also by $COLUMNS (else 80); 0: it is none. */
unsigned table_terminal_width(FILE *to);
/* Returns true if @to is a terminal that shows colours, and $NO_COLOR is not set. */
bool table_terminal_colour(FILE *to);

#endif
