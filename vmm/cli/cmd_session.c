// SPDX-License-Identifier: GPL-2.0-only
/* Lists the sessions of a running guest, and puts another policy in force. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"

static const char help[] =
	"Usage: vmm session list\n"
	"       vmm session stats\n"
	"       vmm session policy FILE\n"
	"\n"
	"Sessions of a running guest that was started with --policy.\n"
	"\n"
	"  list      the policy's sessions, and how many pages of entries their drivers have\n"
	"  stats     calls, and what was refused\n"
	"  policy    put another policy in force; it decides every driver's next call, and which\n"
	"            functions' calls it decides\n"
	"\n"
	"Options:\n"
	"  -g, --guest NAME   which guest (default: the only one that runs)\n"
	"      --json         machine-readable output\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm session list\n"
	"  vmm session policy stricter.policy\n";

static void print_sessions(const json_t *list)
{
	static const struct table_column columns[] = {
		{ "SESSION", 8, 0 }, { "DRIVERS", 0, TABLE_RIGHT }, { "LAYOUT", 0, 0 },
		{ "SHADOW", 0, 0 },  { "PAGES", 0, TABLE_RIGHT },
	};
	struct table *t = table_create(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *s = json_array_get(list, i);
		const char *shadow = cli_json_text(s, "shadow");

		table_cell(t, "%s", cli_json_text(s, "session"));
		table_cell(t, "%lld", cli_json_number(s, "drivers"));
		table_cell(t, "%s", cli_json_text(s, "layout"));
		table_cell(t, "%s", *shadow ? shadow : "-");
		table_cell(t, "%lld", cli_json_number(s, "pages"));
	}
	cli_print_table(t, 0);
}

static int session_list(const char *guest, bool json)
{
	json_t *out = NULL;
	struct err e;

	if (client_call_once(guest, "umbra-session-list", json_object(), &out, &e))
		return cli_fail(&e);
	if (json)
		cli_print_json(out);
	else
		print_sessions(out);
	json_decref(out);
	return 0;
}

static void print_stats(json_t *all)
{
	static const struct table_column columns[] = { { NULL, 0, 0 }, { NULL, 0, TABLE_RIGHT } };
	struct table *t = table_create(columns, ARRAY_SIZE(columns));
	const char *key;
	json_t *v;

	json_object_foreach(all, key, v)
	{
		table_cell(t, "%s", key);
		if (json_is_string(v))
			table_cell(t, "%s", json_string_value(v));
		else
			table_cell(t, "%lld", (long long)json_integer_value(v));
	}
	cli_print_table(t, 0);
}

static int session_stats(const char *guest, bool json)
{
	json_t *out = NULL;
	struct err e;

	if (client_call_once(guest, "umbra-stats", json_object(), &out, &e))
		return cli_fail(&e);
	if (json)
		cli_print_json(out);
	else
		print_stats(out);
	json_decref(out);
	return 0;
}

static int session_policy(const char *guest, const char *file)
{
	json_t *out = NULL;
	char *path = NULL;
	struct err e;
	int fd = cli_open_file(file, &path, &e), ret;

	if (fd < 0)
		return cli_fail(&e);
	ret = cli_want_utf8("session", path);
	if (!ret && client_call_once_file(guest, "umbra-policy-load", json_object(),
					  &(struct client_file){ fd, path }, &out, &e))
		ret = cli_fail(&e);
	close(fd);
	free(path);
	json_decref(out);
	return ret;
}

int cmd_session(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "list", 0, 0, NULL },
		{ "stats", 0, 0, NULL },
		{ "policy", 1, 1, "say which FILE" },
		{ NULL, 0, 0, NULL },
	};
	struct cli_args a = { 0 };
	int ret;
	const struct cli_verb *v;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST | CLI_JSON | CLI_WORDS, help, &ret))
		return ret;
	v = cli_verb("session", &a, verbs);
	if (!v)
		return EXIT_CODE_USAGE;
	if (v == &verbs[0])
		return session_list(a.guest, a.json);
	if (v == &verbs[1])
		return session_stats(a.guest, a.json);
	return session_policy(a.guest, a.words[1]);
}
