// SPDX-License-Identifier: GPL-2.0-only
/* Takes patterns apart to find those that no name can match. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "policy/path.h"
#include "policy/pattern.h"
#include "policy/policy_int.h"
#include "policy/value.h"

/* In struct pattern_places, beside the bytes: one character of several, and any number of any. */
#define PLACE_ONE 256
#define PLACE_ANY 257

/* A pattern, place for place. */
struct pattern_places {
	u16 at[INDEX_KEY_MAX];
	size_t n;
	size_t least; /* bytes of the shortest name that fits */
};

/* Returns the length of the bracket expression at @p, "[a-c]"; 0: it has no end. */
static size_t bracket_len(const char *p)
{
	size_t i = 1;

	i += p[i] == '!' || p[i] == '^';
	i += p[i] == ']'; /* at the begin it stands for itself */
	while (p[i] && p[i] != ']') {
		const char *class_end = NULL;

		if (p[i] == '[' && p[i + 1] && strchr(":.=", p[i + 1])) {
			char end[] = { p[i + 1], ']', '\0' };

			class_end = strstr(p + i + 2, end);
		}
		i = class_end ? (size_t)(class_end + 2 - p) : i + 1;
	}
	return p[i] ? i + 1 : 0;
}

/* Splits the pattern @p; returns a text that says what is wrong with it, or NULL. */
static const char *pattern_split(struct pattern_places *out, const char *p)
{
	out->n = out->least = 0;
	while (*p) {
		size_t len = 1;
		u16 c = (u8)*p;

		if (c == '\\') {
			if (!p[1])
				return "ends with a \\, which takes the next character literally "
				       "and has none; did you mean \\\\?";
			c = (u8)p[1];
			len = 2;
		} else if (c == '*') {
			c = PLACE_ANY;
		} else if (c == '?') {
			c = PLACE_ONE;
		} else if (c == '[') {
			c = PLACE_ONE;
			len = bracket_len(p);
			if (!len)
				return "has a [ without a ]; did you mean \\[, a bracket itself?";
		}
		out->at[out->n++] = c;
		out->least += c != PLACE_ANY;
		p += len;
	}
	return NULL;
}

/* Returns true if the component [from, to) of the pattern is literally empty, "." or "..". */
static bool component_is_taken_out(const struct pattern_places *s, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (s->at[i] != '.')
			return false;
	}
	return to - from <= 2;
}

/*
 * Returns true if the pattern can match a path as path_resolve() leaves it: absolute, without //, .
 * and .., no / at the end. A wildcard at the beginning may stand for the first slash.
 */
static bool places_can_be_a_path(const struct pattern_places *s)
{
	size_t from = 0;

	if (s->at[0] != '/' && s->at[0] != PLACE_ANY && s->at[0] != PLACE_ONE)
		return false;
	if (s->at[s->n - 1] == '/' && (s->n == 1 || (s->n == 2 && s->at[0] == PLACE_ANY)))
		return true; /* the root */
	for (size_t i = 0; i <= s->n; i++) {
		if (i < s->n && s->at[i] != '/')
			continue;
		if (from && component_is_taken_out(s, from, i))
			return false;
		from = i + 1;
	}
	return true;
}

static bool path_can_match(const char *p, const struct pattern_places *s, char why[PATTERN_WHY])
{
	char q[VALUE_QUOTE], deeper[VALUE_QUOTE], below[REQUEST_NAME_MAX + 2];
	struct path meant;

	if (places_can_be_a_path(s))
		return true;
	if (path_resolve(&meant, NULL, "/", p)) {
		snprintf(why, PATTERN_WHY, "matches no path: paths are absolute here");
		return false;
	}
	value_quote(q, meant.text);
	snprintf(below, sizeof(below), "%s/*", meant.len > 1 ? meant.text : "");
	if (meant.dir)
		snprintf(why, PATTERN_WHY,
			 "matches no path: it is compared as an absolute path without //, . and "
			 ".. and without a / at the end; did you mean %s, or %s for all below?",
			 q, value_quote(deeper, below));
	else
		snprintf(why, PATTERN_WHY,
			 "matches no path: it is compared as an absolute path without //, . and "
			 "..; did you mean %s?",
			 q);
	return false;
}

bool pattern_can_match(enum name_space space, const char *p, char why[PATTERN_WHY])
{
	struct pattern_places s;
	const char *wrong = pattern_split(&s, p);
	size_t max = name_space_max(space);

	if (wrong) {
		snprintf(why, PATTERN_WHY, "%s", wrong);
		return false;
	}
	if (space == SPACE_FILE || space == SPACE_PROGRAM)
		return path_can_match(p, &s, why);
	/* A driver asks for it in a char array, which need not end in a NUL. */
	if (space == SPACE_NET && s.least > max + 1) {
		snprintf(why, PATTERN_WHY, "matches no name: such a name has at most %zu bytes",
			 max);
		return false;
	}
	return true;
}

bool pattern_can_match_symbol(const char *p, char why[PATTERN_WHY])
{
	struct pattern_places s;
	const char *wrong = pattern_split(&s, p);

	if (wrong) {
		snprintf(why, PATTERN_WHY, "%s", wrong);
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		u16 c = s.at[i];

		if ((c < 128 && isalnum(c)) || c == '_' || c == '.' || c == '$' || c == PLACE_ONE ||
		    c == PLACE_ANY)
			continue;
		if (c == '-')
			snprintf(why, PATTERN_WHY,
				 "matches no symbol; did you mean _ in place of -?");
		else
			snprintf(why, PATTERN_WHY,
				 "matches no symbol: these are of letters, digits, _, . and $");
		return false;
	}
	return true;
}
