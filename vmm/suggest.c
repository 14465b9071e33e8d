// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/options.h"

#include <string.h>

#define MAX_WORD 31

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's distance, words cut at MAX_WORD. */
static size_t distance(const char *a, const char *b)
{
	size_t la = strnlen(a, MAX_WORD), lb = strnlen(b, MAX_WORD);
	size_t row[MAX_WORD + 1];

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

const char *suggest(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t best_d = strlen(word) / 3 + 2;

	for (; *words; words++) {
		size_t d = distance(word, *words);

		/* What was only begun is meant, too. */
		if (strlen(word) >= 2 && !strncmp(word, *words, strlen(word)))
			d = 0;
		if (d < best_d) {
			best_d = d;
			best = *words;
		}
	}
	return best;
}
