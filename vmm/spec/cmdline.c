// SPDX-License-Identifier: GPL-2.0-only
/* Takes a kernel's command line apart as the kernel does. */
#include "vmm/spec/cmdline.h"

#include <string.h>

/*
 * Returns true for a blank, as the kernel's isspace() does: 0xa0 is the blank of Latin-1 that does
 * not break.
 */
static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (unsigned char)c == 0xa0;
}

/*
 * Returns the end of the word that begins at @s, behind its opening quote if it is @quoted; *equals
 * as next_arg().
 */
static const char *word_end(const char *s, bool quoted, size_t *equals)
{
	const char *p = s;

	*equals = 0;
	for (; *p && (quoted || !is_blank(*p)); p++) {
		if (!*equals && *p == '=')
			*equals = (size_t)(p - s);
		if (*p == '"')
			quoted = !quoted;
	}
	return p;
}

/* Returns the length of [@from, @end) without a quote at its end; @end may lie before @from. */
static size_t unquoted_len(const char *from, const char *end)
{
	if (end > from && end[-1] == '"')
		end--;
	return end > from ? (size_t)(end - from) : 0;
}

bool cmdline_next(const char **at, struct cmdline_word *w)
{
	const char *end, *s = *at;
	size_t equals;
	bool quoted;

	while (is_blank(*s))
		s++;
	*at = s;
	if (!*s)
		return false;
	w->start = s;
	quoted = *s == '"';
	s += quoted;
	end = word_end(s, quoted, &equals);
	w->len = (size_t)(end - w->start);
	w->key = s;
	w->key_len = equals;
	w->value = NULL;
	w->value_len = 0;
	if (!equals)
		w->key_len = quoted ? unquoted_len(s, end) : (size_t)(end - s);
	if (equals) {
		bool inner = s[equals + 1] == '"';

		w->value = s + equals + 1 + inner;
		w->value_len =
			inner || quoted ? unquoted_len(w->value, end) : (size_t)(end - w->value);
	}
	if (!equals && w->key_len == 2 && !memcmp(w->key, "--", 2))
		return false;
	*at = end;
	return true;
}

bool cmdline_is(const struct cmdline_word *w, const char *key)
{
	size_t i;

	for (i = 0; i < w->key_len && key[i]; i++) {
		char a = w->key[i] == '-' ? '_' : w->key[i], b = key[i] == '-' ? '_' : key[i];

		if (a != b)
			return false;
	}
	return i == w->key_len && !key[i];
}

static bool cmdline_find_last(const char *line, const char *key, bool valued,
			      struct cmdline_word *w)
{
	struct cmdline_word next;
	bool found = false;

	while (cmdline_next(&line, &next)) {
		if (!cmdline_is(&next, key) || (valued && !next.value))
			continue;
		*w = next;
		found = true;
	}
	return found;
}

bool cmdline_find(const char *line, const char *key, struct cmdline_word *w)
{
	return cmdline_find_last(line, key, false, w);
}

bool cmdline_find_value(const char *line, const char *key, struct cmdline_word *w)
{
	return cmdline_find_last(line, key, true, w);
}

char *cmdline_value(const char *line, const char *key)
{
	struct cmdline_word w;

	return cmdline_find_value(line, key, &w) ? strndup(w.value, w.value_len) : NULL;
}
