// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/cli/run_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/text.h"
#include "policy/value.h"

static int unknown_key(struct parse *ps, const config_setting_t *st)
{
	const char *name = config_setting_name(st), *near;
	char q[VALUE_QUOTE];

	near = run_option_suggest(name);
	if (near)
		return value_error(ps, st, "unknown key %s, did you mean \"%s\"?",
				   value_quote(q, name), near);
	return value_error(ps, st, "unknown key %s; keys are the options of vmm run",
			   value_quote(q, name));
}

/* The option's own line says "--memory 1X: ..."; here it is a key of a line of the file. */
static int refused(struct parse *ps, const config_setting_t *st, int ret, const char *text)
{
	if (!strncmp(text, "--", 2))
		text += 2;
	return err_set(ps->e, ret, "%s:%u: %s", ps->label, config_setting_source_line(st), text);
}

/* A string, or a number as if it had been typed. */
static int take_value(struct parse *ps, struct guest_spec *o, const struct run_option *opt,
		      const config_setting_t *st)
{
	struct err e = { "" };
	char number[24];
	const char *s = number;
	char *kept;
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
		return value_error(ps, st, "expected a string%s, found %s",
				   opt->repeat && config_setting_name(st) ? " or a list of strings"
									  : "",
				   value_type(st));
	}
	kept = run_options_keep(o, strdup(s));
	if (!kept)
		return value_nomem(ps);
	ret = run_option_take(o, opt, kept, &e);
	return ret ? refused(ps, st, ret, e.text) : 0;
}

static int take_switch(struct parse *ps, struct guest_spec *o, const struct run_option *opt,
		       const config_setting_t *st)
{
	if (config_setting_type(st) != CONFIG_TYPE_BOOL)
		return value_error(ps, st, "expected true or false, found %s", value_type(st));
	run_option_switch(o, opt, config_setting_get_bool(st) != 0);
	return 0;
}

static int take_setting(struct parse *ps, struct guest_spec *o, config_setting_t *st)
{
	const char *name = config_setting_name(st);
	const struct run_option *opt = run_option_find(name, strlen(name));
	int ret = 0;

	if (!opt)
		return unknown_key(ps, st);
	if (opt->no_config)
		return value_error(ps, st, "this is for the command line only");
	if (!opt->form)
		return take_switch(ps, o, opt, st);
	if (!opt->repeat || !(config_setting_is_list(st) || config_setting_is_array(st)))
		return take_value(ps, o, opt, st);
	for (int i = 0; i < config_setting_length(st) && !ret; i++)
		ret = take_value(ps, o, opt, config_setting_get_elem(st, (unsigned)i));
	return ret;
}

int parse_config_text(struct guest_spec *o, const char *label, const char *base, const char *text,
		      struct err *e)
{
	struct parse ps = { .label = label, .e = e };
	const char *outer = o->base;
	config_setting_t *root;
	config_t c;
	int ret = text_parse(&c, label, text, "configuration", e);

	if (ret)
		return ret;
	o->base = base;
	root = config_root_setting(&c);
	for (int i = 0; i < config_setting_length(root) && !ret; i++)
		ret = take_setting(&ps, o, config_setting_get_elem(root, (unsigned)i));
	o->base = outer;
	config_destroy(&c);
	return ret;
}

int parse_config(struct guest_spec *o, const char *path, struct err *e)
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
		ret = parse_config_text(o, path, base, text, e);
	free(base);
	free(text);
	return ret;
}
