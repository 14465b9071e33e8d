// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers questions about a loaded policy: its sessions, and which functions are critical, seen or
 * permitted.
 */
#include <string.h>

#include "policy/policy_int.h"

const struct policy_session *policy_session(const struct policy *p, const char *name)
{
	for (size_t i = 0; i < p->n_sessions; i++) {
		if (!strcmp(p->sessions[i].name, name))
			return &p->sessions[i];
	}
	return NULL;
}

size_t policy_session_count(const struct policy *p)
{
	return p->n_sessions;
}

const struct policy_session *policy_session_at(const struct policy *p, size_t i)
{
	return i < p->n_sessions ? &p->sessions[i] : NULL;
}

const char *policy_session_name(const struct policy_session *s)
{
	return s->name;
}

enum session_layout policy_layout(const struct policy_session *s)
{
	return s->layout;
}

bool policy_critical(const struct policy_session *s, const char *symbol)
{
	const struct catalog_fn *fn = catalog_find(symbol);

	return fn && policy_critical_fn(s, fn);
}

bool policy_critical_fn(const struct policy_session *s, const struct catalog_fn *fn)
{
	return !s->not_critical[catalog_index(fn)];
}

/* Returns the first line whose pattern @symbol is like, or NULL. */
static const struct trace_line *line_of(const struct trace_line *lines, size_t n,
					const char *symbol)
{
	for (size_t i = 0; i < n; i++)
		if (glob_match(lines[i].pattern, symbol))
			return &lines[i];
	return NULL;
}

const char *policy_traced(const struct policy_session *s, const char *symbol, bool *each)
{
	const struct trace_line *t = line_of(s->traces, s->n_traces, symbol);

	if (t && each)
		*each = t->each;
	return t ? t->rule : NULL;
}

const char *policy_trace_at(const struct policy_session *s, size_t i, const char **rule)
{
	if (i >= s->n_traces)
		return NULL;
	*rule = s->traces[i].rule;
	return s->traces[i].pattern;
}

const char *policy_watched(const struct policy_session *s, const char *symbol)
{
	const struct trace_line *t = line_of(s->watches, s->n_watches, symbol);

	return t ? t->rule : NULL;
}

const char *policy_watch_at(const struct policy_session *s, size_t i, const char **rule)
{
	if (i >= s->n_watches)
		return NULL;
	*rule = s->watches[i].rule;
	return s->watches[i].pattern;
}

bool policy_permitted(const struct policy_session *s, const char *symbol)
{
	const struct index *ix = &s->permit_index;
	size_t len = strnlen(symbol, INDEX_KEY_MAX);
	u64 hash = index_hash_start(0);

	for (size_t at = 0; at <= len && ix->count; at++) {
		const struct index_entry *e =
			index_has_length(ix, at) ? index_find(ix, hash, 0, symbol, at) : NULL;

		for (; e; e = index_next(ix, e)) {
			const struct permit *p = &s->permits[e->id];

			if (p->exact ? at == len : glob_match(p->pattern, symbol))
				return true;
		}
		if (at < len)
			hash = index_hash_step(hash, symbol[at]);
	}
	return false;
}
