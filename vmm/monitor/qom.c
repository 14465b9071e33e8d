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

/* Is @path that of the balloon? */
static bool is_balloon(const struct monitor *mon, const char *path)
{
	size_t len = sizeof(PERIPHERAL) - 1;

	return balloon_present(mon) && !strncmp(path, PERIPHERAL "/", len + 1) &&
	       !strcmp(path + len + 1, balloon_name(mon));
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

/* Is @path that of a CPU, as query-cpus-fast names it? */
static bool is_cpu(const struct monitor *mon, const char *path)
{
	char cpu[48];

	for (unsigned i = 0; i < machine_cpus(mon->m); i++) {
		snprintf(cpu, sizeof(cpu), "/machine/unattached/device[%u]", i);
		if (!strcmp(path, cpu))
			return true;
	}
	return false;
}

static void list_object(void *arg, struct control_request *r, const json_t *args)
{
	const char *path = text_of(args, "path");
	struct monitor *mon = arg;
	json_t *list;

	if (!strcmp(path, PERIPHERAL)) {
		control_reply(r, list_peripherals(mon));
	} else if (is_cpu(mon, path)) {
		list = json_array();
		add_property(list, "type", "string");
		add_property(list, "migratable", "bool");
		control_reply(r, list);
	} else if (is_balloon(mon, path)) {
		list = json_array();
		add_property(list, "type", "string");
		add_property(list, STATS, "guest statistics");
		add_property(list, INTERVAL, "int");
		control_reply(r, list);
	} else {
		fail_no_object(r, path);
	}
}

/* Answers for the balloon; false: it has no such property. */
static bool get_of_balloon(struct monitor *mon, struct control_request *r, const char *property)
{
	if (!strcmp(property, "type"))
		control_reply(r, json_string("virtio-balloon-pci"));
	else if (!strcmp(property, STATS))
		control_reply(r, balloon_guest_stats(mon));
	else if (!strcmp(property, INTERVAL))
		control_reply(r, balloon_polling_interval(mon));
	else
		return false;
	return true;
}

/*
 * Says of a CPU that it is not migratable, which libvirt asks when it was started anew: without the
 * answer it kills the guest.
 */
static void get_property(void *arg, struct control_request *r, const json_t *args)
{
	const char *path = text_of(args, "path"), *property = text_of(args, "property");
	struct monitor *mon = arg;

	if (!strcmp(path, PERIPHERAL) && !strcmp(property, "type"))
		control_reply(r, json_string("container"));
	else if (is_cpu(mon, path) && !strcmp(property, "type"))
		control_reply(r, json_string("host-x86_64-cpu"));
	else if (is_cpu(mon, path) && !strcmp(property, "migratable"))
		control_reply(r, json_false());
	else if (is_balloon(mon, path) && get_of_balloon(mon, r, property))
		return;
	else if (is_cpu(mon, path) || is_balloon(mon, path) || !strcmp(path, PERIPHERAL))
		fail_no_property(r, args);
	else
		fail_no_object(r, path);
}

/* Sets how often the balloon's statistics are asked for; there is nothing else to be set. */
static void set_property(void *arg, struct control_request *r, const json_t *args)
{
	const char *path = text_of(args, "path");
	struct monitor *mon = arg;
	struct err e;

	if (is_balloon(mon, path) && !strcmp(text_of(args, "property"), INTERVAL)) {
		if (balloon_set_polling_interval(mon, json_object_get(args, "value"), &e))
			control_fail(r, e.text);
		else
			control_reply(r, NULL);
	} else if (is_cpu(mon, path) || is_balloon(mon, path) || !strcmp(path, PERIPHERAL)) {
		fail_no_property(r, args);
	} else {
		fail_no_object(r, path);
	}
}

const struct control_command monitor_qom_commands[] = {
	{ "qom-list", list_object },
	{ "qom-get", get_property },
	{ "qom-set", set_property },
	{ NULL, NULL },
};
