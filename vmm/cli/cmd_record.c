// SPDX-License-Identifier: GPL-2.0-only
/* vmm record: prints the record of calls that a policy decided. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exit_code.h"
#include "base/suggest.h"
#include "base/table.h"
#include "policy/record.h"
#include "vmm/cli/commands.h"

static const char usage[] =
	"Usage: vmm record [OPTION]... FILE\n"
	"\n"
	"Show what the drivers of a run asked of their kernel. FILE was written by\n"
	"`vmm run --record FILE`, and may still be growing. Repeats of one call are one row\n"
	"with a count; ASKED is what the driver named, USED what the kernel was given.\n"
	"\n"
	"Options:\n"
	"  -s, --session PATTERN   only requests of these sessions\n"
	"  -d, --driver PATTERN    only requests of these driver instances\n"
	"  -f, --function PATTERN  only calls of these functions (or events of this kind)\n"
	"  -v, --verdict PATTERN   pass, rewrite, deny, emulate or pending\n"
	"  -j, --json              one JSON object: requests, events, others\n"
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
	"  jq .args run.jsonl                           each single request is a line of the file\n"
	"\n"
	"Exit code: 0, 1 if FILE cannot be read, 2 if the command is wrong.\n";

static int record_usage(const char *what, const char *arg)
{
	fprintf(stderr, "vmm record: %s%s%s; see vmm record --help\n", what, *arg ? " " : "", arg);
	return VMM_EXIT_USAGE;
}

static int no_such_option(const char *arg)
{
	static const char *const names[] = { "--session", "--driver", "--function", "--verdict",
					     "--json",	  "--help",   NULL };
	const char *near = suggest(arg, names);

	if (!near)
		return record_usage("no such option:", arg);
	fprintf(stderr, "vmm record: no such option: %s; did you mean %s?\n", arg, near);
	return VMM_EXIT_USAGE;
}

static int record_show(const char *path, const struct record_filter *f, bool json)
{
	struct record *r;
	struct err e;
	int ret;

	if (record_read_some(&r, path, f, &e)) {
		fprintf(stderr, "vmm record: %s\n", e.text);
		return VMM_EXIT_ERROR;
	}
	ret = json ? record_print_json(r, stdout)
		   : record_print(r, stdout, table_terminal_width(stdout),
				  table_terminal_colour(stdout));
	record_close(r, NULL);
	if (ret) {
		fprintf(stderr, "vmm record: cannot write the output: %s\n", strerror(-ret));
		return VMM_EXIT_ERROR;
	}
	return 0;
}

int cmd_record(int argc, char **argv)
{
	static const struct option options[] = {
		{ "session", required_argument, NULL, 's' },
		{ "driver", required_argument, NULL, 'd' },
		{ "function", required_argument, NULL, 'f' },
		{ "verdict", required_argument, NULL, 'v' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct record_filter f = { 0 };
	bool json = false;
	int c;

	optind = 0; /* main() may have used getopt for itself */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":s:d:f:v:jh", options, NULL)) != -1) {
		switch (c) {
		case 's':
			f.session = optarg;
			break;
		case 'd':
			f.driver = optarg;
			break;
		case 'f':
			f.function = optarg;
			break;
		case 'v':
			f.verdict = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case ':':
			return record_usage("a pattern must follow", argv[optind - 1]);
		default:
			return no_such_option(argv[optind - 1]);
		}
	}
	if (optind == argc)
		return record_usage("which FILE? Name the one given to vmm run --record", "");
	if (optind + 1 < argc)
		return record_usage("one FILE at a time, found also", argv[optind + 1]);
	return record_show(argv[optind], &f, json);
}
