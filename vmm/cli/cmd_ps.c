// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>

#include "vmm/cli/client_cmd.h"
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

static void print(const json_t *list)
{
	char memory[24], uptime[24];
	size_t i;

	printf("%-20s %-10s %8s %5s %8s %10s\n", "NAME", "STATUS", "PID", "CPUS", "MEMORY",
	       "UPTIME");
	for (i = 0; i < json_array_size(list); i++) {
		const json_t *g = json_array_get(list, i);

		if (!json_object_get(g, "cpus")) {
			printf("%-20s %-10s %8lld\n", json_text(g, "name"), json_text(g, "status"),
			       json_number(g, "pid"));
			continue;
		}
		printf("%-20s %-10s %8lld %5lld %8s %10s\n", json_text(g, "name"),
		       json_text(g, "status"), json_number(g, "pid"), json_number(g, "cpus"),
		       client_size(memory, json_number(g, "memory")),
		       client_duration(uptime, json_number(g, "uptime-ms")));
	}
}

int cmd_ps(int argc, char **argv)
{
	struct client_args a = { 0 };
	int ret = client_args_parse(&a, argc, argv, CLIENT_JSON, help);
	char **names;
	json_t *list;
	struct err e;
	size_t n;

	if (ret >= 0)
		return ret;
	if (client_list(&names, &n, &e))
		return client_fail(&e);
	list = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *guest = ask(names[i]);

		if (guest)
			json_array_append_new(list, guest);
	}
	client_list_free(names, n);
	if (a.json)
		client_print_json(list);
	else
		print(list);
	json_decref(list);
	return 0;
}
