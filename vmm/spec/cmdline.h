/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Splits a kernel's command line into words, as the kernel itself takes them (lib/cmdline.c
 * next_arg(), kernel/params.c parse_args()): blanks part them except within double quotes, which
 * may stand around a word or around its value; '-' and '_' in a name are one; and everything behind
 * a word "--" is for the guest's init.
 *
 *	quiet "a=1 2" b="3 4" module.x-y=5 -- console=x
 *
 * has the words quiet, a ("1 2"), b ("3 4") and module.x-y ("5"), and no console.
 */
#ifndef UMBRA_VMM_SPEC_CMDLINE_H
#define UMBRA_VMM_SPEC_CMDLINE_H

#include "base/types.h"

/* A word; everything points into the line. */
struct cmdline_word {
	const char *start; /* with its quotes, as it stands in the line */
	size_t len;
	const char *key;
	size_t key_len;
	const char *value; /* without quotes; NULL: the word has no '=' */
	size_t value_len;
};

/*
 * Takes the word at *at, which moves behind it. False: there is none before the line's end or "--";
 * *at is left there.
 */
bool cmdline_next(const char **at, struct cmdline_word *w);
/* Returns true if @key is the word's name. */
bool cmdline_is(const struct cmdline_word *w, const char *key);
/* Finds the last word of that name, which is the one that counts for most; false: there is none. */
bool cmdline_find(const char *line, const char *key, struct cmdline_word *w);
/* Does the same among those words that have a value. */
bool cmdline_find_value(const char *line, const char *key, struct cmdline_word *w);
/* Returns the value of that one, malloc'ed; NULL: there is none, or no memory. */
char *cmdline_value(const char *line, const char *key);

#endif
