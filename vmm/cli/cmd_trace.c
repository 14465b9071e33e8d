// SPDX-License-Identifier: GPL-2.0-only
/* Follows the calls of a session's drivers as they are made, or counts them. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/table.h"
#include "policy/record.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/confine/confine.h"
#include "vmm/control/client.h"

static const char usage[] =
	"Usage: vmm trace [OPTION]... NAME SESSION [FUNCTION]...\n"
	"\n"
	"Follow the calls that the drivers of a session make of their kernel, as long as this command\n"
	"runs: each call with its arguments and result (and, with --json, how long it took), when it\n"
	"is over; one of a critical function with what the policy decided, too. NAME is the guest,\n"
	"FUNCTION a pattern of functions (default: all that can be seen), of which there may be 64.\n"
	"Nothing about the calls changes, and the policy stays as it is: what it records is recorded\n"
	"as before. ^C or SIGTERM ends it; the calls until then still come, those that are not over\n"
	"without a result. The third ^C ends it at once. The guest's end or reset ends it, too, and\n"
	"is said as an event `trace ended`.\n"
	"\n"
	"Calls that nobody decides, and results, are put down in the guest's memory and fetched from\n"
	"there, so they are the guest's word; of each function the first call is seen by the host itself. Who reads\n"
	"too slowly loses lines, and an event `lines lost` says how many; counts (-c) lose none by\n"
	"that.\n"
	"\n"
	"Options:\n"
	"  -c, --count             no lines, but at the end how often each function was called, how\n"
	"                          often it failed or was refused, and how long that took\n"
	"  -d, --driver PATTERN    only calls of these driver instances, which may come later; - and _\n"
	"                          are the same\n"
	"  -e, --errors            only calls that failed or were refused\n"
	"  -j, --json              each call as a line of JSON, as in a record; with --count each\n"
	"                          function\n"
	"  -o, --output FILE       write to FILE, which is made or emptied\n"
	"  -h, --help              this text\n"
	"\n"
	"Patterns are those of the shell; quote them.\n"
	"\n"
	"Examples:\n"
	"  vmm trace web a                          all calls of session a's drivers\n"
	"  vmm trace web a 'alloc_*' 'kmalloc*'     what they allocate\n"
	"  vmm trace -c web a                       how often they call what; ^C prints it\n"
	"  vmm trace -e -d lime web a               what fails for one driver\n"
	"  vmm trace -j web a | jq -r .site         where in the driver they come from\n"
	"\n"
	"Exit code: 0, also after ^C, 1 if the guest or its session is not there, no import of its\n"
	"drivers is like any FUNCTION (one of several is a warning), its VMM is killed, or the output\n"
	"cannot be written, 2 if the command is wrong.\n";

struct trace_cmd {
	const char *driver, *output;
	bool count, errors, json;
};

/* The socket that the lines come by: for the handler of ^C, which can get no argument. */
static volatile sig_atomic_t lines_fd = -1;

static volatile sig_atomic_t interrupted; /* times */

static void on_interrupt(int signal)
{
	const int saved = errno;

	if (++interrupted > 2)
		_exit(128 + signal);
	shutdown(lines_fd, SHUT_WR);
	errno = saved;
}

/* Has ^C ask for the end, and a third one be the command's: timeout(1) sends each signal twice. */
static void catch_interrupt(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt, .sa_flags = SA_RESTART };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static json_t *trace_args(const struct trace_cmd *t, const char *const *words)
{
	json_t *args = json_pack("{s:s, s:s, s:b, s:b}", "session", words[1], "fd", "lines",
				 "count", t->count, "errors", t->errors);
	json_t *functions = json_array();

	for (size_t i = 2; words[i]; i++)
		json_array_append_new(functions, json_string(words[i]));
	json_object_set_new(args, "functions", functions);
	if (t->driver)
		json_object_set_new(args, "driver", json_string(t->driver));
	return args;
}

/* Says what of it nothing will be seen of, at least not yet. */
static void print_notes(const json_t *out)
{
	const json_t *notes = json_object_get(out, "notes");
	for (size_t i = 0; i < json_array_size(notes); i++)
		if (json_is_string(json_array_get(notes, i)))
			cli_note(json_string_value(json_array_get(notes, i)));
}

/* Asks the guest's VMM for the lines; returns the socket by which they come, or -errno. */
static int trace_begin(const struct trace_cmd *t, const char *const *words, struct err *e)
{
	struct client *c = NULL;
	json_t *out = NULL;
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return err_set(e, -errno, "socketpair: %s", strerror(errno));
	ret = client_open(&c, words[0], CLIENT_TIMEOUT_MS, e);
	if (!ret)
		ret = client_give_fd(c, "lines", pair[1], e);
	if (!ret)
		ret = client_call(c, "umbra-trace", trace_args(t, words), &out, e);
	if (!ret)
		print_notes(out);
	json_decref(out);
	client_close(c);
	close(pair[1]);
	if (!ret)
		return pair[0];
	close(pair[0]);
	return ret;
}

/* --- lines of JSON --------------------------------------------------------------------------- */

/* Copies all; *ended: the last line says that the trace has ended. */
static int copy_lines(FILE *from, bool *ended)
{
	char buf[65536], last[256];
	size_t kept = 0;
	ssize_t n;

	while ((n = read(fileno(from), buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '{' && (!kept || last[kept - 1] == '\n'))
				kept = 0;
			if (kept < sizeof(last) - 1 || buf[i] == '\n')
				last[kept < sizeof(last) - 1 ? kept++ : kept - 1] = buf[i];
		}
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n || fflush(stdout))
			break;
	}
	last[kept] = '\0';
	*ended = strstr(last, "\"event\":\"" RECORD_TRACE_ENDED "\"");
	return 0;
}

/* --- counts ---------------------------------------------------------------------------------- */

struct count {
	char *function;
	u64 calls, errors, ns, average;
};

static int compare_counts(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? 1 : -1;
	return x->calls != y->calls ? (x->calls < y->calls ? 1 : -1)
				    : strcmp(x->function, y->function);
}

static struct count count_of(const json_t *o)
{
	const u64 calls = (u64)cli_json_number(o, "calls"), ns = (u64)cli_json_number(o, "ns");

	return (struct count){ .function = strdup(cli_json_text(o, "function")),
			       .calls = calls,
			       .errors = (u64)cli_json_number(o, "errors"),
			       .ns = ns,
			       .average = calls ? ns / calls : 0 };
}

/*
 * Reads the counts of all functions, how many calls the guest had no room for, and whether the
 * trace has *ended, which it says; *list is the caller's. -EPROTO, -ENOMEM.
 */
static int read_counts(FILE *from, struct count **list, size_t *n, u64 *lost, bool *ended)
{
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	while (!ret && getline(&line, &size, from) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		struct count *more;

		if (json_object_get(o, "lost")) {
			*lost += (u64)cli_json_number(o, "lost");
		} else if (!strcmp(cli_json_text(o, "event"), RECORD_TRACE_ENDED)) {
			*ended = true;
			cli_note(cli_json_text(o, "text"));
		} else if (!*cli_json_text(o, "function")) {
			ret = -EPROTO;
		} else if (!(more = realloc(*list, (*n + 1) * sizeof(*more)))) {
			ret = -ENOMEM;
		} else {
			*list = more;
			more[*n] = count_of(o);
			if (more[*n].function)
				++*n;
			else
				ret = -ENOMEM;
		}
		json_decref(o);
	}
	free(line);
	return ret;
}

static void count_row(struct table *t, const struct count *c, u64 all_ns)
{
	table_cell(t, "%.2f", all_ns ? 100.0 * (double)c->ns / (double)all_ns : 0.0);
	table_cell(t, "%.6f", (double)c->ns / 1e9);
	table_cell(t, "%" PRIu64, c->average);
	table_cell(t, "%" PRIu64, c->calls);
	if (c->errors)
		table_cell(t, "%" PRIu64, c->errors);
	else
		table_cell(t, "%s", "");
	table_cell(t, "%s", c->function);
}

/* Prints them as strace -c does, those that took longest first. */
static void print_counts(const struct count *list, size_t n)
{
	static const struct table_column columns[] = {
		{ "% TIME", 0, TABLE_RIGHT },  { "SECONDS", 0, TABLE_RIGHT },
		{ "NS/CALL", 0, TABLE_RIGHT }, { "CALLS", 0, TABLE_RIGHT },
		{ "ERRORS", 0, TABLE_RIGHT },  { "FUNCTION", 0, 0 },
	};
	struct table *t = table_create(columns, ARRAY_SIZE(columns));
	struct count all = { .function = (char[]){ "total" } };

	for (size_t i = 0; i < n; i++) {
		all.calls += list[i].calls;
		all.errors += list[i].errors;
		all.ns += list[i].ns;
	}
	all.average = all.calls ? all.ns / all.calls : 0;
	for (size_t i = 0; i < n; i++)
		count_row(t, &list[i], all.ns);
	count_row(t, &all, all.ns);
	cli_print_table(t, 0);
}

static int show_counts(FILE *from, bool *ended, struct err *e)
{
	struct count *list = NULL;
	size_t n = 0;
	u64 lost = 0;
	int ret = read_counts(from, &list, &n, &lost, ended);

	if (ret) {
		err_set(e, ret, "%s",
			ret == -ENOMEM ? "out of memory" : "the guest's VMM sent no counts");
	} else if (n) {
		qsort(list, n, sizeof(*list), compare_counts);
		print_counts(list, n);
	} else if (*ended || interrupted) {
		puts("no call");
	}
	if (!ret && lost)
		printf("%" PRIu64
		       " more calls of the session are not counted: the guest had no room "
		       "for them\n",
		       lost);
	for (size_t i = 0; i < n; i++)
		free(list[i].function);
	free(list);
	return ret;
}

/* --- lines for people ------------------------------------------------------------------------ */

static int show_lines(bool *ended, struct err *e)
{
	static const char *const standard_input[] = { "-", NULL };
	const struct record_follow what = { .to = stdout,
					    .width = table_terminal_width(stdout),
					    .colour = table_terminal_colour(stdout) };
	struct record *r;
	int ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = record_follow(&r, standard_input, NULL, &what, e);
	if (ret)
		return ferror(stdout) ? cli_stdout_flush(0, e) : ret;
	*ended = record_has_event(r, RECORD_TRACE_ENDED);
	record_close(r, NULL);
	return 0;
}

static int trace_show(const struct trace_cmd *t, struct err *e)
{
	bool ended = false;
	int ret;

	if (t->json)
		ret = copy_lines(stdin, &ended);
	else if (t->count)
		ret = show_counts(stdin, &ended, e);
	else
		ret = show_lines(&ended, e);
	if (!ret)
		ret = cli_stdout_flush(0, e);
	if (ret || ended || interrupted)
		return ret;
	return err_set(e, -ECONNRESET,
		       "the guest's VMM is gone without a word: it was killed, or its last lines "
		       "were not read in time");
}

/* Has stdout be FILE. */
static int open_output(const char *file, struct err *e)
{
	return file && !freopen(file, "we", stdout)
		       ? err_set(e, -errno, "--output %s: cannot open: %s", file, strerror(errno))
		       : 0;
}

int cmd_trace(int argc, char **argv)
{
	struct trace_cmd t = { .driver = NULL };
	const struct cli_option options[] = {
		{ "count", .flag = &t.count, .letter = 'c' },
		{ "driver", .text = &t.driver, .letter = 'd' },
		{ "errors", .flag = &t.errors, .letter = 'e' },
		{ "json", .flag = &t.json, .letter = 'j' },
		{ "output", .text = &t.output, .letter = 'o' },
	};
	const struct cli_syntax s = {
		.command = argv[0], .options = options, .n = ARRAY_SIZE(options), .help = usage
	};
	static const char *const nothing[] = { NULL };
	int code, fd, first = cli_command_line(&s, argc, argv, &code);
	const char *const *words;
	struct err e;

	if (!first)
		return code;
	/* The words end with a NULL. */
	words = (const char *const *)(argv + first);
	if (argc - first < 2)
		return cli_usage(argv[0],
				 "say which guest and which of its sessions: NAME SESSION");
	for (int i = first + 1; i < argc; i++)
		if (cli_want_utf8(argv[0], argv[i]))
			return EXIT_CODE_USAGE;
	if (t.driver && cli_want_utf8(argv[0], t.driver))
		return EXIT_CODE_USAGE;
	fd = trace_begin(&t, words, &e);
	/* After what can be a mistake: it empties the file. */
	if (fd < 0 || open_output(t.output, &e))
		return cli_fail(&e);
	if (fd != STDIN_FILENO) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
	lines_fd = STDIN_FILENO;
	catch_interrupt();
	/* The lines have texts that drivers of a guest have chosen. */
	return confine_reader(nothing, &e) || trace_show(&t, &e) ? cli_fail(&e) : 0;
}
