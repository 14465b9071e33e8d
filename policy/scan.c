// SPDX-License-Identifier: GPL-2.0-only
/* Looks over the text of a policy for mistakes that libconfig would accept without an error. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/scan.h"

struct scan {
	const char *label;
	const char *s;
	unsigned line;
	unsigned depth;
	unsigned members[SCAN_DEPTH_MAX + 1];
	char brackets[SCAN_DEPTH_MAX + 1];
	char last;	    /* character that is neither blank nor comment */
	unsigned last_line; /* its line */
	FILE *out;
	struct err *e;
};

static void skip_line(struct scan *sc)
{
	sc->s += strcspn(sc->s, "\n");
}

static int skip_comment(struct scan *sc)
{
	unsigned start = sc->line;

	for (sc->s += 2; *sc->s; sc->s++) {
		if (sc->s[0] == '*' && sc->s[1] == '/') {
			sc->s += 2;
			return 0;
		}
		sc->line += *sc->s == '\n';
	}
	return err_set(sc->e, -EINVAL, "%s:%u: this comment has no end, expected */", sc->label,
		       start);
}

static int skip_string(struct scan *sc)
{
	unsigned start = sc->line;

	for (sc->s++; *sc->s; sc->s++) {
		if (*sc->s == '"') {
			sc->s++;
			return 0;
		}
		if (*sc->s == '\n')
			break; /* the usual cause is a forgotten quote: say it where it happened */
		if (*sc->s != '\\' || !sc->s[1])
			continue;
		sc->s++;
		if ((*sc->s == 'x' || *sc->s == 'X') && sc->s[1] == '0' && sc->s[2] == '0')
			return err_set(sc->e, -EINVAL,
				       "%s:%u: a string cannot hold a NUL byte (\\x00)", sc->label,
				       sc->line);
		sc->line += *sc->s == '\n';
	}
	return err_set(sc->e, -EINVAL, "%s:%u: this string has no end, expected \"", sc->label,
		       start);
}

static int open_bracket(struct scan *sc)
{
	if (sc->depth == SCAN_DEPTH_MAX)
		return err_set(sc->e, -EINVAL, "%s:%u: brackets nest deeper than %d", sc->label,
			       sc->line, SCAN_DEPTH_MAX);
	sc->members[++sc->depth] = 0;
	sc->brackets[sc->depth] = *sc->s;
	return 0;
}

/* Checks a comma, which in a list stands between two values; a group takes one for a semicolon. */
static int check_comma(struct scan *sc)
{
	bool list = strchr("([", sc->brackets[sc->depth]) && sc->brackets[sc->depth];

	if (list && sc->last == ',' && strchr(",)]", *sc->s))
		return err_set(sc->e, -EINVAL,
			       "%s:%u: a comma without a value behind it, remove the comma",
			       sc->label, sc->last_line);
	if (list && *sc->s == ',' && strchr("([", sc->last))
		return err_set(sc->e, -EINVAL,
			       "%s:%u: a comma without a value before it, remove the comma",
			       sc->label, sc->line);
	return 0;
}

static int scan_special(struct scan *sc)
{
	int ret = strchr(",)]", *sc->s) ? check_comma(sc) : 0;

	if (ret)
		return ret;
	switch (*sc->s) {
	case '{':
	case '(':
	case '[':
		return open_bracket(sc);
	case '}':
	case ')':
	case ']':
		sc->depth -= sc->depth > 0;
		return 0;
	case '=':
	case ':':
		if (++sc->members[sc->depth] <= SCAN_MEMBERS_MAX)
			return 0;
		return err_set(sc->e, -EINVAL, "%s:%u: more than %d settings in one group",
			       sc->label, sc->line, SCAN_MEMBERS_MAX);
	case '@':
		return err_set(sc->e, -EINVAL,
			       "%s:%u: @include is not supported, all stands in one file",
			       sc->label, sc->line);
	case '\n':
		sc->line++;
		return 0;
	default:
		return 0;
	}
}

/*
 * Scans a word or a number, as libconfig cuts it. *wide: a whole number that needs an L behind it,
 * without which libconfig keeps its lowest 32 bits.
 */
static int scan_word(struct scan *sc, bool *wide)
{
	const char *start = sc->s, *digits = start + strspn(start, "+-");
	bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	size_t len = strspn(sc->s, "+-.*_0123456789abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	char *end;
	long long n;

	*wide = false;
	sc->s += len;
	if (!isdigit((unsigned char)*digits))
		return 0;
	errno = 0;
	n = strtoll(start, &end, hex ? 16 : 10);
	if (end != sc->s && *end != 'L')
		return 0; /* a fraction, or no number */
	if (errno)
		return err_set(sc->e, -EINVAL,
			       "%s:%u: %.*s is no number of 64 bits, the most that can be given",
			       sc->label, sc->line, (int)(len < 40 ? len : 40), start);
	*wide = end == sc->s && n != (int)n;
	return 0;
}

static bool starts_word(char c)
{
	return isalnum((unsigned char)c) || c == '+' || c == '-' || c == '*' || c == '.' ||
	       c == '_';
}

static int scan_token(struct scan *sc)
{
	const char *start = sc->s;
	bool comment = false, wide = false;
	int ret;

	if (*sc->s == '"') {
		ret = skip_string(sc);
	} else if (*sc->s == '#' || (sc->s[0] == '/' && sc->s[1] == '/')) {
		comment = true;
		skip_line(sc);
		ret = 0;
	} else if (sc->s[0] == '/' && sc->s[1] == '*') {
		comment = true;
		ret = skip_comment(sc);
	} else if (starts_word(*sc->s)) {
		ret = scan_word(sc, &wide);
	} else {
		ret = scan_special(sc);
		sc->s++;
	}
	if (!comment && !isspace((unsigned char)*start)) {
		sc->last = *start;
		sc->last_line = sc->line;
	}
	fwrite(start, 1, (size_t)(sc->s - start), sc->out);
	if (wide)
		fputc('L', sc->out);
	return ret;
}

int scan_text(char **out, const char *label, const char *text, struct err *e)
{
	struct scan sc = { .label = label, .s = text, .line = 1, .e = e };
	size_t len;
	int ret = 0;

	*out = NULL;
	sc.out = open_memstream(out, &len);
	if (!sc.out)
		return err_set(e, -ENOMEM, "%s: out of memory", label);
	while (!ret && *sc.s)
		ret = scan_token(&sc);
	/* libconfig takes a comment for one only if its line ends */
	fputc('\n', sc.out);
	if ((fclose(sc.out) || !*out) && !ret)
		ret = err_set(e, -ENOMEM, "%s: out of memory", label);
	if (ret) {
		free(*out);
		*out = NULL;
	}
	return ret;
}
