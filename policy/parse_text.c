// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parses the part that all sections share, an action with its error, and makes the text that names
 * a rule.
 */
#include <errno.h>

#include "policy/parse.h"

int parse_rule_text(struct parse *ps, const config_setting_t *st, const char *section, int index,
		    const char **out)
{
	if (index < 0)
		*out = pool_printf(&ps->p->pool, "%s at %.100s:%u", section, ps->base, st->line);
	else
		*out = pool_printf(&ps->p->pool, "%s[%d] at %.100s:%u", section, index, ps->base,
				   st->line);
	return *out ? 0 : value_nomem(ps);
}

int parse_action(struct parse *ps, config_setting_t *st, enum action action,
		 struct parse_action *out)
{
	static const struct keyword words[] = {
		{ "rewrite", ACTION_REWRITE },
		{ "pass", ACTION_PASS },
		{ "deny", ACTION_DENY },
	};
	int value = (int)action, ret;

	out->error = EPERM;
	out->record = true;
	ret = value_keyword(ps, st, "action", words, ARRAY_SIZE(words), &value);
	if (!ret)
		ret = value_errno(ps, st, "error", &out->error);
	if (!ret)
		ret = value_bool(ps, st, "record", &out->record);
	if (ret)
		return ret;
	out->action = (enum action)value;
	if (out->action != ACTION_DENY && config_setting_get_member(st, "error"))
		return value_error(ps, config_setting_get_member(st, "error"),
				   "an error needs action = \"deny\" beside it");
	return 0;
}
