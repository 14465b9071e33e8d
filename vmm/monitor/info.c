// SPDX-License-Identifier: GPL-2.0-only
/* Answers umbra-info, which `vmm info` shows: a list of sections, to which other modules add. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "vmm/backend/console.h"
#include "vmm/backend/platform.h"
#include "vmm/machine/closer.h"
#include "vmm/machine/vmexit.h"
#include "vmm/monitor/balloon.h"
#include "vmm/monitor/monitor_int.h"

int monitor_add_info(struct monitor *mon, const char *name, monitor_info_fn *fn, void *arg)
{
	struct info_section *p;

	for (p = mon->sections; p; p = p->next)
		assert(strcmp(p->name, name) != 0);
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*mon->sections_tail = p;
	mon->sections_tail = &p->next;
	p->name = name;
	p->fn = fn;
	p->arg = arg;
	return 0;
}

void monitor_tell_held(json_t *to, const char *file, s64 ms)
{
	if (ms < MACHINE_HELD_MS)
		return;
	json_object_set_new(to, "file", json_any_text(file));
	json_object_set_new(to, "error",
			    json_string("this host's kernel holds what is done to this file"));
	json_object_set_new(to, "held-ms", json_integer((json_int_t)ms));
}

json_t *monitor_held_section(const char *file, s64 ms)
{
	json_t *one;

	if (ms < MACHINE_HELD_MS)
		return NULL;
	one = json_object();
	monitor_tell_held(one, file, ms);
	return json_pack("[o]", one);
}

/* Returns the ids of the vCPUs' threads, as the host numbers them; NULL: not all are known. */
static json_t *vcpu_threads(struct monitor *mon)
{
	json_t *list = json_array();
	bool known = true;

	for (unsigned i = 0; i < machine_cpus(mon->m); i++) {
		pid_t tid = vcpu_tid(machine_vcpu(mon->m, i));

		known &= tid != 0;
		json_array_append_new(list, json_integer(tid));
	}
	if (known)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *guest_section(void *arg)
{
	struct monitor *mon = arg;
	const struct guest_spec *spec = mon->spec;
	char uuid[SPEC_UUID_TEXT];
	json_t *section = json_pack("{s:s, s:s, s:i, s:I, s:I}", "name", mon->name, "status",
				    monitor_state_name(mon), "cpus", (int)machine_cpus(mon->m),
				    "memory", (json_int_t)machine_memory(mon->m), "uptime-ms",
				    (json_int_t)(machine_time_ns(mon->m) / 1000000));

	if (section)
		json_object_set_new(section, "vcpu-threads", vcpu_threads(mon));
	if (section && spec->smbios.uuid_given) {
		spec_uuid_text(spec->smbios.uuid, uuid);
		json_object_set_new(section, "uuid", json_string(uuid));
	}
	if (section && spec->kernel)
		json_object_set_new(section, "kernel", json_any_text(spec->kernel));
	if (section && spec->firmware)
		json_object_set_new(section, "firmware", json_any_text(spec->firmware));
	return section;
}

static json_t *balloon_section(void *arg)
{
	const struct monitor *mon = arg;
	struct balloon_state s;

	if (!balloon_look(mon, &s))
		return NULL;
	return json_pack("{s:I, s:I, s:b}", "actual-bytes", (json_int_t)s.actual, "target-bytes",
			 (json_int_t)s.target, "driver", s.driver);
}

static json_t *exits_section(void *arg)
{
	struct monitor *mon = arg;
	json_t *section = json_object();
	u64 total = 0;

	for (unsigned reason = 0; reason < VCPU_EXIT_REASONS; reason++) {
		const char *name = vmexit_name(reason);
		char number[24];
		u64 sum = 0;

		for (unsigned i = 0; i < machine_cpus(mon->m); i++)
			sum += vcpu_exits(machine_vcpu(mon->m, i), reason);
		total += sum;
		snprintf(number, sizeof(number), "reason-%u", reason);
		if (sum)
			json_object_set_new(section, name ? name : number,
					    json_integer((json_int_t)sum));
	}
	json_object_set_new(section, "total", json_integer((json_int_t)total));
	return section;
}

/* Adds what there is to tell of the process that serves a device; @who: what people call it. */
static void describe_helper(json_t *to, const struct platform_helper *process, const char *who)
{
	if (process->down)
		json_object_set_new(to, "error",
				    json_sprintf(process->gone
							 ? "%s has ended"
							 : "%s has ended, and is started again",
						 who));
	if (process->restarts)
		json_object_set_new(to, "restarts", json_integer(process->restarts));
}

static json_t *disks_section(void *arg)
{
	struct monitor *mon = arg;
	json_t *list;
	size_t n = mon->platform ? platform_disk_count(mon->platform) : 0;

	list = n ? json_array() : NULL;
	for (size_t i = 0; i < n; i++) {
		struct platform_helper dialer;
		struct platform_disk d;
		char name[SPEC_ID_MAX + 1];
		json_t *one;

		platform_disk(mon->platform, i, &d);
		spec_disk_name(d.spec, i, name);
		one = json_pack("{s:s, s:o, s:I, s:b, s:I, s:I, s:I}", "disk", name, "file",
				json_any_text(d.spec->path), "size", (json_int_t)d.size,
				"read-only", d.readonly, "read-bytes",
				(json_int_t)d.stats.of[BLK_KIND_READ].bytes, "written-bytes",
				(json_int_t)d.stats.of[BLK_KIND_WRITE].bytes, "flushes",
				(json_int_t)d.stats.of[BLK_KIND_FLUSH].done);
		if (one)
			json_object_set_new(one, "served-by",
					    json_string(d.spec->vhost_user ? "vhost-user" : "vmm"));
		if (one)
			monitor_tell_held(one, d.spec->path, d.held_ms);
		platform_dialer(mon->platform, i, &dialer);
		if (one)
			describe_helper(one, &dialer, "the process that connects to its back end");
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *nets_section(void *arg)
{
	struct monitor *mon = arg;
	json_t *list = mon->spec->n_nets ? json_array() : NULL;

	for (size_t i = 0; i < mon->spec->n_nets; i++) {
		struct platform_helper process;
		json_t *one = json_pack("{s:o}", "net", json_any_text(mon->spec->nets[i].text));

		if (mon->platform) {
			platform_net(mon->platform, i, &process);
			describe_helper(one, &process, "its process");
		}
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *console_section(void *arg)
{
	struct monitor *mon = arg;
	json_t *list = mon->console ? json_array() : NULL;
	struct console_port p;

	for (unsigned i = 0; mon->console && console_port(mon->console, i, &p); i++) {
		bool attach = !i && mon->spec->console.kind == SPEC_ATTACH;
		json_t *one = json_pack("{s:s, s:o, s:b}", "name", p.name, "where",
					json_any_text(attach ? "attach" : p.where), "open", p.open);

		if (!i)
			json_object_set_new(one, "attached",
					    json_integer(console_viewers(mon->console)));
		monitor_tell_held(one, p.file, p.held_ms);
		json_array_append_new(list, one);
	}
	return list;
}

/* What clients have passed and this host's kernel does not close. */
static json_t *clients_section(void *arg)
{
	const struct monitor *mon = arg;
	const char *what;
	s64 ms = closer_held_ms(mon->closer, &what);

	return monitor_held_section(what, ms);
}

static void query_info(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;
	json_t *all = json_object();

	(void)args;
	for (struct info_section *p = mon->sections; p; p = p->next) {
		json_t *value = p->fn(p->arg);

		if (value)
			json_object_set_new(all, p->name, value);
	}
	control_reply(r, all);
}

static const struct control_command commands[] = {
	{ "umbra-info", query_info },
	{ NULL, NULL },
};

int monitor_add_own_sections(struct monitor *mon)
{
	static const struct {
		const char *name;
		monitor_info_fn *fn;
	} sections[] = {
		{ "guest", guest_section },	{ "balloon", balloon_section },
		{ "exits", exits_section },	{ "disks", disks_section },
		{ "nets", nets_section },	{ "console", console_section },
		{ "clients", clients_section },
	};
	int ret = control_add(mon->control, commands, mon);

	for (size_t i = 0; i < ARRAY_SIZE(sections) && !ret; i++)
		ret = monitor_add_info(mon, sections[i].name, sections[i].fn, mon);
	return ret;
}
