// SPDX-License-Identifier: GPL-2.0-only
/* Parses `trace_inward` of a session: the drivers' own functions whose calls are watched. */
#include <string.h>

#include "policy/parse.h"
#include "policy/pattern.h"

/* Each is tried for each function that a driver hands out. */
#define LINES_MAX  64
#define LINE_BYTES 64

static int parse_line(struct parse *ps, config_setting_t *st, int index, struct trace_line *t)
{
	char why[PATTERN_WHY];
	const char *text;
	int ret = value_string(ps, st, "a function or a pattern of functions", &text);

	if (!ret)
		ret = value_copy(ps, text, &t->pattern);
	if (!ret)
		ret = parse_rule_text(ps, st, "trace_inward", index, &t->rule);
	if (ret)
		return ret;
	if (!*text || strlen(text) > LINE_BYTES)
		return value_error(ps, st, "expected a pattern of 1 to %d bytes", LINE_BYTES);
	return pattern_can_match_symbol(text, why) ? 0 : value_error(ps, st, "%s", why);
}

int parse_trace_inward(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	config_setting_t *list = config_setting_get_member(session, "trace_inward");
	size_t n;
	int ret;

	if (!list)
		return 0;
	ret = value_list(ps, list, "functions of drivers, or patterns of them");
	n = (size_t)config_setting_length(list);
	if (!ret)
		ret = value_count(ps, list, n);
	if (ret)
		return ret;
	if (n > LINES_MAX)
		return value_error(ps, list, "expected at most %d patterns, found %zu", LINES_MAX,
				   n);
	s->watches = pool_alloc(&ps->p->pool, n, sizeof(*s->watches));
	if (!s->watches)
		return value_nomem(ps);
	for (size_t i = 0; !ret && i < n; i++)
		ret = parse_line(ps, config_setting_get_elem(list, (unsigned)i), (int)i,
				 &s->watches[i]);
	s->n_watches = n;
	return ret;
}
