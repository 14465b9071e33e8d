// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>

#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"

/* One that hangs holds up the list by this much. */
#define PATIENCE_MS 2000

static const char help[] =
	"Usage: vmm ps [OPTION]...\n"
	"\n"
	"The guests of this user that run.\n"
	"\n"
	"Options:\n"
	"      --json         machine-readable output\n"
	"  -h, --help         this text\n"
	"\n"
	"A status: running, paused, prelaunch (--paused, not resumed yet), or no answer: its vmm\n"
	"hangs, see `vmm kill --help`.\n"
	"\n"
	"Examples:\n"
	"  vmm ps\n"
	"  vmm ps --json | jq -r '.[].name'\n";

/* NULL: it has ended meanwhile. */
static json_t *ask(const char *name)
{
	struct client *c;
	json_t *info = NULL, *guest;
	struct err e;
	pid_t pid;
	int ret = client_dial(&c, name, &e);

	if (ret)
		return ret == -ETIMEDOUT
			       ? json_pack("{s:s, s:s}", "name", name, "status", "no answer")
			       : NULL;
	pid = client_pid(c);
	client_close(c);
	ret = client_open(&c, name, PATIENCE_MS, &e);
	if (!ret) {
		ret = client_call(c, "umbra-info", NULL, &info, &e);
		client_close(c);
	}
	if (ret == -ENOENT || ret == -ENOTCONN)
		return NULL;
	guest = json_incref(json_object_get(info, "guest"));
	json_decref(info);
	if (!guest)
		guest = json_pack("{s:s, s:s}", "name", name, "status", "no answer");
	json_object_set_new(guest, "pid", json_integer(pid));
	return guest;
}

static void print_guests(const json_t *list)
{
	static const struct table_column columns[] = {
		{ "NAME", 8, 0 },
		{ "STATUS", 0, 0 },
		{ "PID", 0, TABLE_RIGHT },
		{ "CPUS", 0, TABLE_RIGHT },
		{ "MEMORY", 0, TABLE_RIGHT },
		{ "UPTIME", 0, TABLE_RIGHT },
	};
	struct table *t = table_create(columns, ARRAY_SIZE(columns));
	char memory[24], uptime[24];

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *g = json_array_get(list, i);

		table_cell(t, "%s", json_text(g, "name"));
		table_cell(t, "%s", json_text(g, "status"));
		table_cell(t, "%lld", json_number(g, "pid"));
		if (json_object_get(g, "cpus")) {
			table_cell(t, "%lld", json_number(g, "cpus"));
			table_cell(t, "%s", cli_size(memory, json_number(g, "memory")));
			table_cell(t, "%s", cli_duration(uptime, json_number(g, "uptime-ms")));
		}
		table_row_end(t);
	}
	cli_print_table(t, 0);
}

int cmd_ps(int argc, char **argv)
{
	struct cli_args a = { 0 };
	int ret = cli_args_parse(&a, argc, argv, CLI_JSON, help);
	char **names;
	json_t *list;
	struct err e;
	size_t n;

	if (ret >= 0)
		return ret;
	if (client_list(&names, &n, &e))
		return cli_fail(&e);
	list = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *guest = ask(names[i]);

		if (guest)
			json_array_append_new(list, guest);
	}
	client_list_free(names, n);
	if (a.json)
		cli_print_json(list);
	else
		print_guests(list);
	json_decref(list);
	return 0;
}
