// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parses the lists of functions whose calls are seen: of the kernel's by `trace` and `witness`, of
 * the drivers' own by `trace_inward`.
 */
#include <string.h>

#include "policy/parse.h"
#include "policy/pattern.h"

/* Each is tried for each import of a driver, or for each function that it hands out. */
#define LINES_MAX  POLICY_TRACES_MAX
#define LINE_BYTES 64

/* Parses number @index of the list @key. */
static int parse_line(struct parse *ps, config_setting_t *list, const char *key, int index,
		      struct trace_line *t)
{
	config_setting_t *st = config_setting_get_elem(list, (unsigned)index);
	char why[PATTERN_WHY];
	const char *text;
	int ret = value_string(ps, st, "a function or a pattern of functions", &text);

	if (!ret)
		ret = value_copy(ps, text, &t->pattern);
	if (!ret)
		ret = parse_rule_text(ps, st, key, index, &t->rule);
	if (ret)
		return ret;
	if (!*text || strlen(text) > LINE_BYTES)
		return value_error(ps, st, "expected a pattern of 1 to %d bytes", LINE_BYTES);
	return pattern_can_match_symbol(text, why) ? 0 : value_error(ps, st, "%s", why);
}

int parse_trace(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	static const char *const keys[] = { "witness", "trace" };
	config_setting_t *lists[ARRAY_SIZE(keys)];
	size_t n[ARRAY_SIZE(keys)] = { 0 }, all = 0;
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		lists[i] = config_setting_get_member(session, keys[i]);
		if (!lists[i])
			continue;
		ret = parse_begin_list(ps, lists[i], "functions, or patterns of functions", &n[i]);
		if (ret)
			return ret;
		all += n[i];
		if (all > LINES_MAX)
			return value_error(ps, lists[i],
					   "expected at most %d patterns in trace and witness "
					   "together, found %zu",
					   LINES_MAX, all);
	}
	if (!all)
		return 0;
	s->traces = pool_alloc(&ps->p->pool, all, sizeof(*s->traces));
	if (!s->traces)
		return value_nomem(ps);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		for (int k = 0; k < (int)n[i] && !ret; k++) {
			struct trace_line *t = &s->traces[s->n_traces++];

			ret = parse_line(ps, lists[i], keys[i], k, t);
			t->each = i == 0;
		}
	}
	return ret;
}

int parse_trace_inward(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	static const char key[] = "trace_inward";
	config_setting_t *list = config_setting_get_member(session, key);
	size_t n;
	int ret;

	if (!list)
		return 0;
	ret = parse_begin_list(ps, list, "functions of drivers, or patterns of them", &n);
	if (ret)
		return ret;
	if (n > LINES_MAX)
		return value_error(ps, list, "expected at most %d patterns, found %zu", LINES_MAX,
				   n);
	s->watches = pool_alloc(&ps->p->pool, n, sizeof(*s->watches));
	if (!s->watches)
		return value_nomem(ps);
	for (size_t i = 0; !ret && i < n; i++)
		ret = parse_line(ps, list, key, (int)i, &s->watches[i]);
	s->n_watches = n;
	return ret;
}
