/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parses all command lines: a command gives a table of its options, and each mistake has one
 * wording.
 */
#ifndef UMBRA_VMM_CLI_CLI_OPTIONS_H
#define UMBRA_VMM_CLI_CLI_OPTIONS_H

#include "base/err.h"
#include "base/types.h"

#define CLI_OPTIONS_MAX 96

/* An option's value, where neither @flag nor @text takes it. */
enum cli_value {
	CLI_VALUE_NONE,
	CLI_VALUE_NEEDED,
	CLI_VALUE_ALLOWED, /* --NAME or --NAME=VALUE */
};

struct cli_option {
	const char *name;  /* without "--"; NULL: no option, the entry is passed over */
	bool *flag;	   /* the option has no value and sets this; or NULL */
	const char **text; /* the option has a value, to which this is set; or NULL */
	/* With neither: cli_syntax.take() takes the option. */
	enum cli_value value;
	char letter; /* its short form, or 0 */
};

struct cli_syntax {
	const char *command; /* `vmm COMMAND`, for messages */
	const struct cli_option *options;
	size_t n; /* at most CLI_OPTIONS_MAX */
	/* Printed to stdout by --help and -h, which end the parsing. NULL: @options has its own. */
	const char *help;
	bool words_end_options; /* behind the first word there is no option */
	/*
	 * Returns the option for @name, which other programs have; NULL if none is meant. May be
	 * NULL.
	 */
	const char *(*foreign)(const char *name);
	/*
	 * Takes options[@i] without @flag and @text, in the order of the line; @value is NULL if it
	 * has none. -errno and a line end the parsing. NULL if there is no such option.
	 */
	int (*take)(void *arg, size_t i, const char *value, struct err *e);
	void *arg;
};

/*
 * Parses the words from argv[1] on. Returns the index of the first word that is no option
 * (getopt_long() moves those to the end), @argc if there is none; 0: --help was printed; -errno and
 * a line that says what is wrong.
 */
int cli_options_parse(const struct cli_syntax *s, int argc, char **argv, struct err *e);
/* Writes the line for word @word, of which there is no use; returns -EINVAL. */
int cli_options_unexpected(const struct cli_syntax *s, const char *word, struct err *e);

#endif
