// SPDX-License-Identifier: GPL-2.0-only
/* Answers the questions that QEMU's tools ask of a guest, by the schema of QEMU 7.2. */
#include <stdio.h>
#include <stdlib.h>

#include "vmm/backend/console.h"
#include "vmm/monitor/monitor_int.h"

/* A thread that is told to leave the guest takes microseconds, one that begins its scheduler's. */
#define TID_LOOK_NS 500000
#define TID_LOOKS   1000

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

/* --- vCPUs --------------------------------------------------------------------------------- */

static void answer_cpus(struct monitor *mon, struct control_request *r)
{
	json_t *list = json_array();
	char path[48];

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

/* Asks the vCPUs' threads for ids that are not known yet; false: there is none. */
static bool ask_tids(struct monitor *mon)
{
	bool waits = false;

	for (unsigned i = 0; i < machine_cpus(mon->m); i++)
		waits |= vcpu_ask_tid(machine_vcpu(mon->m, i));
	return waits;
}

static void on_tid_look(void *arg, u32 expiries)
{
	struct monitor *mon = arg;
	struct cpu_queries *q = &mon->cpus;

	(void)expiries;
	if (++q->looks < TID_LOOKS && ask_tids(mon))
		return;
	loop_timer_del(machine_loop(mon->m), q->timer);
	q->timer = -1;
	for (size_t i = 0; i < q->n; i++)
		answer_cpus(mon, q->waiting[i]);
	q->n = 0;
}

/* Has the request answered when all ids are known; false: there is no memory for that. */
static bool cpus_answer_later(struct monitor *mon, struct control_request *r)
{
	struct cpu_queries *q = &mon->cpus;
	struct control_request **more = realloc(q->waiting, (q->n + 1) * sizeof(void *));

	if (more)
		q->waiting = more;
	if (more && q->timer < 0) {
		q->looks = 0;
		q->timer = loop_timer(machine_loop(mon->m), TID_LOOK_NS, TID_LOOK_NS, on_tid_look,
				      mon);
	}
	if (!more || q->timer < 0)
		return false;
	q->waiting[q->n++] = r;
	return true;
}

/* libvirt asks as soon as the control socket answers, and pins what it is told then for ever. */
static void query_cpus(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	if (!ask_tids(mon) || !cpus_answer_later(mon, r))
		answer_cpus(mon, r);
}

void monitor_query_end(struct monitor *mon)
{
	struct cpu_queries *q = &mon->cpus;

	if (q->timer >= 0)
		loop_timer_del(machine_loop(mon->m), q->timer);
	for (size_t i = 0; i < q->n; i++)
		control_fail(q->waiting[i], "the guest has ended");
	free(q->waiting);
}

/* --- character devices --------------------------------------------------------------------- */

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
