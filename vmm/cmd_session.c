// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/commands.h"
#include "vmm/control.h"
#include "vmm/exit.h"

static const char help[] =
	"Usage: vmm session list\n"
	"       vmm session stats\n"
	"       vmm session policy FILE\n"
	"\n"
	"Sessions of a running guest that was started with --policy.\n"
	"\n"
	"  list      the policy's sessions; those with drivers have a shadow kernel\n"
	"  stats     calls, and what was refused\n"
	"  policy    put another policy in force; it decides every driver's next call\n"
	"\n"
	"Options:\n"
	"  -g, --guest NAME   which guest (default: the only one that runs)\n"
	"      --json         machine-readable output\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm session list\n"
	"  vmm session policy stricter.policy\n";

static int fail(const struct err *e)
{
	fprintf(stderr, "vmm: %s\n", e->text);
	return VMM_EXIT_ERROR;
}

static int list(const char *guest, bool json)
{
	json_t *out = NULL;
	struct err e;
	size_t i;

	if (control_call(guest, "umbra-session-list", json_object(), &out, &e))
		return fail(&e);
	if (json) {
		json_dumpf(out, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		printf("%-16s %8s  %-18s %8s\n", "SESSION", "DRIVERS", "SHADOW", "PAGES");
		for (i = 0; i < json_array_size(out); i++) {
			const json_t *s = json_array_get(out, i);
			const char *shadow = json_string_value(json_object_get(s, "shadow"));

			printf("%-16s %8lld  %-18s %8lld\n",
			       json_string_value(json_object_get(s, "session")),
			       (long long)json_integer_value(json_object_get(s, "drivers")),
			       shadow && *shadow ? shadow : "-",
			       (long long)json_integer_value(json_object_get(s, "pages")));
		}
	}
	json_decref(out);
	return 0;
}

static int stats(const char *guest, bool json)
{
	json_t *out = NULL;
	struct err e;
	void *it;

	if (control_call(guest, "umbra-stats", json_object(), &out, &e))
		return fail(&e);
	if (json) {
		json_dumpf(out, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		for (it = json_object_iter(out); it; it = json_object_iter_next(out, it)) {
			const json_t *v = json_object_iter_value(it);

			if (json_is_string(v))
				printf("%-18s %18s\n", json_object_iter_key(it),
				       json_string_value(v));
			else
				printf("%-18s %18lld\n", json_object_iter_key(it),
				       (long long)json_integer_value(v));
		}
	}
	json_decref(out);
	return 0;
}

static int set_policy(const char *guest, const char *file)
{
	char *path = realpath(file, NULL);
	json_t *out = NULL;
	struct err e;
	int ret;

	if (!path) {
		fprintf(stderr, "vmm: %s: cannot be found\n", file);
		return VMM_EXIT_ERROR;
	}
	ret = control_call(guest, "umbra-policy-load", json_pack("{s:s}", "path", path), &out, &e);
	free(path);
	json_decref(out);
	return ret ? fail(&e) : 0;
}

int cmd_session(int argc, char **argv)
{
	static const struct option options[] = {
		{ "guest", required_argument, NULL, 'g' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *guest = NULL;
	bool json = false;
	int opt, left;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "g:h", options, NULL)) != -1) {
		switch (opt) {
		case 'g':
			guest = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			fprintf(stderr,
				"vmm: session: unknown or incomplete option %s; see `vmm session --help`\n",
				argv[optind - 1]);
			return VMM_EXIT_USAGE;
		}
	}
	left = argc - optind;
	if (left == 1 && !strcmp(argv[optind], "list"))
		return list(guest, json);
	if (left == 1 && !strcmp(argv[optind], "stats"))
		return stats(guest, json);
	if (left == 2 && !strcmp(argv[optind], "policy"))
		return set_policy(guest, argv[optind + 1]);
	fprintf(stderr,
		"vmm: session: say `list`, `stats` or `policy FILE`; see `vmm session --help`\n");
	return VMM_EXIT_USAGE;
}
