/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parses the options of `vmm run`.
 *
 * One table (run_table.c) says of each option what it is called, what its value looks like and what
 * it does; --help, --config, the man page and completion are made from it, so that an option is
 * added by one line there. QEMU's .hx files and systemd's gperf tables serve the same end; this one
 * is plain C, since it is small enough to be read, and checked by the compiler.
 */
#ifndef UMBRA_VMM_CLI_RUN_OPTIONS_H
#define UMBRA_VMM_CLI_RUN_OPTIONS_H

#include <stdio.h>

#include "base/err.h"
#include "base/types.h"
#include "vmm/spec/spec.h"

/* The guest that a command line asks for, and what the command itself is to do. */
struct run_options {
	struct guest_spec spec;
	bool help;
	bool detach;
	bool stats;
	/*
	 * While a file of --config is read: its directory with a '/', where its paths begin; or
	 * NULL.
	 */
	const char *base;
};

struct run_option {
	const char *name; /* without "--"; NULL: a heading of --help, which is @help */
	const char
		*form; /* of the value, for people, a line for each; NULL: a switch without one */
	const char *help; /* lines that end with "\n", but for the last one */
	/*
	 * Either the member of struct run_options, a const char * or a switch's bool, at this
	 * offset...
	 */
	size_t at;
	/* ... or a text form of the guest (spec_text.h)... */
	int (*spec)(struct guest_spec *s, const char *base, const char *value, struct err *e);
	/* ... or a function that takes the value, which lives as long as *o. */
	int (*take)(struct run_options *o, const char *value, struct err *e);
	bool repeat;	/* each one adds to the others; else the last one counts */
	bool path;	/* the member is the name of a file of the host */
	bool no_config; /* makes no sense in a file of --config */
	char letter;	/* its short form, or 0 */
};

/* Returns all options, in the order of --help. */
const struct run_option *run_option_table(size_t *n);
/* Returns the option of that name (len bytes), or NULL. */
const struct run_option *run_option_find(const char *name, size_t len);
/* Returns the name that was probably meant, or NULL. */
const char *run_option_suggest(const char *name);
/*
 * Takes @value for @opt, as "--name value" on the command line does. @value is borrowed for as long
 * as *o lives. -EINVAL, -ENOMEM with a line that begins with "--name".
 */
int run_option_take(struct run_options *o, const struct run_option *opt, const char *value,
		    struct err *e);
/* Does the same for an option without a value: given, or taken back. */
void run_option_switch(struct run_options *o, const struct run_option *opt, bool on);

/* Initializes @o: no option is given yet. */
void run_options_init(struct run_options *o);
/*
 * Parses the whole command line; argv[0] is the command's name. 0, or -errno with the line for the
 * user. *o is to be freed in both cases; strings in it point into @argv.
 */
int run_options_parse(struct run_options *o, int argc, char **argv, struct err *e);
void run_options_free(struct run_options *o);
/*
 * Takes the options of --config FILE, whose text is @text and whose directory @base (run_config.h).
 */
int run_options_config_text(struct run_options *o, const char *label, const char *base,
			    const char *text, struct err *e);
/* Prints the text of vmm run --help. */
void run_options_help(FILE *to);

#endif
