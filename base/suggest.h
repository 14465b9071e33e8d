/* SPDX-License-Identifier: GPL-2.0-only */
/* Suggests what a mistyped command, option, key or function was probably meant to be. */
#ifndef UMBRA_BASE_SUGGEST_H
#define UMBRA_BASE_SUGGEST_H

#include "base/types.h"

/*
 * Returns the one of @words that is nearest to @word: fewest letters changed, added or left out, at
 * most a third of them, or one that @word begins. NULL if none is near. Words are borrowed.
 */
const char *suggest_of(const char *word, const char *const *words, size_t n);
/* Does the same for a list that ends with NULL. */
const char *suggest(const char *word, const char *const *words);

/*
 * Writes the end of a line about a mistyped word to @buf, which it returns: "; did you mean
 * @meant?", or "" if @meant is NULL. Quotes are put around all but an option's name ("--memory"); a
 * text that does not fit is cut.
 */
#define SUGGEST_HINT 96
const char *suggest_hint(char buf[SUGGEST_HINT], const char *meant);

#endif
