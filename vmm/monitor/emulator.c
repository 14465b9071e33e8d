// SPDX-License-Identifier: GPL-2.0-only
/* Answers what libvirt asks of an emulator, from tables: machines, types, properties. */
#include "vmm/monitor/emulator.h"

#include <stdio.h>
#include <string.h>

#include "base/machine_names.h"
#include "base/types.h"
#include "vmm/control/control.h"
#include "vmm/spec/spec.h"

#define PROPERTIES_MAX 3

/* The types that libvirt looks for; of their properties those by which it decides something. */
static const struct qom_type {
	const char *name;
	/* An option that the type takes, or a promise that holds. NULL: no more of them. */
	struct property {
		const char *name, *type;
	} properties[PROPERTIES_MAX];
} types[] = {
	{ "isa-serial", { { NULL, NULL } } },
	{ "pcie-root-port", { { NULL, NULL } } },
	{ "rng-random", { { NULL, NULL } } },
	{ "virtio-balloon-pci",
	  { { "deflate-on-oom", "bool" }, { "free-page-reporting", "bool" } } },
	/* write-cache: with it a cache that writes through is refused, without it it is ignored. */
	{ "virtio-blk-pci", { { "num-queues", "uint16" }, { "write-cache", "OnOffAuto" } } },
	{ "virtio-net-pci", { { NULL, NULL } } },
	{ "virtio-rng-pci", { { NULL, NULL } } },
	{ "virtio-serial-pci", { { NULL, NULL } } },
	/*
	 * By these libvirt knows that virtio devices can be behind a pcie-root-port; there is none
	 * of them to be had.
	 */
	{ "virtio-blk-pci-transitional", { { NULL, NULL } } },
	{ "virtio-net-pci-transitional", { { NULL, NULL } } },
	{ "virtio-rng-pci-transitional", { { NULL, NULL } } },
	{ "virtconsole", { { NULL, NULL } } },
	{ "virtserialport", { { NULL, NULL } } },
	/* virt-install takes another CPU than the host's unless it finds this one. */
	{ "max-x86_64-cpu", { { "migratable", "bool" } } },
	/* There is no sleep, and no timer that could lose ticks: virt-install asks for neither. */
	{ "PIIX4_PM", { { "disable_s3", "uint8" }, { "disable_s4", "uint8" } } },
	{ "ICH9-LPC", { { "disable_s3", "uint8" }, { "disable_s4", "uint8" } } },
	{ "kvm-pit", { { "lost_tick_policy", "LostTickPolicy" } } },
	{ "none-machine", { { NULL, NULL } } },
};

static void query_version(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_reply(r, control_version());
}

/* Answers with an empty schema, which is allowed: clients then try the commands that they need. */
static void query_schema(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_reply(r, json_array());
}

static void query_kvm(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_reply(r, json_pack("{s:b, s:b}", "enabled", 1, "present", 1));
}

static void query_target(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_reply(r, json_pack("{s:s}", "arch", "x86_64"));
}

static void query_machines(void *arg, struct control_request *r, const json_t *args)
{
	json_t *list = json_array();

	(void)arg;
	(void)args;
	for (size_t i = 0; i < MACHINE_NAMES; i++) {
		json_t *m =
			json_pack("{s:s, s:s, s:i, s:b, s:b, s:b}", "name", machine_names[i].name,
				  "alias", machine_names[i].alias, "cpu-max", SPEC_MAX_CPUS,
				  "hotpluggable-cpus", 0, "numa-mem-supported", 0, "deprecated", 0);

		/* QEMU has the member for the default alone. */
		if (m && i == MACHINE_NAME_PC)
			json_object_set_new(m, "is-default", json_true());
		json_array_append_new(list, m);
	}
	control_reply(r, list);
}

/* --- types -------------------------------------------------------------------------------- */

static void list_types(void *arg, struct control_request *r, const json_t *args)
{
	json_t *list = json_array();

	(void)arg;
	(void)args;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		json_array_append_new(list, json_pack("{s:s}", "name", types[i].name));
	control_reply(r, list);
}

static const struct qom_type *find_type(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

/* Answers with the properties of @t, which may be NULL: it has none. */
static void reply_with_properties(struct control_request *r, const struct qom_type *t)
{
	json_t *list = json_array();

	for (size_t i = 0; t && i < PROPERTIES_MAX && t->properties[i].name; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "name", t->properties[i].name,
						      "type", t->properties[i].type));
	control_reply(r, list);
}

/* Returns the type that is asked for; NULL: none is, and that is answered. */
static const char *type_asked_for(struct control_request *r, const json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "typename"));

	if (!name)
		control_fail(r, "Parameter 'typename' is missing");
	return name;
}

static void list_device_properties(void *arg, struct control_request *r, const json_t *args)
{
	const char *name = type_asked_for(r, args);
	const struct qom_type *t;
	char line[128];

	(void)arg;
	if (!name)
		return;
	t = find_type(name);
	if (t) {
		reply_with_properties(r, t);
		return;
	}
	snprintf(line, sizeof(line), "Device '%.64s' not found", name);
	control_fail_class(r, "DeviceNotFound", line);
}

/*
 * Answers for a type that is not there with an empty list. QEMU would say "DeviceNotFound", but of
 * memory-backend-file, which QEMU has, libvirtd 9.0.0 dies of that (a NULL that it follows).
 */
static void list_qom_properties(void *arg, struct control_request *r, const json_t *args)
{
	const char *name = type_asked_for(r, args);

	(void)arg;
	if (name)
		reply_with_properties(r, find_type(name));
}

/* --- what there is none of ------------------------------------------------------------------ */

/* Answers with an empty list: there are no options, jobs, or ways of migration to be told of. */
static void list_none(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_reply(r, json_array());
}

/* Takes what libvirt sets at each start, events, and the switching off of what there is not. */
static void set_migration(void *arg, struct control_request *r, const json_t *args)
{
	json_t *list = json_object_get(args, "capabilities"), *one;
	char line[128];
	size_t i;

	(void)arg;
	if (!json_is_array(list)) {
		control_fail(r, "Parameter 'capabilities' is missing");
		return;
	}
	json_array_foreach(list, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "capability"));

		if (name &&
		    (!strcmp(name, "events") || json_is_false(json_object_get(one, "state"))))
			continue;
		snprintf(line, sizeof(line), "Umbra does not migrate guests; it has no '%.64s'",
			 name ? name : "?");
		control_fail(r, line);
		return;
	}
	control_reply(r, NULL);
}

static const struct control_command commands[] = {
	{ "query-version", query_version },
	{ "query-qmp-schema", query_schema },
	{ "query-kvm", query_kvm },
	{ "query-target", query_target },
	{ "query-machines", query_machines },
	{ "query-command-line-options", list_none },
	{ "qom-list-types", list_types },
	{ "device-list-properties", list_device_properties },
	{ "qom-list-properties", list_qom_properties },
	{ "query-migrate-capabilities", list_none },
	{ "migrate-set-capabilities", set_migration },
	{ "query-jobs", list_none },
	{ NULL, NULL },
};

/* What virsh shows of commands that come to nothing, by the first that libvirt sends for each. */
static const struct control_absence absences[] = {
	{ "migrate-set-parameters", "Umbra cannot save, restore or migrate a guest yet" },
	{ "migrate", "Umbra cannot save, restore or migrate a guest yet" },
	{ "migrate-incoming", "Umbra cannot save, restore or migrate a guest yet" },
	{ "blockdev-add", "Umbra cannot plug a disk into a running guest yet" },
	{ "netdev_add", "Umbra cannot plug a network card into a running guest yet" },
	{ "chardev-add", "Umbra cannot plug a port into a running guest yet" },
	{ "object-add", "Umbra cannot plug a device into a running guest yet" },
	{ "device_add", "Umbra cannot plug a device into a running guest yet" },
	{ "device_del", "Umbra cannot take a device out of a running guest yet" },
	{ "send-key", "a guest of Umbra has no keyboard; virsh console reaches its serial port" },
	{ "screendump", "a guest of Umbra has no display; virsh console reaches its serial port" },
	{ NULL, NULL },
};

int emulator_add_commands(struct control *c)
{
	control_explain(c, absences);
	return control_add(c, commands, NULL);
}
