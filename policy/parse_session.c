// SPDX-License-Identifier: GPL-2.0-only
/* Parses the sections that shape a session as a whole: layout, names and critical. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "policy/parse.h"

static const struct {
	const char *key;
	enum name_space space;
} name_keys[] = {
	{ "misc", SPACE_MISC },
	{ "net", SPACE_NET },
	{ "link", SPACE_LINK },
	{ "thread", SPACE_THREAD },
	{ "firmware", SPACE_FIRMWARE },
	{ "proc", SPACE_PROC },
	{ "sysctl", SPACE_SYSCTL },
	{ "debugfs", SPACE_DEBUGFS },
	{ "kobject", SPACE_KOBJECT },
	{ "class", SPACE_CLASS },
	{ "device", SPACE_DEVICE },
	{ "bus", SPACE_BUS },
	{ "driver", SPACE_DRIVER },
	{ "disk", SPACE_DISK },
	{ "filesystem", SPACE_FILESYSTEM },
	{ "sched", SPACE_SCHED },
	{ "congestion", SPACE_CONGESTION },
	{ "family", SPACE_FAMILY },
	{ "cache", SPACE_CACHE },
	{ "chrdev", SPACE_CHRDEV },
	{ "blkdev", SPACE_BLKDEV },
	{ "nls", SPACE_NLS },
	{ "key", SPACE_KEY },
	{ "protocol", SPACE_PROTOCOL },
};

/* The template of all spaces that have none of their own, but for firmware's: these are files. */
#define OTHER_KEY "other"

int parse_layout(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	static const struct keyword words[] = { { "dense", LAYOUT_DENSE },
						{ "same", LAYOUT_SAME } };
	int value = LAYOUT_DENSE, ret;

	ret = value_keyword(ps, session, "layout", words, ARRAY_SIZE(words), &value);
	s->layout = (enum session_layout)value;
	return ret;
}

static int parse_template(struct parse *ps, config_setting_t *st, enum name_space space,
			  struct name_template *t)
{
	size_t max = name_space_max(space), len;
	char q[VALUE_QUOTE], sample[REQUEST_NAME_MAX], section[32];
	const char *text, *hole = NULL, *p;
	unsigned holes = 0;
	int ret;

	ret = value_string(ps, st, "a template such as \"a-%s\"", &text);
	if (ret)
		return ret;
	for (p = strchr(text, '%'); p; p = strchr(p + 2, '%')) {
		if (p[1] == 's')
			hole = p;
		else if (p[1] != 'i')
			break;
		holes += p[1] == 's';
	}
	if (p || holes != 1)
		return value_error(
			ps, st,
			"expected exactly one %%s, for the name asked for, any number of "
			"%%i, for the driver's instance, and no other %%, found %s",
			value_quote(q, text));
	len = strlen(text) - 2;
	if (len >= max)
		return value_error(ps, st, "leaves no room for a name: at most %zu bytes in all",
				   max);
	t->before = pool_strndup(&ps->p->pool, text, (size_t)(hole - text));
	t->after = pool_strndup(&ps->p->pool, hole + 2, strlen(hole + 2));
	if (!t->before || !t->after)
		return value_nomem(ps);
	if (name_format(t, space, "x", "x", sample))
		return value_error(ps, st, "%s cannot be part of such a name",
				   value_quote(q, text));
	snprintf(section, sizeof(section), "names.%s", config_setting_name(st));
	ret = parse_rule_text(ps, st, section, -1, &t->rule);
	if (ret)
		return ret;
	t->rule_long = pool_printf(&ps->p->pool, "%s: longer than %zu bytes", t->rule, max);
	t->rule_bad = pool_printf(&ps->p->pool, "%s: not a valid name", t->rule);
	return t->rule_long && t->rule_bad ? 0 : value_nomem(ps);
}

int parse_names(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	config_setting_t *group = config_setting_get_member(session, "names");
	const char *keys[ARRAY_SIZE(name_keys) + 1];
	config_setting_t *other;
	int ret;

	if (!group)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(name_keys); i++)
		keys[i] = name_keys[i].key;
	keys[ARRAY_SIZE(name_keys)] = OTHER_KEY;
	ret = value_group(ps, group, keys, ARRAY_SIZE(keys));
	other = config_setting_get_member(group, OTHER_KEY);
	for (size_t i = 0; i < ARRAY_SIZE(name_keys) && !ret; i++) {
		config_setting_t *st = config_setting_get_member(group, keys[i]);

		if (!st && name_keys[i].space != SPACE_FIRMWARE)
			st = other;
		if (st)
			ret = parse_template(ps, st, name_keys[i].space,
					     &s->names[name_keys[i].space]);
	}
	return ret;
}

int parse_critical_name(struct parse *ps, config_setting_t *st, const char *text,
			const struct catalog_fn **fn)
{
	char q[VALUE_QUOTE], hint[SUGGEST_HINT];
	const struct catalog_fn *all;
	const char *names[CATALOG_MAX];
	size_t n;

	*fn = catalog_find(text);
	if (*fn)
		return 0;
	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++)
		names[i] = all[i].name;
	return value_error(ps, st, "%s is not a critical function%s", value_quote(q, text),
			   suggest_hint(hint, suggest_of(text, names, n)));
}

/* Marks each function of the list @st in @listed. */
static int read_functions(struct parse *ps, config_setting_t *st, bool *listed)
{
	const struct catalog_fn *fn;
	const char *text;
	int ret = value_list(ps, st, "functions");

	for (int i = 0; !ret && i < config_setting_length(st); i++) {
		config_setting_t *elem = config_setting_get_elem(st, (unsigned)i);

		ret = value_string(ps, elem, "the name of a function", &text);
		if (!ret)
			ret = parse_critical_name(ps, elem, text, &fn);
		if (ret)
			return ret;
		listed[catalog_index(fn)] = true;
	}
	return ret;
}

/*
 * Checks that a function and the one that undoes it are both critical: a registration under another
 * name, or one that a ledger has, must be undone through the PVM, too. The put of an export goes by
 * the name alone, so it must not be led elsewhere when the get was not.
 */
static int check_pairs(struct parse *ps, config_setting_t *st, const struct policy_session *s)
{
	const struct catalog_fn *all, *undo;
	size_t n;

	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		undo = all[i].undo ? catalog_find(all[i].undo) : NULL;
		if (undo && s->not_critical[i] != s->not_critical[catalog_index(undo)] &&
		    (!s->not_critical[i] || all[i].space == SPACE_EXPORT))
			return value_error(ps, st, "%s undoes %s: both are critical or neither",
					   undo->name, all[i].name);
	}
	return 0;
}

/*
 * Makes the functions that look an export up by its name critical as soon as any other is: the real
 * kernel's would give out that other one's address. Where the policy excepts them that is refused.
 */
static int close_lookup(struct parse *ps, config_setting_t *except, struct policy_session *s)
{
	const struct catalog_fn *all;
	const char *other = NULL;
	size_t n;

	all = catalog_all(&n);
	for (size_t i = 0; i < n && !other; i++)
		if (all[i].space != SPACE_EXPORT && !s->not_critical[i])
			other = all[i].name;
	for (size_t i = 0; i < n && other; i++) {
		if (all[i].space != SPACE_EXPORT || !s->not_critical[i])
			continue;
		if (except)
			return value_error(ps, except,
					   "%s gives out the address of any function, and %s is "
					   "critical; leave %s and %s out here",
					   all[i].name, other, all[i].name, all[i].undo);
		s->not_critical[i] = false;
	}
	return 0;
}

int parse_critical(struct parse *ps, config_setting_t *session, struct policy_session *s)
{
	static const char *const keys[] = { "only", "except" };
	config_setting_t *group = config_setting_get_member(session, "critical"), *only, *except;
	bool listed[CATALOG_MAX] = { false };
	int ret;

	if (!group)
		return 0;
	ret = value_group(ps, group, keys, ARRAY_SIZE(keys));
	if (ret)
		return ret;
	only = config_setting_get_member(group, "only");
	except = config_setting_get_member(group, "except");
	if (!only == !except)
		return value_error(ps, group,
				   "expected one of only = [ ... ] and except = [ ... ]");
	ret = read_functions(ps, only ? only : except, listed);
	if (ret)
		return ret;
	for (size_t i = 0; i < CATALOG_MAX; i++)
		s->not_critical[i] = only ? !listed[i] : listed[i];
	ret = check_pairs(ps, only ? only : except, s);
	return ret ? ret : close_lookup(ps, except, s);
}
