// SPDX-License-Identifier: GPL-2.0-only
/* Parses the sections that are lists of many: files, functions, permit. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fnv.h"
#include "base/name_chars.h"
#include "policy/parse.h"
#include "policy/pattern.h"

int parse_begin_list(struct parse *ps, config_setting_t *st, const char *what, size_t *n)
{
	int ret = value_list(ps, st, what);

	*n = (size_t)config_setting_length(st);
	return ret ? ret : value_count(ps, st, *n);
}

static int parse_file(struct parse *ps, config_setting_t *st, int i, struct file_entry *f)
{
	static const char *const keys[] = { "from", "to", "action", "error", "record" };
	config_setting_t *from, *to;
	struct parse_action act;
	int ret;

	ret = value_group(ps, st, keys, ARRAY_SIZE(keys));
	if (ret)
		return ret;
	from = config_setting_get_member(st, "from");
	to = config_setting_get_member(st, "to");
	if (!from)
		return value_error(ps, st, "needs from = \"/PATH\"");
	ret = value_path(ps, from, &f->from);
	if (!ret)
		ret = parse_action(ps, st, ACTION_REWRITE, &act);
	if (ret)
		return ret;
	if (!to && act.action == ACTION_REWRITE)
		return value_error(ps, st,
				   "needs to = \"/PATH\", or action = \"pass\" or \"deny\"");
	if (to && act.action != ACTION_REWRITE)
		return value_error(ps, to, "to has no meaning beside this action, remove one");
	if (to)
		ret = value_path(ps, to, &f->to);
	f->action = act.action;
	f->error = act.error;
	f->record = act.record;
	return ret ? ret : parse_rule_text(ps, st, "files", i, &f->rule);
}

int parse_files(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	config_setting_t *list = config_setting_get_member(session, "files");
	size_t n;
	int ret;

	if (!list)
		return 0;
	ret = parse_begin_list(ps, list, "mappings { from = ...; to = ...; }", &n);
	if (ret)
		return ret;
	s->files = pool_alloc(&ps->p->pool, n, sizeof(*s->files));
	if (!s->files || index_init(&s->file_index, &ps->p->pool, 2 * (u32)n))
		return value_nomem(ps);
	for (size_t i = 0; i < n; i++) {
		config_setting_t *st = config_setting_get_elem(list, (unsigned)i);
		struct file_entry *f = &s->files[i];
		const struct index_entry *same;
		const char *at;

		ret = parse_file(ps, st, (int)i, f);
		if (ret)
			return ret;
		same = index_find(&s->file_index, fnv_string(index_hash_start(FILE_FROM), f->from),
				  FILE_FROM, f->from, strlen(f->from));
		if (same)
			return value_error(ps, config_setting_get_member(st, "from"),
					   "\"%.80s\" is already mapped by %s",
					   *f->from ? f->from : "/", s->files[same->id].rule);
		index_add(&s->file_index, FILE_FROM, f->from, (u32)strlen(f->from), (u32)i);
		at = f->action == ACTION_PASS ? f->from : f->to;
		if (at)
			index_add(&s->file_index, FILE_AT, at, (u32)strlen(at), (u32)i);
	}
	return 0;
}

static int parse_function_name(struct parse *ps, config_setting_t *st, config_setting_t *rule,
			       const struct catalog_fn **fn)
{
	const char *s;
	int ret;

	if (!st)
		return value_error(ps, rule, "needs function = \"NAME\", or \"*\" for all");
	ret = value_string(ps, st, "the name of a function", &s);
	if (ret)
		return ret;
	if (!strcmp(s, "*")) {
		*fn = NULL;
		return 0;
	}
	return parse_critical_name(ps, st, s, fn);
}

/* Refuses a rule whose pattern can match no name, and so would protect nothing. */
static int check_match(struct parse *ps, config_setting_t *rule, const struct catalog_fn *fn,
		       const struct fn_rule *r)
{
	char why[PATTERN_WHY];

	if (!r->match || pattern_can_match(fn ? fn->space : SPACE_NONE, r->match, why))
		return 0;
	return value_error(ps, config_setting_get_member(rule, "match"), "%s", why);
}

/*
 * Refuses a rule that is never reached: the first rule that fits decides, and a rule before this
 * one fits every call. @all: the rules so far that fit every call, by function; all[CATALOG_MAX]
 * fits those of all functions.
 */
static int check_reached(struct parse *ps, config_setting_t *rule, const struct fn_rule **all,
			 u32 tag, const struct fn_rule *r)
{
	const struct fn_rule *before = all[CATALOG_MAX];

	if (!before && tag != FN_ANY)
		before = all[tag];
	if (before)
		return value_error(ps, rule, "is never reached: %s fits every call before it",
				   before->rule);
	if (!r->driver && (!r->match || !strcmp(r->match, "*")))
		all[tag == FN_ANY ? CATALOG_MAX : tag] = r;
	return 0;
}

/* Refuses a rule that could never do what it says. */
static int rule_check_function(struct parse *ps, config_setting_t *st,
			       const struct policy_session *s, const struct catalog_fn *fn,
			       enum action action)
{
	config_setting_t *match = config_setting_get_member(st, "match");

	if (!fn)
		return 0;
	if (s->not_critical[catalog_index(fn)])
		return value_error(ps, st, "%s is not critical in this session (see critical)",
				   fn->name);
	if (action == ACTION_DENY && fn->refusal == REFUSE_NEVER)
		return value_error(ps, st, "%s undoes something and cannot be denied", fn->name);
	if (match && fn->form == NAME_NONE)
		return value_error(ps, match, "%s has no name to match", fn->name);
	return 0;
}

static int optional_string(struct parse *ps, config_setting_t *group, const char *key,
			   const char *what, const char **out)
{
	config_setting_t *st = config_setting_get_member(group, key);
	const char *s;
	int ret;

	if (!st)
		return 0;
	ret = value_string(ps, st, what, &s);
	if (ret)
		return ret;
	if (!*s)
		return value_error(ps, st, "expected %s, found \"\"", what);
	if (strlen(s) >= INDEX_KEY_MAX)
		return value_error(ps, st, "longer than %d bytes", INDEX_KEY_MAX - 1);
	return value_copy(ps, s, out);
}

/* Refuses a rule for a driver of a name that no driver can have, and so would protect nothing. */
static int check_driver(struct parse *ps, config_setting_t *rule, const char *driver)
{
	config_setting_t *st = config_setting_get_member(rule, "driver");
	const char *name = driver ? strrchr(driver, '/') : NULL;
	char meant[VALUE_QUOTE], q[VALUE_QUOTE];

	if (!driver || name_chars_only(driver, NAME_WORD, SIZE_MAX))
		return 0;
	name = name ? name + 1 : driver;
	snprintf(meant, sizeof(meant), "%.*s", (int)name_chars_len(name, NAME_WORD), name);
	if (!*meant)
		return value_error(ps, st, "matches no driver: its name is " NAME_WORD_TEXT);
	return value_error(ps, st,
			   "matches no driver: its name is " NAME_WORD_TEXT "; did you mean %s?",
			   value_quote(q, meant));
}

static int parse_function(struct parse *ps, config_setting_t *st, int i,
			  const struct policy_session *s, struct fn_rule *r, u32 *tag)
{
	static const char *const keys[] = { "function", "match", "driver",
					    "action",	"error", "record" };
	const struct catalog_fn *fn = NULL;
	struct parse_action act = { .action = ACTION_REWRITE };
	int ret;

	ret = value_group(ps, st, keys, ARRAY_SIZE(keys));
	if (!ret)
		ret = parse_function_name(ps, config_setting_get_member(st, "function"), st, &fn);
	if (!ret)
		ret = parse_action(ps, st, ACTION_REWRITE, &act);
	if (!ret)
		ret = rule_check_function(ps, st, s, fn, act.action);
	if (!ret)
		ret = optional_string(ps, st, "match", "a pattern such as \"/sbin/*\"", &r->match);
	if (!ret)
		ret = check_match(ps, st, fn, r);
	if (!ret)
		ret = optional_string(ps, st, "driver", "the name of a driver", &r->driver);
	if (!ret)
		ret = check_driver(ps, st, r->driver);
	if (ret)
		return ret;
	if (r->match)
		r->exact = !r->match[glob_literal(r->match)];
	r->action = act.action;
	r->error = act.error;
	r->record = act.record;
	*tag = fn ? catalog_index(fn) : FN_ANY;
	return parse_rule_text(ps, st, "functions", i, &r->rule);
}

int parse_functions(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	config_setting_t *list = config_setting_get_member(session, "functions");
	const struct fn_rule *all[CATALOG_MAX + 1] = { NULL };
	size_t n;
	u32 *tags;
	int ret;

	if (!list)
		return 0;
	ret = parse_begin_list(ps, list, "rules { function = ...; action = ...; }", &n);
	if (ret)
		return ret;
	s->rules = pool_alloc(&ps->p->pool, n, sizeof(*s->rules));
	tags = pool_alloc(&ps->p->pool, n, sizeof(*tags));
	if (!s->rules || !tags || index_init(&s->rule_index, &ps->p->pool, (u32)n))
		return value_nomem(ps);
	for (size_t i = 0; i < n; i++) {
		config_setting_t *st = config_setting_get_elem(list, (unsigned)i);

		ret = parse_function(ps, st, (int)i, s, &s->rules[i], &tags[i]);
		if (!ret)
			ret = check_reached(ps, st, all, tags[i], &s->rules[i]);
		if (ret)
			return ret;
	}
	/*
	 * Adds the rules backwards: the index finds the last one added first, and of several rules
	 * that begin alike the first counts.
	 */
	for (size_t i = n; i-- > 0;) {
		const char *key = s->rules[i].match ? s->rules[i].match : "";

		index_add(&s->rule_index, tags[i], key, (u32)glob_literal(key), (u32)i);
	}
	return 0;
}

int parse_permit(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	config_setting_t *list = config_setting_get_member(session, "permit");
	size_t n;
	int ret;

	if (!list)
		return 0;
	ret = parse_begin_list(ps, list, "symbols", &n);
	if (ret)
		return ret;
	s->permits = pool_alloc(&ps->p->pool, n, sizeof(*s->permits));
	if (!s->permits || index_init(&s->permit_index, &ps->p->pool, (u32)n))
		return value_nomem(ps);
	for (size_t i = 0; i < n; i++) {
		config_setting_t *st = config_setting_get_elem(list, (unsigned)i);
		struct permit *p = &s->permits[i];
		char why[PATTERN_WHY];
		const char *text;
		size_t len;

		ret = value_string(ps, st, "a symbol or a pattern of symbols", &text);
		if (!ret)
			ret = value_copy(ps, text, &p->pattern);
		if (ret)
			return ret;
		len = glob_literal(text);
		if (!*text || len >= INDEX_KEY_MAX)
			return value_error(ps, st, "expected a symbol of 1 to %d bytes",
					   INDEX_KEY_MAX - 1);
		if (!pattern_can_match_symbol(text, why))
			return value_error(ps, st, "%s", why);
		p->exact = !text[len];
		index_add(&s->permit_index, 0, p->pattern, (u32)len, (u32)i);
	}
	return 0;
}
