// SPDX-License-Identifier: GPL-2.0-only
/* Parses command lines by getopt_long() from a command's table, and words all mistakes. */
#include "vmm/cli/cli_options.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"

#define LONG_FIRST 256 /* getopt_long()'s value for options[0]; smaller ones are letters */
#define LONG_HELP  (LONG_FIRST + CLI_OPTIONS_MAX)

/* The tables of getopt_long(). */
struct getopt_tables {
	struct option longs[CLI_OPTIONS_MAX + 2];
	char letters[2 * CLI_OPTIONS_MAX + 4];
};

static int getopt_form(const struct cli_option *o)
{
	if (o->flag)
		return no_argument;
	if (o->text)
		return required_argument;
	return o->value == CLI_VALUE_NONE     ? no_argument
	       : o->value == CLI_VALUE_NEEDED ? required_argument
					      : optional_argument;
}

static void tables_make(const struct cli_syntax *s, struct getopt_tables *t)
{
	char *letter = t->letters;
	size_t n = 0;

	assert(s->n <= CLI_OPTIONS_MAX);
	memset(t, 0, sizeof(*t));
	if (s->words_end_options)
		*letter++ = '+';
	*letter++ = ':'; /* a missing value is ':', not '?' */
	for (size_t i = 0; i < s->n; i++) {
		const struct cli_option *o = &s->options[i];

		if (!o->name)
			continue;
		t->longs[n++] =
			(struct option){ o->name, getopt_form(o), NULL, LONG_FIRST + (int)i };
		if (o->letter)
			*letter++ = o->letter;
		if (o->letter && getopt_form(o) == required_argument)
			*letter++ = ':';
	}
	if (s->help) {
		t->longs[n] = (struct option){ "help", no_argument, NULL, LONG_HELP };
		*letter = 'h';
	}
}

/* Returns the name that was probably meant by @word, which has @dashes of them, or NULL. */
static const char *option_meant(const struct cli_syntax *s, const char *word, size_t dashes)
{
	const char *names[CLI_OPTIONS_MAX + 1], *near;
	char name[40];
	size_t n = 0;

	snprintf(name, sizeof(name), "%.*s", (int)(strcspn(word, "=") - dashes), word + dashes);
	near = s->foreign ? s->foreign(name) : NULL;
	if (near || strlen(name) < 2)
		return near;
	for (size_t i = 0; i < s->n; i++)
		if (s->options[i].name)
			names[n++] = s->options[i].name;
	if (s->help)
		names[n++] = "help";
	return suggest_of(name, names, n);
}

static bool is_cluster(const char *word, int letter)
{
	return word && word[0] == '-' && word[1] != '-' && strchr(word, letter);
}

/* Writes the line about the option that getopt_long() refused by @opt, which is '?' or ':'. */
static int option_wrong(const struct cli_syntax *s, char **argv, int opt, struct err *e)
{
	/*
	 * The word before optind, since getopt moves words that are no options to the end; but
	 * optind stays at a word of several letters until the last one.
	 */
	const char *word = argv[optind - 1], *near;
	char letter[3] = { '-', (char)optopt, '\0' }, meant[48], hint[SUGGEST_HINT];

	if (optopt > 0 && optopt < LONG_FIRST && !is_cluster(word, optopt) &&
	    is_cluster(argv[optind], optopt))
		word = argv[optind];
	/*
	 * "-smp" may be another program's option; in "-fx" the f is an option, and the x is none.
	 */
	if (optopt > 0 && optopt < LONG_FIRST && is_cluster(word, optopt) &&
	    (word[1] != optopt || opt == ':') && !(s->foreign && s->foreign(word + 1)))
		word = letter;
	if (opt == ':')
		return err_set(e, -EINVAL, "%s needs a value; see `vmm %s --help`", word,
			       s->command);
	if (optopt >= LONG_FIRST)
		return err_set(e, -EINVAL, "%s: this option takes no value; see `vmm %s --help`",
			       word, s->command);
	near = option_meant(s, word, strspn(word, "-"));
	if (near) {
		snprintf(meant, sizeof(meant), "--%s", near);
		return err_set(e, -EINVAL, "unknown option \"%.*s\"%s", (int)strcspn(word, "="),
			       word, suggest_hint(hint, meant));
	}
	return err_set(e, -EINVAL, "unknown option \"%.*s\"; see `vmm %s --help`",
		       (int)strcspn(word, "="), word, s->command);
}

int cli_options_unexpected(const struct cli_syntax *s, const char *word, struct err *e)
{
	return err_set(e, -EINVAL, "unexpected argument \"%s\"; see `vmm %s --help`", word,
		       s->command);
}

/* Returns the index of getopt_long()'s @opt in s->options. */
static size_t option_index(const struct cli_syntax *s, int opt)
{
	size_t i = 0;

	if (opt >= LONG_FIRST)
		return (size_t)(opt - LONG_FIRST);
	while (i < s->n && s->options[i].letter != opt)
		i++;
	return i;
}

int cli_options_parse(const struct cli_syntax *s, int argc, char **argv, struct err *e)
{
	struct getopt_tables t;
	int opt, ret;

	tables_make(s, &t);
	optind = 0; /* from the start, also after a command line that ended in a mistake */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
		const struct cli_option *o;
		size_t i;

		if (opt == '?' || opt == ':')
			return option_wrong(s, argv, opt, e);
		if (s->help && (opt == LONG_HELP || opt == 'h')) {
			fputs(s->help, stdout);
			return 0;
		}
		i = option_index(s, opt);
		o = &s->options[i];
		if (o->flag) {
			*o->flag = true;
		} else if (o->text) {
			*o->text = optarg;
		} else {
			ret = s->take(s->arg, i, optarg, e);
			if (ret)
				return ret;
		}
	}
	return optind;
}
