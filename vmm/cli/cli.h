/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves the commands that talk to running guests: parses their command lines, prints output and
 * errors, and opens files that they hand over.
 */
#ifndef UMBRA_VMM_CLI_CLI_H
#define UMBRA_VMM_CLI_CLI_H

#include <jansson.h>

#include "base/err.h"
#include "base/table.h"
#include "base/types.h"
#include "vmm/cli/cli_options.h"

/* Prints "vmm: TEXT" to stderr, made harmless: it may have words of a guest, its VMM or a file. */
void cli_note(const char *text);
/* Does the same for a line; returns EXIT_CODE_ERROR. */
int cli_fail(const struct err *e);
/*
 * Prints "vmm COMMAND: LINE" to stderr, made harmless, for a mistake on its command line; returns
 * EXIT_CODE_USAGE.
 */
int cli_mistake(const char *command, const struct err *e);
/* Does the same with a hint at the command's --help. */
int cli_usage(const char *command, const char *fmt, ...) __printf(2, 3);

/*
 * Returns 0 if @name is UTF-8, the only form in which a guest's VMM takes names; else prints a line
 * and returns EXIT_CODE_USAGE.
 */
int cli_want_utf8(const char *command, const char *name);

/* `vmm COMMAND [OPTION]... [GUEST]`, or with CLI_WORDS `vmm COMMAND [OPTION]... WORD...` */
struct cli_args {
	const char *guest; /* NULL: the only one that runs */
	bool json, force, all, shrink;
	int timeout;  /* seconds */
	char **words; /* CLI_WORDS: the words that are no options */
	int n_words;
};

#define CLI_GUEST   1U
#define CLI_JSON    2U
#define CLI_FORCE   4U
#define CLI_TIMEOUT 8U
#define CLI_ALL	    16U
#define CLI_SHRINK  32U
#define CLI_WORDS   64U

/*
 * Parses the options that @allowed permits; --help prints @help. Returns true, or false and *code
 * to end with. Members of *a whose option is not given keep their value.
 */
bool cli_args_parse(struct cli_args *a, int argc, char **argv, unsigned allowed, const char *help,
		    int *code);

/*
 * Flushes stdout, behind a print that returned @ret. Returns 0, or -errno with a line: that output
 * is lost, which main() then does not say again, or what @ret is, out of memory.
 */
int cli_stdout_flush(int ret, struct err *e);
/* Prints @o indented, with a newline at the end. */
void cli_print_json(const json_t *o);
/*
 * Prints a table to stdout, as wide as the terminal at most, each line behind @indent blanks; frees
 * it.
 */
void cli_print_table(struct table *t, unsigned indent);
/* Returns member @key as text, "" if it is missing or no string; or as a number, else 0. */
const char *cli_json_text(const json_t *o, const char *key);
long long cli_json_number(const json_t *o, const char *key);
/* Writes a duration for people: "3d 4h", "2h 13m", "5m 2s", "1.2s". */
const char *cli_duration(char buf[24], long long ms);
/* Writes a size for people: "256M", "1.5G". */
const char *cli_size(char buf[24], long long bytes);

/*
 * Parses a command line by cli_options_parse(), and prints the line of a mistake. Returns the index
 * of the first word, or 0 and *code to end with.
 */
int cli_command_line(const struct cli_syntax *s, int argc, char **argv, int *code);
/* Prints that there is no use of word @word; returns EXIT_CODE_USAGE. */
int cli_unexpected(const struct cli_syntax *s, const char *word);

/* The first word of `vmm driver VERB ...` and the like, and how many words are to follow it. */
#define CLI_VERBS_MAX 8
struct cli_verb {
	const char *name; /* NULL ends a table, of less than CLI_VERBS_MAX */
	int least, most;
	const char *missing; /* for people, if there are fewer than @least */
};

/*
 * Returns the verb of @verbs that @a (of CLI_WORDS) has; NULL: it has none, or other words, and
 * that is printed.
 */
const struct cli_verb *cli_verb(const char *command, const struct cli_args *a,
				const struct cli_verb *verbs);

/*
 * Opens FILE for the VMM, which opens none itself; returns the descriptor, and in *path its
 * absolute path for messages (malloc'ed). -errno and a line.
 */
int cli_open_file(const char *file, char **path, struct err *e);

#endif
