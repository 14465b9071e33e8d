// SPDX-License-Identifier: GPL-2.0-only
/* Translates devices, with the back ends that they name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/umbra-qemu/translate_int.h"

#define FD_MAX	 1023 /* the last descriptor that vmm keeps open */
#define END_TEXT 700  /* bytes of an end of a console or port, as vmm takes it */

int take_descriptor(struct option_values *v, const char *key, u64 *fd, struct err *e)
{
	*fd = 0;
	if (!values_look(v, key))
		return err_set(e, -EINVAL, "%s: %s= is missing", v->option, key);
	if (values_number(v, key, FD_MAX, fd, e))
		return -EINVAL;
	return *fd > 2 ? 0 : values_refuse(v, key, values_look(v, key), "one above 2", e);
}

/* Finds what @d's key @key names in @g, which nothing else has, and takes both ids. */
static int find_end(struct option_values *d, const char *key, const struct option_group *g,
		    struct option_values **out, struct err *e)
{
	const char *id;
	int ret = values_need(d, key, &id, e);

	if (ret)
		return ret;
	*out = group_find(g, "id", id);
	if (!*out)
		return values_refuse(d, key, id, "the id of one that is there", e);
	if (!values_untouched(*out))
		return values_refuse(d, key, id, "one that nothing else is on", e);
	values_take(*out, "id");
	return device_check_id(*out, "id", id, e);
}

/* --- character devices ---------------------------------------------------------------------- */

/* A socket serves clients, and nobody waits for the first: QEMU does both only if it is told. */
static int need_server(struct option_values *c, struct err *e)
{
	static const char *const keys[][2] = { { "server", "on" }, { "wait", "off" } };
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys) && !ret; i++) {
		if (!values_look(c, keys[i][0]))
			return err_set(e, -EINVAL, "%s: want %s=%s (<source mode='bind'/>)",
				       c->option, keys[i][0], keys[i][1]);
		ret = values_accept(c, keys[i][0], keys[i][1], e);
	}
	return ret;
}

static int check_path(const struct option_values *c, const char *key, const char *path,
		      struct err *e)
{
	if (*path == '/' && !strchr(path, ',') && strlen(path) <= 200)
		return 0;
	return values_refuse(c, key, path, "an absolute path of up to 200 bytes without a comma",
			     e);
}

/*
 * Writes the file that @c's key @key names as vmm takes it. libvirt has opened it and passes it as
 * a set of descriptors, or has the emulator open it.
 */
static int translate_file(struct translation *t, struct option_values *c, const char *key,
			  char *text, size_t size, struct err *e)
{
	static const char sets[] = "/dev/fdset/";
	const char *word = !strcmp(key, "path") ? "file" : "log";
	struct option_values *set;
	const char *path;
	u64 fd = 0;
	int ret = values_need(c, key, &path, e);

	if (ret)
		return ret;
	if (strncmp(path, sets, sizeof(sets) - 1) != 0) {
		snprintf(text, size, "%s=%s", word, path);
		return check_path(c, key, path, e);
	}
	set = group_find(&t->fds, "set", path + sizeof(sets) - 1);
	if (!set)
		return values_refuse(c, key, path, "the set of an -add-fd", e);
	values_take(set, "set");
	values_take(set, "opaque");
	ret = take_descriptor(set, "fd", &fd, e);
	snprintf(text, size, "%s-fd=%llu", word, (unsigned long long)fd);
	return ret ? ret : values_end(set, e);
}

/* Adds the file that all output goes to as well, if there is one. */
static int add_log(struct translation *t, struct option_values *c, char *text, size_t size,
		   struct err *e)
{
	size_t len = strlen(text);
	int ret;

	if (!values_look(c, "logfile"))
		return 0;
	snprintf(text + len, size - len, ",");
	ret = translate_file(t, c, "logfile", text + len + 1, size - len - 1, e);
	return ret ? ret : values_accept(c, "logappend", "on", e);
}

/* Writes the host's end of a console or port as vmm takes it. */
static int translate_end(struct translation *t, struct option_values *c, char *text, size_t size,
			 struct err *e)
{
	const char *backend, *path = NULL;
	u64 fd = 0;
	int ret = values_need(c, "backend", &backend, e);

	if (ret)
		return ret;
	if (!strcmp(backend, "pty")) {
		snprintf(text, size, "pty");
	} else if (!strcmp(backend, "socket") && values_look(c, "fd")) {
		ret = take_descriptor(c, "fd", &fd, e);
		snprintf(text, size, "socket-fd=%llu", (unsigned long long)fd);
	} else if (!strcmp(backend, "socket")) {
		ret = values_need(c, "path", &path, e);
		snprintf(text, size, "socket=%s", path ? path : "");
	} else if (!strcmp(backend, "file")) {
		ret = translate_file(t, c, "path", text, size, e);
		if (!ret)
			ret = values_accept(c, "append", "on", e);
	} else {
		ret = values_refuse(c, "backend", backend, "pty, socket or file", e);
	}
	if (!ret && path)
		ret = check_path(c, "path", path, e);
	if (!ret && !strcmp(backend, "socket"))
		ret = need_server(c, e);
	if (!ret)
		ret = add_log(t, c, text, size, e);
	return ret ? ret : values_end(c, e);
}

/* Writes the end at the character device that @d names, with the place of all such ends. */
static int write_end(struct translation *t, struct option_values *d, char *text, size_t size,
		     struct err *e)
{
	struct device_place end = t->serial;
	struct option_values *c = NULL;
	int ret = find_end(d, "chardev", &t->chardevs, &c, e);

	if (!ret)
		ret = values_end(d, e);
	if (!ret)
		ret = translate_end(t, c, text, size, e);
	if (ret)
		return ret;
	end.id = values_look(c, "id");
	add_place(text, size, &end);
	return 0;
}

/* The serial port and the virtio console are one console in vmm, on one end. */
static int add_console(struct translation *t, struct option_values *d, const char *driver,
		       struct err *e)
{
	char text[END_TEXT];
	int ret;

	values_take(d, "id");
	if (t->console)
		return values_refuse(d, "driver", driver,
				     "one console: the serial port is /dev/hvc0, too", e);
	t->console = driver;
	ret = write_end(t, d, text, sizeof(text), e);
	return ret ? ret : words_pair(&t->out->args, "--console", e, "%s", text);
}

static int translate_serial(struct translation *t, struct option_values *d, struct err *e)
{
	int ret = values_accept(d, "index", "0", e);

	return ret ? ret : add_console(t, d, "isa-serial", e);
}

/* Checks that a port is on the one device that there is for ports. */
static int take_port_place(struct translation *t, struct option_values *d, struct err *e)
{
	const char *bus = values_take(d, "bus");
	char of[80];
	u64 nr;

	snprintf(of, sizeof(of), "%.64s.0", t->serial.id ? t->serial.id : "");
	if (bus && strcmp(bus, of) != 0)
		return values_refuse(d, "bus", bus, "that of a virtio-serial-pci", e);
	return values_number(d, "nr", 31, &nr, e);
}

static int translate_virtconsole(struct translation *t, struct option_values *d, struct err *e)
{
	int ret = take_port_place(t, d, e);

	return ret ? ret : add_console(t, d, "virtconsole", e);
}

static int translate_port(struct translation *t, struct option_values *d, struct err *e)
{
	const char *name, *id = values_take(d, "id");
	char text[END_TEXT];
	int ret = take_port_place(t, d, e);

	if (!ret)
		ret = device_check_id(d, "id", id, e);
	if (!ret)
		ret = values_need(d, "name", &name, e);
	if (ret)
		return ret;
	if (strlen(name) > 63 || strpbrk(name, ",=/"))
		return values_refuse(d, "name", name, "up to 63 letters, digits, '-', '_' and '.'",
				     e);
	ret = write_end(t, d, text, sizeof(text), e);
	return ret ? ret
		   : words_pair(&t->out->args, "--port", e, "%s=%s%s%s", name, text,
				id ? ",device=" : "", id ? id : "");
}

/* The device of console and ports; it was read first. */
static int translate_serial_bus(struct translation *t, struct option_values *d, struct err *e)
{
	(void)t;
	return values_end(d, e);
}

/* --- network and the rest ------------------------------------------------------------------- */

static int translate_net_end(struct translation *t, struct option_values *n, char *text,
			     size_t size, struct err *e)
{
	const char *type, *id = values_look(n, "id");
	u64 fd = 0;
	int ret = values_need(n, "type", &type, e);

	if (ret)
		return ret;
	if (!strcmp(type, "user")) {
		snprintf(text, size, "user");
		return values_end(n, e);
	}
	if (strcmp(type, "tap") != 0)
		return values_refuse(n, "type", type, "user or tap", e);
	ret = take_descriptor(n, "fd", &fd, e);
	snprintf(text, size, "tap-fd=%llu", (unsigned long long)fd);
	if (!ret)
		ret = values_accept(n, "vhost", "on|off", e);
	if (!ret && values_look(n, "vhostfd")) {
		ret = take_descriptor(n, "vhostfd", &fd, e);
		if (!ret)
			ret = words_add(&t->out->notes, e,
					"network %s: served by vmm itself, without vhost-net", id);
	}
	return ret ? ret : values_end(n, e);
}

static int translate_net(struct translation *t, struct option_values *d, struct err *e)
{
	const char *mac = values_take(d, "mac"), *order = values_look(d, "bootindex");
	struct option_values *n = NULL;
	struct device_place place;
	char text[300];
	u64 bootindex = 0;
	int ret = find_end(d, "netdev", &t->netdevs, &n, e);

	if (!ret)
		ret = device_place(t, d, &place, e);
	if (!ret)
		ret = values_number(d, "bootindex", UINT32_MAX, &bootindex, e);
	if (!ret && order && bootindex <= 1 && !t->kernel)
		ret = values_refuse(d, "bootindex", order, "a disk or a <kernel> to boot first", e);
	if (!ret)
		ret = values_end(d, e);
	if (!ret)
		ret = translate_net_end(t, n, text, sizeof(text), e);
	if (!ret && mac && (strlen(mac) > 17 || strchr(mac, ',')))
		ret = values_refuse(d, "mac", mac, "52:54:00:12:34:56, for example", e);
	if (ret)
		return ret;
	if (mac)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ",mac=%s", mac);
	add_place(text, sizeof(text), &place);
	return words_pair(&t->out->args, "--net", e, "%s", text);
}

/* Adds a device that is there or not, by an option that begins with @begin. */
static int add_simple(struct translation *t, struct option_values *d, const char *option,
		      const char *begin, struct err *e)
{
	struct device_place place;
	char text[200];
	int ret = device_place(t, d, &place, e);

	if (!ret)
		ret = values_end(d, e);
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "%s", begin);
	add_place(text, sizeof(text), &place);
	return words_pair(&t->out->args, option, e, "%s", text);
}

static int translate_rng(struct translation *t, struct option_values *d, struct err *e)
{
	struct option_values *o = NULL;
	int ret = find_end(d, "rng", &t->objects, &o, e);

	/* vmm's option of a second one would take the place of the first's. */
	if (!ret && t->rng)
		ret = values_refuse(d, "driver", "virtio-rng-pci", "one of them", e);
	t->rng = true;
	/* They are one source of entropy in Linux; the VMM has it by a system call. */
	if (!ret)
		ret = values_accept(o, "qom-type", "rng-random", e);
	if (!ret)
		ret = values_accept(o, "filename", "/dev/urandom|/dev/random", e);
	if (!ret)
		ret = values_end(o, e);
	return ret ? ret : add_simple(t, d, "--rng", "on", e);
}

static int translate_balloon(struct translation *t, struct option_values *d, struct err *e)
{
	const char *oom = values_look(d, "deflate-on-oom");
	const char *reporting = values_look(d, "free-page-reporting");
	char text[64];
	int ret = values_accept(d, "deflate-on-oom", "on|off", e);

	/* As with the source of entropy. */
	if (!ret && t->balloon)
		ret = values_refuse(d, "driver", "virtio-balloon-pci", "one of them", e);
	t->balloon = true;
	if (!ret)
		ret = values_accept(d, "free-page-reporting", "on|off", e);
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "on%s%s%s%s", reporting ? ",reporting=" : "",
		 reporting ? reporting : "", oom ? ",deflate-on-oom=" : "", oom ? oom : "");
	return add_simple(t, d, "--balloon", text, e);
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
static const struct device_kind {
	const char *driver;
	int (*translate)(struct translation *t, struct option_values *d, struct err *e);
} kinds[] = {
	{ "isa-serial", translate_serial },
	{ "pcie-root-port", translate_root_port },
	{ "virtconsole", translate_virtconsole },
	{ "virtio-balloon-pci", translate_balloon },
	{ "virtio-blk-pci", translate_disk },
	{ "virtio-net-pci", translate_net },
	{ "virtio-rng-pci", translate_rng },
	{ "virtio-serial-pci", translate_serial_bus },
	{ "virtserialport", translate_port },
};
/* clang-format on */

/* What to write into the domain's XML in place of a device, by the begin of its driver's name. */
static const char *instead_of(const char *driver)
{
	static const char *const known[][2] = {
		{ "usb-", "no USB: <controller type='usb' model='none'/>" },
		{ "qemu-xhci", "no USB: <controller type='usb' model='none'/>" },
		{ "nec-usb", "no USB: <controller type='usb' model='none'/>" },
		{ "piix", "no USB: <controller type='usb' model='none'/>" },
		{ "ich9-usb", "no USB: <controller type='usb' model='none'/>" },
		{ "ide-", "disks on <target bus='virtio'/>" },
		{ "scsi-", "disks on <target bus='virtio'/>" },
		{ "virtio-scsi", "disks on <target bus='virtio'/>" },
		{ "ahci", "disks on <target bus='virtio'/>" },
		{ "e1000", "interfaces of <model type='virtio'/>" },
		{ "rtl8139", "interfaces of <model type='virtio'/>" },
		{ "pcie-", "controllers of model='pcie-root-port', each for one device" },
		{ "pci-bridge", "machine='q35' and controllers of model='pcie-root-port'" },
		{ "i82801b11-bridge",
		  "controllers of model='pcie-root-port', each for one device" },
		{ "ioh3420", "controllers of model='pcie-root-port', each for one device" },
		{ "pxb", "controllers of model='pcie-root-port', each for one device" },
		{ "x3130-", "controllers of model='pcie-root-port', each for one device" },
		{ "xio3130-", "controllers of model='pcie-root-port', each for one device" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strncmp(driver, known[i][0], strlen(known[i][0])))
			return known[i][1];
	return NULL;
}

static int translate_device(struct translation *t, struct option_values *d, struct err *e)
{
	const char *driver;
	int ret = values_need(d, "driver", &driver, e);

	if (ret)
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(driver, kinds[i].driver))
			return kinds[i].translate(t, d, e);
	return values_refuse(d, "driver", driver, instead_of(driver), e);
}

/* Reads the place of the device of console and ports, which vmm takes with one of them. */
static int find_serial_bus(struct translation *t, struct err *e)
{
	for (size_t i = 0; i < t->devices.n; i++) {
		struct option_values *d = &t->devices.v[i];
		const char *driver = values_look(d, "driver");
		int ret;

		if (!driver || strcmp(driver, "virtio-serial-pci") != 0)
			continue;
		if (t->has_serial)
			return values_refuse(d, "driver", driver, "one of them", e);
		t->has_serial = true;
		ret = device_place(t, d, &t->serial, e);
		if (ret)
			return ret;
	}
	return 0;
}

/* The monitor: a socket that listens already. */
static int translate_monitor(struct translation *t, struct err *e)
{
	struct option_values *m, *c = NULL;
	u64 fd = 0;
	int ret;

	if (t->monitors.n != 1)
		return err_set(e, -EINVAL, "-mon: want one monitor, mode=control");
	m = &t->monitors.v[0];
	values_take(m, "id");
	ret = values_accept(m, "mode", "control", e);
	if (!ret)
		ret = find_end(m, "chardev", &t->chardevs, &c, e);
	if (!ret)
		ret = values_end(m, e);
	if (!ret)
		ret = values_accept(c, "backend", "socket", e);
	if (!ret)
		ret = need_server(c, e);
	if (!ret)
		ret = take_descriptor(c, "fd", &fd, e);
	if (!ret)
		ret = values_end(c, e);
	return ret ? ret
		   : words_pair(&t->out->args, "--control", e, "fd=%llu", (unsigned long long)fd);
}

static int refuse_unused_one(const struct option_values *v, struct err *e)
{
	const char *id = values_look(v, "id"), *type;

	if (!values_untouched(v))
		return values_end(v, e);
	id = id ? id : values_look(v, "node-name");
	id = id ? id : values_look(v, "set");
	type = values_look(v, "qom-type");
	if (type && strcmp(type, "rng-random") != 0)
		return values_refuse(v, "qom-type", type,
				     !strcmp(type, "iothread")
					     ? "no <iothreads>: each queue of a disk has its thread"
					     : NULL,
				     e);
	return err_set(e, -EINVAL, "%s: no device is on %.80s", v->option, id ? id : "it");
}

/* Refuses what no device has used; a secret is libvirt's own affair, and its file is not read. */
static int refuse_unused(struct translation *t, struct err *e)
{
	const struct option_group *groups[] = { &t->chardevs, &t->blockdevs, &t->netdevs,
						&t->objects, &t->fds };
	const char *type;

	for (size_t i = 0; i < t->objects.n; i++) {
		type = values_look(&t->objects.v[i], "qom-type");
		if (type && !strcmp(type, "secret"))
			values_take_all(&t->objects.v[i]);
	}
	for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
		for (size_t i = 0; i < groups[g]->n; i++)
			if (refuse_unused_one(&groups[g]->v[i], e))
				return -EINVAL;
	return 0;
}

/* Finds the index in devices of the disk that a firmware is to begin with; n: there is none. */
static int find_first_disk(struct translation *t, size_t *first, struct err *e)
{
	u64 least = UINT64_MAX, n;

	*first = t->devices.n;
	for (size_t i = 0; i < t->devices.n; i++) {
		struct option_values *d = &t->devices.v[i];
		const char *driver = values_look(d, "driver");

		if (!driver || strcmp(driver, "virtio-blk-pci") != 0)
			continue;
		n = UINT64_MAX;
		if (values_number(d, "bootindex", UINT32_MAX, &n, e))
			return -EINVAL;
		if (n < least) {
			*first = i;
			least = n;
		}
	}
	return 0;
}

int translate_devices(struct translation *t, struct err *e)
{
	size_t first = t->devices.n;
	int ret = translate_monitor(t, e);

	if (!ret && !t->kernel)
		ret = find_first_disk(t, &first, e);
	if (!ret)
		ret = find_serial_bus(t, e);
	if (!ret && first < t->devices.n)
		ret = translate_device(t, &t->devices.v[first], e);
	for (size_t i = 0; i < t->devices.n && !ret; i++)
		if (i != first)
			ret = translate_device(t, &t->devices.v[i], e);
	if (!ret)
		ret = refuse_unused(t, e);
	/* What nobody asked for is not there. */
	if (!ret && !group_find(&t->devices, "driver", "virtio-rng-pci"))
		ret = words_pair(&t->out->args, "--rng", e, "off");
	/* Its output is for nobody, and must not go to libvirt's log. */
	if (!ret && !t->console)
		ret = words_pair(&t->out->args, "--console", e, "attach");
	return ret;
}
