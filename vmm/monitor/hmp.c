// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers what people type for QEMU's own monitor (`virsh qemu-monitor-command --hmp`), as far as
 * Umbra has the same to tell; for the rest there is `vmm info`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/version.h"
#include "vmm/backend/platform.h"
#include "vmm/monitor/monitor_int.h"

static void tell_status(const struct monitor *mon, FILE *to)
{
	const char *state = monitor_state_name(mon);

	if (mon->state == MONITOR_RUNNING || mon->state == MONITOR_PAUSED)
		fprintf(to, "VM status: %s\r\n", state);
	else
		fprintf(to, "VM status: paused (%s)\r\n", state);
}

static void tell_block(const struct monitor *mon, FILE *to)
{
	size_t n = mon->platform ? platform_disk_count(mon->platform) : 0;
	struct platform_disk d;
	char name[SPEC_ID_MAX + 1], node[SPEC_ID_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		platform_disk(mon->platform, i, &d);
		spec_disk_name(d.spec, i, name);
		spec_disk_node(d.spec, i, node);
		if (d.spec->vhost_user)
			continue;
		fprintf(to,
			"%s (%s): %s (raw%s)\r\n"
			"    Attached to:      /machine/peripheral/%s/virtio-backend\r\n"
			"    Cache mode:       writeback%s\r\n",
			name, node, d.spec->path, d.readonly ? ", read-only" : "", name,
			d.spec->direct ? ", direct" : "");
	}
}

static void tell_kvm(const struct monitor *mon, FILE *to)
{
	(void)mon;
	fputs("kvm support: enabled\r\n", to);
}

static void tell_name(const struct monitor *mon, FILE *to)
{
	fprintf(to, "%s\r\n", mon->name ? mon->name : "");
}

static void tell_version(const struct monitor *mon, FILE *to)
{
	(void)mon;
	fputs("Umbra " VMM_VERSION " (vmm), not QEMU\r\n", to);
}

static const struct hmp_command {
	const char *line;
	void (*tell)(const struct monitor *mon, FILE *to);
} commands[] = {
	{ "info block", tell_block },	  { "info kvm", tell_kvm },
	{ "info name", tell_name },	  { "info status", tell_status },
	{ "info version", tell_version },
};

static void tell_what_there_is(FILE *to)
{
	fputs("Umbra has no monitor for people but for ", to);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "%s%s", i ? ", " : "", commands[i].line);
	fputs("; vmm info shows more\r\n", to);
}

static const struct hmp_command *find_line(const char *line)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].line, line))
			return &commands[i];
	return NULL;
}

static void answer_line(void *arg, struct control_request *r, const json_t *args)
{
	const char *line = json_string_value(json_object_get(args, "command-line"));
	const struct hmp_command *found;
	const struct monitor *mon = arg;
	char *text = NULL;
	size_t size;
	FILE *to;

	if (!line) {
		control_fail(r, "Parameter 'command-line' is missing");
		return;
	}
	to = open_memstream(&text, &size);
	if (!to) {
		control_fail(r, "out of memory");
		return;
	}
	found = find_line(line);
	if (found)
		found->tell(mon, to);
	else
		tell_what_there_is(to);
	if (fclose(to))
		control_fail(r, "out of memory");
	else
		control_reply(r, json_any_text(text));
	free(text);
}

const struct control_command monitor_hmp_commands[] = {
	{ "human-monitor-command", answer_line },
	{ NULL, NULL },
};
