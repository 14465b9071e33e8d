// SPDX-License-Identifier: GPL-2.0-only
/* Reads options of vmm run from a file of libconfig, and hands each to a struct config_taker. */
#include "vmm/cli/run_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "policy/text.h"
#include "policy/value.h"

/* The file that is read. */
struct config_reader {
	struct parse ps;
	const struct config_taker *t;
	const char *base;
};

static int unknown_key(struct config_reader *r, const config_setting_t *st)
{
	const char *name = config_setting_name(st), *near = r->t->suggest(r->t->arg, name);
	char q[VALUE_QUOTE], hint[SUGGEST_HINT];

	return value_error(&r->ps, st, "unknown key %s%s", value_quote(q, name),
			   near ? suggest_hint(hint, near) : "; keys are the options of vmm run");
}

/*
 * Writes the line of an option that was refused, "--memory 1X: ...", as that of a key of the file.
 */
static int setting_refused_at(struct parse *ps, const config_setting_t *st, int ret,
			      const char *text)
{
	if (!strncmp(text, "--", 2))
		text += 2;
	return err_set(ps->e, ret, "%s:%u: %s", ps->label, config_setting_source_line(st), text);
}

/* Takes the value of the option @key: a string, or a number as if it had been typed. */
static int setting_take_value(struct config_reader *r, const char *key, enum config_form form,
			      const config_setting_t *st)
{
	struct err e = { "" };
	char number[24];
	const char *s = number;
	int ret;

	switch (config_setting_type(st)) {
	case CONFIG_TYPE_STRING:
		s = config_setting_get_string(st);
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(number, sizeof(number), "%lld", config_setting_get_int64(st));
		break;
	default:
		return value_error(&r->ps, st, "expected a string%s, found %s",
				   form == CONFIG_LIST && config_setting_name(st)
					   ? " or a list of strings"
					   : "",
				   value_type(st));
	}
	ret = r->t->value(r->t->arg, r->base, key, s, &e);
	return ret ? setting_refused_at(&r->ps, st, ret, e.text) : 0;
}

static int config_take_switch(struct config_reader *r, const char *key, const config_setting_t *st)
{
	if (config_setting_type(st) != CONFIG_TYPE_BOOL)
		return value_error(&r->ps, st, "expected true or false, found %s", value_type(st));
	r->t->set(r->t->arg, key, config_setting_get_bool(st) != 0);
	return 0;
}

static int take_setting(struct config_reader *r, config_setting_t *st)
{
	const char *key = config_setting_name(st);
	enum config_form form = r->t->form(r->t->arg, key);
	int ret = 0;

	if (form == CONFIG_UNKNOWN)
		return unknown_key(r, st);
	if (form == CONFIG_FOREIGN)
		return value_error(&r->ps, st, "this is for the command line only");
	if (form == CONFIG_SWITCH)
		return config_take_switch(r, key, st);
	if (form == CONFIG_VALUE || !(config_setting_is_list(st) || config_setting_is_array(st)))
		return setting_take_value(r, key, form, st);
	for (int i = 0; i < config_setting_length(st) && !ret; i++)
		ret = setting_take_value(r, key, form, config_setting_get_elem(st, (unsigned)i));
	return ret;
}

int run_config_read_text(const struct config_taker *t, const char *label, const char *base,
			 const char *text, struct err *e)
{
	struct config_reader r = { .ps = { .label = label, .e = e }, .t = t, .base = base };
	config_setting_t *root;
	config_t c;
	int ret = text_parse(&c, label, text, e);

	if (ret)
		return ret;
	root = config_root_setting(&c);
	for (int i = 0; i < config_setting_length(root) && !ret; i++)
		ret = take_setting(&r, config_setting_get_elem(root, (unsigned)i));
	config_destroy(&c);
	return ret;
}

int run_config_read(const struct config_taker *t, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	bool regular;
	char *text, *base;
	int ret = text_load(&text, &regular, path, "configuration", e);

	if (ret)
		return ret;
	base = regular && slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
	if (regular && slash && !base)
		ret = err_set(e, -ENOMEM, "out of memory");
	else
		ret = run_config_read_text(t, path, base, text, e);
	free(base);
	free(text);
	return ret;
}
