// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers QMP's questions about QEMU's tree of objects (qapi/qom.json), of which there is what
 * libvirt looks for: the devices that have names, /machine/peripheral, and the CPUs.
 */
#include <stdio.h>
#include <string.h>

#include "vmm/backend/platform.h"
#include "vmm/monitor/balloon.h"
#include "vmm/monitor/monitor_int.h"

#define PERIPHERAL "/machine/peripheral"
#define STATS	   "guest-stats"
#define INTERVAL   "guest-stats-polling-interval"

static const char *text_of(const json_t *args, const char *key)
{
	const char *text = json_string_value(json_object_get(args, key));

	return text ? text : "";
}

static void add_property(json_t *list, const char *name, const char *type)
{
	json_array_append_new(list, json_pack("{s:s, s:s}", "name", name, "type", type));
}

static void fail_no_object(struct control_request *r, const char *path)
{
	char line[160];

	snprintf(line, sizeof(line), "Device '%.100s' not found", path);
	control_fail_class(r, "DeviceNotFound", line);
}

static void fail_no_property(struct control_request *r, const json_t *args)
{
	char line[200];

	snprintf(line, sizeof(line), "Property '%.80s.%.80s' not found", text_of(args, "path"),
		 text_of(args, "property"));
	control_fail(r, line);
}

static const char *balloon_name(const struct monitor *mon)
{
	const char *id = mon->spec->balloon.dev.id;

	return *id ? id : "balloon0";
}

/* Lists the devices that are plugged in, by name. */
static json_t *list_peripherals(const struct monitor *mon)
{
	size_t n = mon->platform ? platform_disk_count(mon->platform) : 0;
	const struct guest_spec *spec = mon->spec;
	json_t *list = json_array();
	char name[SPEC_ID_MAX + 1];

	add_property(list, "type", "string");
	for (size_t i = 0; i < n; i++) {
		spec_disk_name(&spec->disks[i], i, name);
		add_property(list, name,
			     spec->disks[i].vhost_user ? "child<vhost-user-blk-pci>"
						       : "child<virtio-blk-pci>");
	}
	for (size_t i = 0; mon->platform && i < spec->n_nets; i++) {
		spec_net_name(&spec->nets[i], i, name);
		add_property(list, name, "child<virtio-net-pci>");
	}
	if (mon->platform && !spec->no_rng)
		add_property(list, *spec->rng.id ? spec->rng.id : "rng0", "child<virtio-rng-pci>");
	if (balloon_present(mon))
		add_property(list, balloon_name(mon), "child<virtio-balloon-pci>");
	for (size_t i = 0; mon->platform && i < spec->n_root_ports; i++)
		add_property(list, spec->root_ports[i].dev.id, "child<pcie-root-port>");
	for (size_t i = 0; mon->console && i < spec->n_ports; i++)
		if (*spec->ports[i].device)
			add_property(list, spec->ports[i].device, "child<virtserialport>");
	return list;
}

/* --- objects ------------------------------------------------------------------------------- */

enum object { NO_OBJECT, PERIPHERALS, CPU, BALLOON };

/* Returns what @path names; a CPU's is that of query-cpus-fast. */
static enum object find_object(const struct monitor *mon, const char *path)
{
	char name[sizeof(PERIPHERAL "/") + SPEC_ID_MAX];

	if (!strcmp(path, PERIPHERAL))
		return PERIPHERALS;
	for (unsigned i = 0; i < machine_cpus(mon->m); i++) {
		snprintf(name, sizeof(name), "/machine/unattached/device[%u]", i);
		if (!strcmp(path, name))
			return CPU;
	}
	snprintf(name, sizeof(name), PERIPHERAL "/%s", balloon_name(mon));
	return balloon_present(mon) && !strcmp(path, name) ? BALLOON : NO_OBJECT;
}

static void list_object(void *arg, struct control_request *r, const json_t *args)
{
	const char *path = text_of(args, "path");
	struct monitor *mon = arg;
	enum object o = find_object(mon, path);
	json_t *list;

	if (o == NO_OBJECT) {
		fail_no_object(r, path);
		return;
	}
	if (o == PERIPHERALS) {
		control_reply(r, list_peripherals(mon));
		return;
	}
	list = json_array();
	add_property(list, "type", "string");
	if (o == CPU) {
		add_property(list, "migratable", "bool");
	} else {
		add_property(list, STATS, "guest statistics");
		add_property(list, INTERVAL, "int");
	}
	control_reply(r, list);
}

/*
 * Says of a CPU that it is not migratable, which libvirt asks when it was started anew: without the
 * answer it kills the guest.
 */
static void get_property(void *arg, struct control_request *r, const json_t *args)
{
	static const char *const types[] = {
		[PERIPHERALS] = "container",
		[CPU] = "host-x86_64-cpu",
		[BALLOON] = "virtio-balloon-pci",
	};
	const char *path = text_of(args, "path"), *property = text_of(args, "property");
	struct monitor *mon = arg;
	enum object o = find_object(mon, path);

	if (o == NO_OBJECT)
		fail_no_object(r, path);
	else if (!strcmp(property, "type"))
		control_reply(r, json_string(types[o]));
	else if (o == CPU && !strcmp(property, "migratable"))
		control_reply(r, json_false());
	else if (o == BALLOON && !strcmp(property, STATS))
		control_reply(r, balloon_guest_stats(mon));
	else if (o == BALLOON && !strcmp(property, INTERVAL))
		control_reply(r, balloon_polling_interval(mon));
	else
		fail_no_property(r, args);
}

/* Sets how often the balloon's statistics are asked for; there is nothing else to be set. */
static void set_property(void *arg, struct control_request *r, const json_t *args)
{
	const char *path = text_of(args, "path");
	struct monitor *mon = arg;
	enum object o = find_object(mon, path);
	struct err e;

	if (o == NO_OBJECT)
		fail_no_object(r, path);
	else if (o != BALLOON || strcmp(text_of(args, "property"), INTERVAL) != 0)
		fail_no_property(r, args);
	else if (balloon_set_polling_interval(mon, json_object_get(args, "value"), &e))
		control_fail(r, e.text);
	else
		control_reply(r, NULL);
}

const struct control_command monitor_qom_commands[] = {
	{ "qom-list", list_object },
	{ "qom-get", get_property },
	{ "qom-set", set_property },
	{ NULL, NULL },
};
