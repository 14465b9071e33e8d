// SPDX-License-Identifier: GPL-2.0-only
/* Finds the known word that is nearest to a mistyped one. */
#include "base/suggest.h"

#include <stdio.h>
#include <string.h>

#define MAX_WORD 63

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Returns Levenshtein's distance of two words of at most MAX_WORD letters. */
static size_t word_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t row[MAX_WORD + 1];

	if (la > MAX_WORD || lb > MAX_WORD)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t up = row[j];

			row[j] = min3(row[j - 1] + 1, up + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = up;
		}
	}
	return row[lb];
}

const char *suggest_of(const char *word, const char *const *words, size_t n)
{
	/* A word with more than a third of its letters changed is another word. */
	size_t best_d = strlen(word) / 3 + 2, len = strlen(word);
	const char *best = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = word_distance(word, words[i]);

		if (!d)
			return words[i];
		/* A word that was only begun counts as no distance. */
		if (len >= 2 && !strncmp(word, words[i], len))
			d = 0;
		if (d < best_d) {
			best_d = d;
			best = words[i];
		}
	}
	return best;
}

const char *suggest(const char *word, const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return suggest_of(word, words, n);
}

const char *suggest_hint(char buf[SUGGEST_HINT], const char *meant)
{
	const char *quote = meant && strncmp(meant, "--", 2) != 0 ? "\"" : "";

	buf[0] = '\0';
	if (meant)
		snprintf(buf, SUGGEST_HINT, "; did you mean %s%.*s%s?", quote, MAX_WORD + 2, meant,
			 quote);
	return buf;
}
