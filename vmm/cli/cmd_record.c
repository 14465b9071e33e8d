// SPDX-License-Identifier: GPL-2.0-only
/* vmm record: prints the record of calls that a policy decided. */
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/exit_code.h"
#include "base/suggest.h"
#include "base/table.h"
#include "policy/policy.h"
#include "policy/record.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/confine/confine.h"

static const char usage[] =
	"Usage: vmm record [OPTION]... FILE...\n"
	"\n"
	"Show what the drivers of a run asked of their kernel. FILE was written by\n"
	"`vmm run --record FILE`, and may still be growing; - is stdin. Several are the files of\n"
	"one run with --record-size, or are taken together as if they were. Repeats of one call\n"
	"are one row with a count; ASKED is what the driver named, USED what the kernel was given.\n"
	"An event `lines lost` stands where the file took fewer lines than the drivers asked for.\n"
	"With --follow RULE ends with where in the driver the call came from, `symbol+0x12`, or `tail\n"
	"call` where it does not return into the driver. A call that was decided and is traced, too, has\n"
	"two lines there, before it is made and with its result; its row counts it once.\n"
	"On a terminal lines are wrapped at its width; elsewhere they are as long as they are.\n"
	"\n"
	"Options:\n"
	"  -s, --session PATTERN   only requests of these sessions\n"
	"  -d, --driver PATTERN    only requests of these driver instances\n"
	"  -F, --function PATTERN  only calls of these functions (or events of this kind)\n"
	"  -v, --verdict PATTERN   pass, rewrite, deny, emulate or pending\n"
	"  -f, --follow            each request by itself, and those that come, until ^C;\n"
	"                          of a pipe until that ends\n"
	"  -j, --json              one JSON object: requests, events, others, lost; with --follow\n"
	"                          the lines of the file\n"
	"  -h, --help              this text\n"
	"\n"
	"Patterns are those of the shell; quote them.\n"
	"\n"
	"Examples:\n"
	"  vmm record run.jsonl                         all of it\n"
	"  vmm record run.jsonl --verdict deny          what was refused, and by which rule\n"
	"  vmm record run.jsonl -s a -F 'filp_*'        the files of session a\n"
	"  vmm record run.jsonl -f -v deny              what is refused, as it happens\n"
	"  vmm record run.jsonl | grep /etc             each row in one line\n"
	"  vmm record run.jsonl --json | jq '.requests[] | select(.count > 100) | .asked'\n"
	"  vmm record run.jsonl*                        all files of a run with --record-size\n"
	"  zcat old.jsonl.gz | vmm record -             one that was packed\n"
	"  jq .args run.jsonl                           each single request is a line of the file\n"
	"\n"
	"Exit code: 0, also after ^C with --follow, 1 if FILE cannot be read, 2 if the command is\n"
	"wrong.\n";

/* How often a file that is followed is looked at. */
#define LOOK_NS 200000000

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* Returns 0, or the exit code with which a pattern ends that no verdict is like. */
static int check_verdict(const char *command, const char *pattern)
{
	const char *names[VERDICT_PENDING + 1] = { NULL };
	char hint[SUGGEST_HINT];

	for (int v = VERDICT_PASS; v <= VERDICT_PENDING; v++) {
		names[v - 1] = verdict_name((enum verdict)v);
		if (!pattern || !fnmatch(pattern, names[v - 1], 0))
			return 0;
	}
	return cli_usage(command,
			 "--verdict %s: no verdict is like that; there are pass, rewrite, deny, "
			 "emulate and pending%s",
			 pattern, suggest_hint(hint, suggest(pattern, names)));
}

/* Sleeps until the file is to be looked at again; false after ^C. */
static bool record_wait(void *arg)
{
	const struct timespec moment = { .tv_nsec = LOOK_NS };

	(void)arg;
	/* The signal may come just before: then it is seen a moment later. */
	if (!interrupted)
		nanosleep(&moment, NULL);
	return !interrupted;
}

/* Prints requests as they come, and their sums at the end. */
static int record_show_growing(const char *const *paths, const struct record_filter *f, bool json,
			       struct err *e)
{
	const struct record_follow what = {
		.to = stdout,
		.width = table_terminal_width(stdout),
		.colour = table_terminal_colour(stdout),
		.json = json,
		.wait = record_wait,
	};
	struct record *r;
	int ret;

	/* What has come of a pipe is not to wait for more of it. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = record_follow(&r, paths, f, &what, e);
	if (ret)
		return ferror(stdout) ? cli_stdout_flush(0, e) : ret;
	ret = json ? 0 : record_print_sums(r, stdout);
	record_close(r, NULL);
	return cli_stdout_flush(ret, e);
}

static int record_show(const char *const *paths, const struct record_filter *f, bool json,
		       struct err *e)
{
	struct record *r;
	int ret = record_read_some(&r, paths, f, e);

	if (ret)
		return ret;
	ret = json ? record_print_json(r, stdout)
		   : record_print(r, stdout, table_terminal_width(stdout),
				  table_terminal_colour(stdout));
	record_close(r, NULL);
	return cli_stdout_flush(ret, e);
}

/* Has ^C end the wait for more, and a second one the command, which may have much to read yet. */
static void catch_interrupt(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt, .sa_flags = SA_RESETHAND };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
}

int cmd_record(int argc, char **argv)
{
	struct record_filter f = { 0 };
	bool json = false, follow = false;
	const struct cli_option options[] = {
		{ "session", .text = &f.session, .letter = 's' },
		{ "driver", .text = &f.driver, .letter = 'd' },
		{ "function", .text = &f.function, .letter = 'F' },
		{ "verdict", .text = &f.verdict, .letter = 'v' },
		{ "follow", .flag = &follow, .letter = 'f' },
		{ "json", .flag = &json, .letter = 'j' },
	};
	const struct cli_syntax s = {
		.command = argv[0], .options = options, .n = ARRAY_SIZE(options), .help = usage
	};
	int code, first = cli_command_line(&s, argc, argv, &code);
	const char *const *paths;
	struct err e;

	if (!first)
		return code;
	if (first == argc)
		return cli_usage(argv[0], "say which FILE: the one given to vmm run --record");
	code = check_verdict(argv[0], f.verdict);
	if (code)
		return code;
	if (follow)
		catch_interrupt();
	/* The file has names that drivers of a guest have chosen. The words end with a NULL. */
	paths = (const char *const *)(argv + first);
	if (confine_reader(paths, &e))
		return cli_fail(&e);
	return (follow ? record_show_growing(paths, &f, json, &e)
		       : record_show(paths, &f, json, &e))
		       ? cli_fail(&e)
		       : 0;
}
