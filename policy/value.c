// SPDX-License-Identifier: GPL-2.0-only
/* Takes values out of a parsed file, and words the errors about them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "policy/path.h"
#include "policy/value.h"

#define SETTING_PATH 160

/*
 * Writes the path of a setting, "sessions.a.files[0].to", from its end, since a setting knows only
 * its parent.
 */
static const char *setting_path(const config_setting_t *st, char buf[SETTING_PATH])
{
	size_t at = SETTING_PATH - 1;
	char part[72];

	buf[at] = '\0';
	for (; st && !config_setting_is_root(st); st = config_setting_parent(st)) {
		size_t len;

		if (!config_setting_name(st))
			snprintf(part, sizeof(part), "[%d]%s", config_setting_index(st),
				 buf[at] && buf[at] != '[' ? "." : "");
		else
			snprintf(part, sizeof(part), "%.*s%s", POLICY_NAME_MAX,
				 config_setting_name(st), buf[at] && buf[at] != '[' ? "." : "");
		len = strlen(part);
		if (len > at)
			break;
		at -= len;
		memcpy(buf + at, part, len);
	}
	return buf + at;
}

int value_error(struct parse *ps, const config_setting_t *st, const char *fmt, ...)
{
	char path[SETTING_PATH], text[360];
	const char *where = setting_path(st, path);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(ps->e, -EINVAL, "%s:%u: %s%s%s", ps->label, st->line ? st->line : 1, where,
		       *where ? ": " : "", text);
}

int value_nomem(struct parse *ps)
{
	return err_set(ps->e, -ENOMEM, "%s: out of memory", ps->label);
}

const char *value_quote(char buf[VALUE_QUOTE], const char *s)
{
	size_t at = 0;

	buf[at++] = '"';
	for (; *s && at < VALUE_QUOTE - 9; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f)
			at += (size_t)snprintf(buf + at, VALUE_QUOTE - at, "\\x%02x", c);
		else
			buf[at++] = *s;
	}
	snprintf(buf + at, VALUE_QUOTE - at, *s ? "...\"" : "\"");
	return buf;
}

const char *value_type(const config_setting_t *st)
{
	switch (config_setting_type(st)) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
	case CONFIG_TYPE_FLOAT:
		return "a number";
	default:
		return "nothing";
	}
}

int value_group(struct parse *ps, config_setting_t *st, const char *const *keys, size_t n)
{
	char q[VALUE_QUOTE], hint[SUGGEST_HINT];

	if (!config_setting_is_group(st))
		return value_error(ps, st, "expected a group { ... }, found %s", value_type(st));
	for (int i = 0; i < config_setting_length(st); i++) {
		config_setting_t *m = config_setting_get_elem(st, (unsigned)i);
		const char *name = config_setting_name(m);
		size_t k = 0;

		while (k < n && strcmp(keys[k], name) != 0)
			k++;
		if (k == n)
			return value_error(ps, m, "unknown key %s%s", value_quote(q, name),
					   suggest_hint(hint, suggest_of(name, keys, n)));
	}
	return 0;
}

int value_list(struct parse *ps, config_setting_t *st, const char *what)
{
	if (config_setting_is_list(st) || config_setting_is_array(st))
		return 0;
	return value_error(ps, st, "expected a list of %s, found %s", what, value_type(st));
}

int value_count(struct parse *ps, config_setting_t *st, size_t n)
{
	if (n > POLICY_RULE_MAX - ps->rules)
		return value_error(ps, st, "more than %u rules in one policy", POLICY_RULE_MAX);
	ps->rules += (unsigned)n;
	return 0;
}

int value_string(struct parse *ps, config_setting_t *st, const char *what, const char **out)
{
	*out = config_setting_get_string(st);
	if (*out)
		return 0;
	return value_error(ps, st, "expected %s in quotes, found %s", what, value_type(st));
}

int value_bool(struct parse *ps, config_setting_t *group, const char *key, bool *out)
{
	config_setting_t *st = config_setting_get_member(group, key);

	if (!st)
		return 0;
	if (config_setting_type(st) != CONFIG_TYPE_BOOL)
		return value_error(ps, st, "expected true or false, found %s", value_type(st));
	*out = config_setting_get_bool(st) != 0;
	return 0;
}

int value_keyword(struct parse *ps, config_setting_t *group, const char *key,
		  const struct keyword *words, size_t n, int *out)
{
	config_setting_t *st = config_setting_get_member(group, key);
	char list[160] = "", q[VALUE_QUOTE];
	const char *s;
	int ret;

	if (!st)
		return 0;
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(list);

		snprintf(list + at, sizeof(list) - at, "%s\"%s\"", i ? " or " : "", words[i].name);
	}
	ret = value_string(ps, st, list, &s);
	if (ret)
		return ret;
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(words[i].name, s)) {
			*out = words[i].value;
			return 0;
		}
	}
	return value_error(ps, st, "expected %s, found %s", list, value_quote(q, s));
}

int value_errno(struct parse *ps, config_setting_t *group, const char *key, int *out)
{
	config_setting_t *st = config_setting_get_member(group, key);
	char q[VALUE_QUOTE];
	const char *s;
	int ret;

	if (!st)
		return 0;
	ret = value_string(ps, st, "an error such as \"EPERM\"", &s);
	if (ret)
		return ret;
	for (int n = 1; n < 134; n++) {
		const char *name = strerrorname_np(n);

		if (name && !strcmp(name, s)) {
			*out = n;
			return 0;
		}
	}
	return value_error(ps, st, "expected the name of an error such as \"EPERM\", found %s",
			   value_quote(q, s));
}

int value_copy(struct parse *ps, const char *s, const char **out)
{
	*out = pool_strndup(&ps->p->pool, s, strlen(s));
	return *out ? 0 : value_nomem(ps);
}

int value_path(struct parse *ps, config_setting_t *st, const char **out)
{
	char q[VALUE_QUOTE];
	const char *s;
	size_t len;
	int ret;

	ret = value_string(ps, st, "an absolute path", &s);
	if (ret)
		return ret;
	if (*s != '/')
		return value_error(ps, st, "expected an absolute path, found %s",
				   value_quote(q, s));
	len = strlen(s);
	if (len >= REQUEST_NAME_MAX)
		return value_error(ps, st, "path of %zu bytes, at most %d are possible", len,
				   REQUEST_NAME_MAX - 1);
	if (s[len - 1] == '/')
		len--;
	*out = pool_strndup(&ps->p->pool, s, len);
	if (!*out)
		return value_nomem(ps);
	if (len && !path_is_plain(*out))
		return value_error(ps, st, "expected a path without //, . and .., found %s",
				   value_quote(q, s));
	return 0;
}
