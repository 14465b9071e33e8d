// SPDX-License-Identifier: GPL-2.0-only
/* Answers the questions that QEMU's tools ask of a guest, by the schema of QEMU 7.2. */
#include <stdio.h>

#include "vmm/backend/console.h"
#include "vmm/monitor/monitor_int.h"

static void query_name(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	control_reply(r, json_pack("{s:s}", "name", mon->name));
}

/* Answers with the UUID of --uuid, or with the one that stands for none, all zeros. */
static void query_uuid(void *arg, struct control_request *r, const json_t *args)
{
	const struct monitor *mon = arg;
	char uuid[SPEC_UUID_TEXT];

	(void)args;
	spec_uuid_text(mon->spec->smbios.uuid, uuid);
	control_reply(r, json_pack("{s:s}", "UUID", uuid));
}

static void query_cpus(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;
	json_t *list = json_array();
	char path[48];

	(void)args;
	for (unsigned i = 0; i < machine_cpus(mon->m); i++) {
		snprintf(path, sizeof(path), "/machine/unattached/device[%u]", i);
		json_array_append_new(list,
				      json_pack("{s:i, s:s, s:i, s:s, s:{s:i, s:i, s:i}}",
						"cpu-index", (int)i, "qom-path", path, "thread-id",
						(int)vcpu_tid(machine_vcpu(mon->m, i)), "target",
						"x86_64", "props", "socket-id", 0, "core-id",
						(int)i, "thread-id", 0));
	}
	control_reply(r, list);
}

static void append_control(json_t *list, const char *label, const char *path)
{
	char where[256];

	snprintf(where, sizeof(where), "unix:%s,server=on", path);
	json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "label", label, "filename", where,
					      "frontend-open", 1));
}

static void query_chardev(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;
	json_t *list = json_array();
	struct console_port p;

	(void)args;
	for (unsigned i = 0; mon->console && console_port(mon->console, i, &p); i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b}", "label", p.label, "filename",
						p.where, "frontend-open", p.open));
	if (mon->socket)
		append_control(list, "control", mon->socket);
	if (mon->spec->control_fd)
		append_control(list, "control-fd", mon->given);
	control_reply(r, list);
}

const struct control_command monitor_query_commands[] = {
	{ "query-name", query_name },
	{ "query-uuid", query_uuid },
	{ "query-cpus-fast", query_cpus },
	{ "query-chardev", query_chardev },
	{ NULL, NULL },
};
