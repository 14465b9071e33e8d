// SPDX-License-Identifier: GPL-2.0-only
/* Looks over the text of a policy for what libconfig would take without a word. */
#include <errno.h>
#include <string.h>

#include "policy/scan.h"

struct scan {
	const char *label;
	const char *s;
	unsigned line;
	unsigned depth;
	unsigned members[SCAN_DEPTH_MAX + 1];
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
	return 0;
}

static int scan_special(struct scan *sc)
{
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

int scan_text(const char *label, const char *text, struct err *e)
{
	struct scan sc = { .label = label, .s = text, .line = 1, .e = e };
	int ret = 0;

	while (!ret && *sc.s) {
		if (*sc.s == '"') {
			ret = skip_string(&sc);
		} else if (*sc.s == '#' || (sc.s[0] == '/' && sc.s[1] == '/')) {
			skip_line(&sc);
		} else if (sc.s[0] == '/' && sc.s[1] == '*') {
			ret = skip_comment(&sc);
		} else {
			ret = scan_special(&sc);
			sc.s++;
		}
	}
	return ret;
}
