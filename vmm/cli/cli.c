// SPDX-License-Identifier: GPL-2.0-only
/* Parses command lines, prints, and opens files for the commands that talk to running guests. */
#include "vmm/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/suggest.h"

int cli_fail(const struct err *e)
{
	fprintf(stderr, "vmm: %s\n", e->text);
	return VMM_EXIT_ERROR;
}

int cli_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "vmm: %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `vmm %s --help`\n", command);
	return VMM_EXIT_USAGE;
}

void cli_print_json(const json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
}

void cli_print_table(struct table *t, unsigned indent)
{
	if (table_print(t, stdout, indent, table_terminal_width(stdout), false))
		fputs("vmm: out of memory\n", stderr);
	table_free(t);
}

const char *json_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

long long json_number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

int cli_open_file(const char *file, char **path, struct err *e)
{
	/* O_NONBLOCK: a FIFO must not make us wait before it can be refused. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_set(e, -errno, "%s: cannot be opened: %s", file, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, -EINVAL, "%s: not a regular file", file);
	}
	*path = realpath(file, NULL);
	if (!*path) {
		int ret = err_set(e, -errno, "%s: %s", file, strerror(errno));

		close(fd);
		return ret;
	}
	return fd;
}

const char *cli_duration(char buf[24], long long ms)
{
	long long s = ms / 1000;

	if (s >= 86400)
		snprintf(buf, 24, "%lldd %lldh", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(buf, 24, "%lldh %lldm", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(buf, 24, "%lldm %llds", s / 60, s % 60);
	else
		snprintf(buf, 24, "%lld.%llds", s, ms / 100 % 10);
	return buf;
}

const char *cli_size(char buf[24], long long bytes)
{
	static const char units[] = "KMGT";
	double n = (double)bytes / 1024;
	size_t u = 0;

	while (n >= 1024 && u + 2 < sizeof(units)) {
		n /= 1024;
		u++;
	}
	snprintf(buf, 24, "%.*f%c", n == (double)(long long)n ? 0 : 1, n, units[u]);
	return buf;
}

static int take_timeout(struct cli_args *a, const char *command, const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > 86400)
		return cli_usage(command, "--timeout %s: want seconds, 0 to 86400", text);
	a->timeout = (int)n;
	return -1;
}

static bool is_cluster(const char *word, int letter)
{
	return word[0] == '-' && word[1] != '-' && strchr(word, letter);
}

int cli_bad_option(char **argv, int opt, const struct option *known)
{
	const char *names[16];
	size_t n = 0;
	/*
	 * The option that getopt refused is the word before optind, since getopt moves words that are no
	 * options to the end; a letter in front of others (-xyz) is in the word at optind.
	 */
	const char *word = argv[optind - 1], *cluster = argv[optind], *near;
	char letter[3] = { '-', (char)optopt, '\0' };

	for (; n < ARRAY_SIZE(names) && known[n].name; n++)
		names[n] = known[n].name;
	if (opt == ':')
		return cli_usage(argv[0], "%s needs a value", word);
	if (optopt && !strncmp(word, "--", 2) && strchr(word, '='))
		return cli_usage(argv[0], "%s: this option takes no value", word);
	if (optopt > 0 && optopt < 128 &&
	    (is_cluster(word, optopt) || (cluster && is_cluster(cluster, optopt))))
		word = letter;
	near = strncmp(word, "--", 2) ? NULL : suggest_of(word + 2, names, n);
	return cli_usage(argv[0], "unknown option \"%s\"%s%s%s", word,
			 near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "");
}

/* Each option with what a command must allow to have it. */
static const struct known_option {
	struct option o;
	unsigned needs;
} known_options[] = {
	{ { "help", no_argument, NULL, 'h' }, 0 },
	{ { "guest", required_argument, NULL, 'g' }, CLI_GUEST },
	{ { "json", no_argument, NULL, 'j' }, CLI_JSON },
	{ { "force", no_argument, NULL, 'f' }, CLI_FORCE },
	{ { "timeout", required_argument, NULL, 't' }, CLI_TIMEOUT },
	{ { "all", no_argument, NULL, 'a' }, CLI_ALL },
	{ { "shrink", no_argument, NULL, 's' }, CLI_SHRINK },
};

/* The options that @allowed permits; their count. @out has room for all and a NULL name. */
static size_t options_allowed(unsigned allowed, struct option *out)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(known_options); i++)
		if ((known_options[i].needs & allowed) == known_options[i].needs)
			out[n++] = known_options[i].o;
	return n;
}

static bool letter_allowed(int opt, const struct option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (options[i].val == opt)
			return true;
	return false;
}

/* -1: taken; else the exit code to end with. */
static int take_option(struct cli_args *a, int opt, char **argv, const struct option *options)
{
	switch (opt) {
	case 'g':
		a->guest = optarg;
		return -1;
	case 'j':
		a->json = true;
		return -1;
	case 'f':
		a->force = true;
		return -1;
	case 'a':
		a->all = true;
		return -1;
	case 's':
		a->shrink = true;
		return -1;
	case 't':
		return take_timeout(a, argv[0], optarg);
	default:
		return cli_bad_option(argv, opt, options);
	}
}

int cli_args_parse(struct cli_args *a, int argc, char **argv, unsigned allowed, const char *help)
{
	struct option options[ARRAY_SIZE(known_options) + 1] = { 0 };
	size_t n = options_allowed(allowed, options);
	int opt, ret;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":hg:fa", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (!letter_allowed(opt, options, n) && opt != ':')
			opt = '?';
		ret = take_option(a, opt, argv, options);
		if (ret >= 0)
			return ret;
	}
	if (allowed & CLI_WORDS) {
		a->words = argv + optind;
		a->n_words = argc - optind;
		return -1;
	}
	if (optind < argc && (allowed & CLI_GUEST) && !a->guest)
		a->guest = argv[optind++];
	if (optind < argc)
		return cli_usage(argv[0], "one word too many: \"%s\"", argv[optind]);
	return -1;
}
