// SPDX-License-Identifier: GPL-2.0-only
/* vmm ps: lists the guests that run, and with --all those that ran in the background. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/control/ended.h"

/* How long a VMM that hangs holds up the list. */
#define PATIENCE_MS 2000

static const char help[] =
	"Usage: vmm ps [OPTION]...\n"
	"\n"
	"The guests of this user that run.\n"
	"\n"
	"Options:\n"
	"  -a, --all          those too that were started by run --detach and have ended\n"
	"      --json         machine-readable output\n"
	"  -h, --help         this text\n"
	"\n"
	"Of guests that have ended, the last 20 are kept for 7 days: `vmm logs`, `vmm wait`.\n"
	"\n"
	"A status: running, paused, prelaunch (--paused, not resumed yet), or no answer: its vmm\n"
	"hangs, see `vmm kill --help`; ended, with the exit code, or killed.\n"
	"\n"
	"Examples:\n"
	"  vmm ps\n"
	"  vmm ps --all\n"
	"  vmm ps --json | jq -r '.[].name'\n";

/* Asks guest @name about itself; NULL: it has ended meanwhile. */
static json_t *ask_guest(const char *name)
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

static bool guest_is_listed(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!strcmp(cli_json_text(json_array_get(list, i), "name"), name))
			return true;
	return false;
}

/* Adds guests that have ended, except where a running guest has the same name. */
static int list_add_ended(json_t *list, struct err *e)
{
	struct ended_guest *ended;
	size_t n;
	int ret = ended_list(&ended, &n, e);

	if (ret)
		return ret;
	for (size_t i = 0; i < n; i++) {
		const struct ended_guest *g = &ended[i];
		json_t *o;

		if (g->running || guest_is_listed(list, g->name))
			continue;
		o = json_pack("{s:s, s:s, s:I}", "name", g->name, "status",
			      g->known ? "ended" : "killed", "ended", (json_int_t)g->time);
		if (o && g->known)
			json_object_set_new(o, "exit-code", json_integer(g->code));
		json_array_append_new(list, o);
	}
	free(ended);
	return 0;
}

/* Adds the cell "running" or "ended (11)". */
static void status_cell(struct table *t, const json_t *g)
{
	if (json_object_get(g, "exit-code"))
		table_cell(t, "%s (%lld)", cli_json_text(g, "status"),
			   cli_json_number(g, "exit-code"));
	else
		table_cell(t, "%s", cli_json_text(g, "status"));
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

		table_cell(t, "%s", cli_json_text(g, "name"));
		status_cell(t, g);
		if (json_object_get(g, "pid"))
			table_cell(t, "%lld", cli_json_number(g, "pid"));
		if (json_object_get(g, "cpus")) {
			table_cell(t, "%lld", cli_json_number(g, "cpus"));
			table_cell(t, "%s", cli_size(memory, cli_json_number(g, "memory")));
			table_cell(t, "%s", cli_duration(uptime, cli_json_number(g, "uptime-ms")));
		}
		table_row_end(t);
	}
	cli_print_table(t, 0);
}

int cmd_ps(int argc, char **argv)
{
	struct cli_args a = { 0 };
	int ret;
	char **names;
	json_t *list;
	struct err e;
	size_t n;

	if (!cli_args_parse(&a, argc, argv, CLI_JSON | CLI_ALL, help, &ret))
		return ret;
	if (client_list(&names, &n, &e))
		return cli_fail(&e);
	list = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *guest = ask_guest(names[i]);

		if (guest)
			json_array_append_new(list, guest);
	}
	client_list_free(names, n);
	if (a.all && list_add_ended(list, &e)) {
		json_decref(list);
		return cli_fail(&e);
	}
	if (a.json)
		cli_print_json(list);
	else
		print_guests(list);
	json_decref(list);
	return 0;
}
