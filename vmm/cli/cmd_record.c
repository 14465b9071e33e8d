// SPDX-License-Identifier: GPL-2.0-only
/* vmm record: prints the record of calls that a policy decided. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exit_code.h"
#include "base/suggest.h"
#include "base/table.h"
#include "policy/policy.h"
#include "policy/record.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/confine/confine.h"

static const char usage[] =
	"Usage: vmm record [OPTION]... FILE\n"
	"\n"
	"Show what the drivers of a run asked of their kernel. FILE was written by\n"
	"`vmm run --record FILE`, and may still be growing; - is stdin. Repeats of one call\n"
	"are one row with a count; ASKED is what the driver named, USED what the kernel was given.\n"
	"An event `lines lost` stands where the file took fewer lines than the drivers asked for.\n"
	"\n"
	"Options:\n"
	"  -s, --session PATTERN   only requests of these sessions\n"
	"  -d, --driver PATTERN    only requests of these driver instances\n"
	"  -f, --function PATTERN  only calls of these functions (or events of this kind)\n"
	"  -v, --verdict PATTERN   pass, rewrite, deny, emulate or pending\n"
	"  -j, --json              one JSON object: requests, events, others, lost\n"
	"  -h, --help              this text\n"
	"\n"
	"Patterns are those of the shell; quote them.\n"
	"\n"
	"Examples:\n"
	"  vmm record run.jsonl                         all of it\n"
	"  vmm record run.jsonl --verdict deny          what was refused, and by which rule\n"
	"  vmm record run.jsonl -s a -f 'filp_*'        the files of session a\n"
	"  vmm record run.jsonl | grep /etc             in full width, not fitted to a terminal\n"
	"  vmm record run.jsonl --json | jq '.requests[] | select(.count > 100) | .asked'\n"
	"  zcat old.jsonl.gz | vmm record -             one that was packed\n"
	"  jq .args run.jsonl                           each single request is a line of the file\n"
	"\n"
	"Exit code: 0, 1 if FILE cannot be read, 2 if the command is wrong.\n";

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

static int record_show(const char *path, const struct record_filter *f, bool json)
{
	const char *const paths[] = { path, NULL };
	struct record *r;
	struct err e;
	int ret;

	/* The file has names that drivers of a guest have chosen. */
	if (confine_reader(paths, &e))
		return cli_fail(&e);
	if (record_read_some(&r, path, f, &e))
		return cli_fail(&e);
	ret = json ? record_print_json(r, stdout)
		   : record_print(r, stdout, table_terminal_width(stdout),
				  table_terminal_colour(stdout));
	record_close(r, NULL);
	return cli_stdout_flush(ret, &e) ? cli_fail(&e) : 0;
}

int cmd_record(int argc, char **argv)
{
	struct record_filter f = { 0 };
	bool json = false;
	const struct cli_option options[] = {
		{ "session", .text = &f.session, .letter = 's' },
		{ "driver", .text = &f.driver, .letter = 'd' },
		{ "function", .text = &f.function, .letter = 'f' },
		{ "verdict", .text = &f.verdict, .letter = 'v' },
		{ "json", .flag = &json, .letter = 'j' },
	};
	const struct cli_syntax s = {
		.command = argv[0], .options = options, .n = ARRAY_SIZE(options), .help = usage
	};
	int code, first = cli_command_line(&s, argc, argv, &code);

	if (!first)
		return code;
	if (first == argc)
		return cli_usage(argv[0], "say which FILE: the one given to vmm run --record");
	if (first + 1 < argc)
		return cli_unexpected(&s, argv[first + 1]);
	code = check_verdict(argv[0], f.verdict);
	return code ? code : record_show(argv[first], &f, json);
}
