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
#include "base/plain_text.h"
#include "base/suggest.h"
#include "base/utf8.h"

int cli_fail(const struct err *e)
{
	cli_note(e->text);
	return EXIT_CODE_ERROR;
}

void cli_note(const char *text)
{
	plain_text_line(stderr, "vmm: %s", text);
}

int cli_mistake(const char *command, const struct err *e)
{
	plain_text_line(stderr, "vmm %s: %s", command, e->text);
	return EXIT_CODE_USAGE;
}

int cli_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "vmm %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `vmm %s --help`\n", command);
	return EXIT_CODE_USAGE;
}

int cli_want_utf8(const char *command, const char *name)
{
	const char *s = name;
	unsigned len;
	u32 code;

	while ((len = utf8_next(s, &code)))
		s += len;
	if (!*s)
		return 0;
	plain_text_line(stderr, "vmm %s: %s: want a name in UTF-8", command, name);
	return EXIT_CODE_USAGE;
}

int cli_stdout_flush(int ret, struct err *e)
{
	bool lost = ferror(stdout);
	int why = errno; /* of the write that failed, if one did */

	if (fflush(stdout)) {
		lost = true;
		why = errno;
	}
	clearerr(stdout);
	if (lost)
		return err_set(e, -EIO, "cannot write to stdout: %s", strerror(why));
	return ret ? err_set(e, ret, "out of memory") : 0;
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

const char *cli_json_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

long long cli_json_number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

int cli_open_file(const char *file, char **path, struct err *e)
{
	/* O_NONBLOCK: a FIFO must not make us wait before it can be refused. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_set(e, -errno, "%s: cannot open: %s", file, strerror(errno));
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

/* --- command lines -------------------------------------------------------------------------- */

int cli_command_line(const struct cli_syntax *s, int argc, char **argv, int *code)
{
	struct err e = { "" };
	int first = cli_options_parse(s, argc, argv, &e);

	if (first > 0)
		return first;
	*code = first ? cli_mistake(s->command, &e) : 0;
	return 0;
}

int cli_unexpected(const struct cli_syntax *s, const char *word)
{
	struct err e = { "" };

	cli_options_unexpected(s, word, &e);
	return cli_mistake(s->command, &e);
}

/* Parses the value of --timeout, in seconds. 0, or the exit code to end with. */
static int parse_timeout(const char *command, const char *text, int *seconds)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > 86400)
		return cli_usage(command, "--timeout %s: want seconds, 0 to 86400", text);
	*seconds = (int)n;
	return 0;
}

bool cli_args_parse(struct cli_args *a, int argc, char **argv, unsigned allowed, const char *help,
		    int *code)
{
	const char *timeout = NULL;
	/* Each option, with the flag in @allowed by which a command has it. */
	const struct {
		struct cli_option o;
		unsigned needs;
	} known[] = {
		{ { "guest", .text = &a->guest, .letter = 'g' }, CLI_GUEST },
		{ { "json", .flag = &a->json }, CLI_JSON },
		{ { "force", .flag = &a->force, .letter = 'f' }, CLI_FORCE },
		{ { "timeout", .text = &timeout }, CLI_TIMEOUT },
		{ { "all", .flag = &a->all, .letter = 'a' }, CLI_ALL },
		{ { "shrink", .flag = &a->shrink }, CLI_SHRINK },
	};
	struct cli_option options[ARRAY_SIZE(known)];
	struct cli_syntax s = { .command = argv[0], .options = options, .help = help };
	int first;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].needs & allowed)
			options[s.n++] = known[i].o;
	first = cli_command_line(&s, argc, argv, code);
	if (!first)
		return false;
	*code = timeout ? parse_timeout(argv[0], timeout, &a->timeout) : 0;
	if (*code)
		return false;
	if (allowed & CLI_WORDS) {
		a->words = argv + first;
		a->n_words = argc - first;
		return true;
	}
	if (first < argc && (allowed & CLI_GUEST) && !a->guest)
		a->guest = argv[first++];
	if (first < argc)
		*code = cli_unexpected(&s, argv[first]);
	return !*code;
}

/* Writes "load, unload or list". */
static void list_verbs(char *buf, size_t size, const struct cli_verb *verbs)
{
	size_t len = 0;

	*buf = '\0';
	for (size_t i = 0; verbs[i].name && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s",
					!i		    ? ""
					: verbs[i + 1].name ? ", "
							    : " or ",
					verbs[i].name);
}

static const struct cli_verb *verb_find(const struct cli_verb *verbs, const char *word)
{
	for (; verbs->name; verbs++)
		if (!strcmp(verbs->name, word))
			return verbs;
	return NULL;
}

const struct cli_verb *cli_verb(const char *command, const struct cli_args *a,
				const struct cli_verb *verbs)
{
	const char *names[CLI_VERBS_MAX], *near;
	const struct cli_verb *v = a->n_words ? verb_find(verbs, a->words[0]) : NULL;
	struct cli_syntax s = { .command = command };
	char all[100], hint[SUGGEST_HINT];
	size_t n = 0;

	list_verbs(all, sizeof(all), verbs);
	if (!a->n_words) {
		cli_usage(command, "say what to do: %s", all);
		return NULL;
	}
	if (v && a->n_words - 1 > v->most) {
		cli_unexpected(&s, a->words[v->most + 1]);
		return NULL;
	}
	if (v && a->n_words - 1 < v->least) {
		cli_usage(command, "%s: %s", v->name, v->missing);
		return NULL;
	}
	if (v)
		return v;
	for (; verbs[n].name && n < CLI_VERBS_MAX; n++)
		names[n] = verbs[n].name;
	near = suggest_of(a->words[0], names, n);
	if (near)
		fprintf(stderr, "vmm %s: unknown command \"%s\"%s\n", command, a->words[0],
			suggest_hint(hint, near));
	else
		cli_usage(command, "unknown command \"%s\", want %s", a->words[0], all);
	return NULL;
}
