// SPDX-License-Identifier: GPL-2.0-only
/* Reads a policy file: its root, its sessions and their defaults. */
#include <stdlib.h>
#include <string.h>

#include "base/name_chars.h"
#include "policy/parse.h"
#include "policy/text.h"

static int session_name(struct parse *ps, config_setting_t *st, struct policy_session *s)
{
	const char *name = config_setting_name(st);
	char q[VALUE_QUOTE];

	if (!name_chars_only(name, NAME_WORD, POLICY_NAME_MAX))
		return value_error(ps, st,
				   "a session's name is 1 to %d " NAME_WORD_TEXT ", found %s",
				   POLICY_NAME_MAX, value_quote(q, name));
	memcpy(s->name, name, strlen(name) + 1);
	return 0;
}

static int parse_default(struct parse *ps, config_setting_t *st, struct policy_session *s)
{
	static const struct keyword words[] = { { "pass", 1 }, { "deny", 0 } };
	config_setting_t *d = config_setting_get_member(st, "default");
	int value = 0, ret;

	s->default_rule = "default: no rule names it";
	if (!d)
		return 0;
	ret = value_keyword(ps, st, "default", words, ARRAY_SIZE(words), &value);
	if (ret)
		return ret;
	s->default_pass = value != 0;
	return parse_rule_text(ps, d, "default", -1, &s->default_rule);
}

static int parse_session(struct parse *ps, config_setting_t *st, struct policy_session *s)
{
	static const char *const keys[] = { "files",   "names",	      "functions", "critical",
					    "permit",  "default",     "layout",	   "trace",
					    "witness", "trace_inward" };
	int ret = session_name(ps, st, s);

	if (!ret)
		ret = value_group(ps, st, keys, ARRAY_SIZE(keys));
	if (!ret)
		ret = parse_default(ps, st, s);
	if (!ret)
		ret = parse_layout(ps, st, s);
	if (!ret)
		ret = parse_critical(ps, st, s);
	if (!ret)
		ret = parse_files(ps, st, s);
	if (!ret)
		ret = parse_names(ps, st, s);
	if (!ret)
		ret = parse_functions(ps, st, s);
	if (!ret)
		ret = parse_permit(ps, st, s);
	if (!ret)
		ret = parse_trace(ps, st, s);
	if (!ret)
		ret = parse_trace_inward(ps, st, s);
	return ret;
}

static int parse_root(struct parse *ps, config_setting_t *root)
{
	static const char *const keys[] = { "version", "sessions" };
	config_setting_t *st;
	int ret, n;

	ret = value_group(ps, root, keys, ARRAY_SIZE(keys));
	if (ret)
		return ret;
	st = config_setting_get_member(root, "version");
	if (st && (config_setting_type(st) != CONFIG_TYPE_INT || config_setting_get_int(st) != 1))
		return value_error(ps, st, "expected 1, the version of the policy language");
	st = config_setting_get_member(root, "sessions");
	if (!st)
		return value_error(ps, root,
				   "no sessions: expected sessions = { NAME = { ... }; };");
	if (!config_setting_is_group(st))
		return value_error(ps, st, "expected a group { NAME = { ... }; }");
	n = config_setting_length(st);
	if (!n)
		return value_error(ps, st, "no session in it: expected NAME = { ... };");
	ps->p->sessions = pool_alloc(&ps->p->pool, (size_t)n, sizeof(*ps->p->sessions));
	if (!ps->p->sessions)
		return value_nomem(ps);
	for (int i = 0; i < n && !ret; i++)
		ret = parse_session(ps, config_setting_get_elem(st, (unsigned)i),
				    &ps->p->sessions[i]);
	ps->p->n_sessions = (size_t)n;
	return ret;
}

static const char *base_name(const char *label)
{
	const char *slash = strrchr(label, '/');

	return slash && slash[1] ? slash + 1 : label;
}

int policy_parse(struct policy **out, const char *label, const char *text, struct err *e)
{
	struct parse ps = { .label = label, .base = base_name(label), .e = e };
	config_t config;
	int ret = text_parse(&config, label, text, e);

	if (ret)
		return ret;
	ps.p = calloc(1, sizeof(*ps.p));
	ret = ps.p ? parse_root(&ps, config_root_setting(&config)) : value_nomem(&ps);
	config_destroy(&config);
	if (ret) {
		policy_free(ps.p);
		return ret;
	}
	*out = ps.p;
	return 0;
}

int policy_load_fd(struct policy **out, int fd, const char *path, struct err *e)
{
	char *text;
	int ret = text_load_fd(&text, fd, path, "policy", e);

	if (ret)
		return ret;
	ret = policy_parse(out, path, text, e);
	free(text);
	return ret;
}

int policy_load_bytes(struct policy **out, const char *path, const void *data, size_t len,
		      struct err *e)
{
	char *text;
	int ret = text_load_bytes(&text, data, len, path, "policy", e);

	if (ret)
		return ret;
	ret = policy_parse(out, path, text, e);
	free(text);
	return ret;
}

int policy_open(const char *path, struct err *e)
{
	return text_open(path, e);
}

int policy_load(struct policy **out, const char *path, struct err *e)
{
	char *text;
	int ret = text_load(&text, NULL, path, "policy", e);

	if (ret)
		return ret;
	ret = policy_parse(out, path, text, e);
	free(text);
	return ret;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	pool_free(&p->pool);
	free(p);
}
