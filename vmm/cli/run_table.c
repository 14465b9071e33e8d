// SPDX-License-Identifier: GPL-2.0-only
/* The options of vmm run: to add one, add it to struct guest_spec and to the table below. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/run_config.h"
#include "vmm/control/control.h"
#include "vmm/machine/layout.h"
#include "vmm/spec/spec_text.h"

int parse_size(const char *s, u64 *out)
{
	unsigned shift = 0;
	char *end;
	u64 n;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno)
		return -ERANGE;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case '\0':
		break;
	default:
		return -EINVAL;
	}
	if (shift && end[1])
		return -EINVAL;
	if (n > UINT64_MAX >> shift)
		return -ERANGE;
	*out = n << shift;
	return 0;
}

static int parse_cpus(struct guest_spec *o, const char *s, struct err *e)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*s < '0' || *s > '9' || *end || !n || n > LAYOUT_MAX_CPUS)
		return err_set(e, -EINVAL, "--cpus %s: want a number from 1 to %d", s,
			       LAYOUT_MAX_CPUS);
	o->cpus = (unsigned)n;
	return 0;
}

/* SESSION[/INSTANCE]:FILE.ko[,param=value]... */
static int parse_driver(struct guest_spec *o, const char *s, struct err *e)
{
	struct spec_driver *d = &o->drivers[o->n_drivers];
	const char *colon = strchr(s, ':');
	const char *slash = colon ? memchr(s, '/', (size_t)(colon - s)) : NULL;
	const char *session_end = slash ? slash : colon;
	const char *path, *comma;

	if (o->n_drivers == SPEC_MAX_DRIVERS)
		return err_set(e, -EINVAL, "--driver %s: at most %d drivers", s, SPEC_MAX_DRIVERS);
	if (!colon || session_end == s || (slash && slash + 1 == colon) || !colon[1] ||
	    colon[1] == ',')
		return err_set(e, -EINVAL,
			       "--driver %s: want SESSION:FILE.ko[,param=value]..., or "
			       "SESSION/INSTANCE:FILE.ko to load one file twice",
			       s);
	path = colon + 1;
	comma = strchr(path, ',');
	o->n_drivers++;
	d->session = strndup(s, (size_t)(session_end - s));
	d->instance = slash ? strndup(slash + 1, (size_t)(colon - slash - 1)) : NULL;
	d->path = comma ? strndup(path, (size_t)(comma - path)) : strdup(path);
	d->params = comma && comma[1] ? strdup(comma + 1) : NULL;
	if (!d->session || !d->path || (slash && !d->instance) || (comma && comma[1] && !d->params))
		return err_set(e, -ENOMEM, "out of memory");
	return run_options_rebase(o, &d->path, e);
}

static int parse_name(struct guest_spec *o, const char *s, struct err *e)
{
	if (!control_name_ok(s))
		return err_set(e, -EINVAL,
			       "--name %s: want up to %d letters, digits, '.', '_' and '-', not "
			       "beginning with a dot",
			       s, CONTROL_NAME_MAX);
	o->name = s;
	return 0;
}

static int parse_driver_wait(struct guest_spec *o, const char *s, struct err *e)
{
	if (*s != '/')
		return err_set(e, -EINVAL, "--driver-wait %s: want an absolute path in the guest",
			       s);
	o->driver_wait = s;
	return 0;
}

static const char *const confine_modes[] = {
	[CONFINE_ON] = "on",
	[CONFINE_OFF] = "off",
	[CONFINE_STRICT] = "strict",
};

const char *confine_mode_name(enum confine_mode mode)
{
	return confine_modes[mode];
}

int confine_mode_find(const char *name, enum confine_mode *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(confine_modes); i++) {
		if (!strcmp(name, confine_modes[i])) {
			*out = (enum confine_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_confine(struct guest_spec *o, const char *s, struct err *e)
{
	return confine_mode_find(s, &o->confine)
		       ? err_set(e, -EINVAL, "--confine %s: want on, off or strict", s)
		       : 0;
}

static int parse_firmware(struct guest_spec *o, const char *s, struct err *e)
{
	o->firmware = strcmp(s, "seabios") != 0 ? run_options_path(o, s) : s;
	return o->firmware ? 0 : err_set(e, -ENOMEM, "out of memory");
}

#define AT(member) .at = offsetof(struct guest_spec, member)

/* clang-format off */
static const struct run_option table[] = {
	{ .help = "What to boot" },
	{ "kernel", "FILE",
	  "bzImage (vmlinuz) or ELF vmlinux", AT(kernel), .path = true },
	{ "initrd", "FILE",
	  "initramfs", AT(initrd), .path = true },
	{ "append", "STRING",
	  "kernel command line; without a console= in it, console=ttyS0\n"
	  "is put before it", AT(append) },
	{ "no-kaslr", NULL,
	  "place the kernel where it was linked, with \"nokaslr\"", AT(no_kaslr) },
	{ "firmware", "seabios|FILE",
	  "start as a PC does, in a BIOS: Debian's SeaBIOS or an image of it.\n"
	  "It boots --kernel by its 16-bit entry (ipxe.lkrn, say), else the\n"
	  "first --disk", .take = parse_firmware },
	{ "firmware-log", "FILE",
	  "keep the firmware's debug messages", AT(firmware_log), .path = true },

	{ .help = "Machine" },
	{ "memory", "SIZE[,shared][,hugepages[=2M|1G]]",
	  "RAM, such as 512M or 2G (default 256M). shared: in a memfd, as a\n"
	  "vhost-user disk has it by itself; hugepages: of those that the\n"
	  "system keeps (sysctl vm.nr_hugepages)", .take = parse_memory },
	{ "cpus", "N",
	  "number of virtual CPUs (default 1)", .take = parse_cpus },
	{ "disk", "FILE[,ro][,direct][,serial=S][,queues=N][,aio=io_uring|threads]\n"
		  "vhost-user=SOCKET[,queues=N]",
	  "virtio disk on a raw image or a block device; repeatable.\n"
	  "direct: past the host's page cache; queues: one for each CPU.\n"
	  "vhost-user: another process serves it: qemu-storage-daemon, for\n"
	  "qcow2 and remote disks",
	  .repeat = true, .take = parse_disk },
	{ "net", "user[,tftp=DIR][,bootfile=F][,hostfwd=tcp:PORT-:PORT]...[,mac=M]\n"
		 "tap=NAME[,mac=M]",
	  "a network card; repeatable. user: a network without rights: DHCP,\n"
	  "DNS, the host as 10.0.2.2; hostfwd makes a port of the guest one of\n"
	  "this machine's. tap: on an existing tap interface",
	  .repeat = true, .take = parse_net },
	{ "console", "stdio|attach|pty|socket=PATH|file=PATH",
	  "a virtio console (hvc0) beside the serial port, both on this.\n"
	  "attach keeps the last 64 KiB for `vmm console`, socket for who\n"
	  "connects",
	  .take = parse_console },
	{ "port", "NAME=pty|socket=PATH|file=PATH",
	  "/dev/virtio-ports/NAME of the guest; repeatable",
	  .repeat = true, .take = parse_port },
	{ "no-rng", NULL,
	  "without the virtio entropy device", AT(no_rng) },

	{ .help = "Isolated drivers" },
	{ "policy", "FILE",
	  "sessions and their rules", AT(policy), .path = true },
	{ "driver", "SESSION[/INSTANCE]:FILE.ko[,param=value]...",
	  "load a driver into a session; repeatable, in order",
	  .repeat = true, .take = parse_driver },
	{ "driver-wait", "PATH",
	  "load the drivers when PATH exists in the guest (default: when its\n"
	  "init runs, on its own root if --append has a root=)", .take = parse_driver_wait },
	{ "record", "FILE",
	  "keep every request that the policy decided on", AT(record), .path = true },

	{ .help = "This command" },
	{ "config", "FILE",
	  "more options, as lines such as memory = \"1G\"; in FILE; see below",
	  .take = parse_config, .no_config = true },
	{ "name", "NAME",
	  "name for other vmm commands (default: guest1, guest2, ...)", .take = parse_name },
	{ "detach", NULL,
	  "run in the background (-d): return when the guest has started, and\n"
	  "print its name; its console is for `vmm console`", AT(detach) },
	{ "paused", NULL,
	  "start no CPU before `vmm resume`", AT(paused) },
	{ "no-control", NULL,
	  "without a control socket: no other vmm command reaches the guest", AT(no_control) },
	{ "no-cache", NULL,
	  "open the kernel anew, without what earlier starts prepared, and\n"
	  "prepare nothing", AT(no_cache) },
	{ "confine", "on|off|strict",
	  "before the guest starts, give up all that it does not need: rights,\n"
	  "files, network, most system calls (default on; strict: an error where\n"
	  "this host lacks a layer of it, see vmm doctor)", .take = parse_confine },
	{ "user", "NAME|UID[:GID]",
	  "whom root becomes then (default umbra, else nobody)", AT(user) },
	{ "no-reboot", NULL,
	  "end when the guest asks for a reset, with exit code 10, instead of\n"
	  "starting it anew (a guest with sessions always does)", AT(no_reboot) },
	{ "stats", NULL,
	  "print exits, start-up time and memory at the end", AT(stats) },
	{ "help", NULL,
	  "this text", AT(help), .no_config = true },
};
/* clang-format on */

const struct run_option *run_option_table(size_t *n)
{
	*n = ARRAY_SIZE(table);
	return table;
}

const struct run_option *run_option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].name && !strncmp(table[i].name, name, len) && !table[i].name[len])
			return &table[i];
	return NULL;
}

const char *run_option_suggest(const char *name)
{
	const char *names[ARRAY_SIZE(table)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].name)
			names[n++] = table[i].name;
	return suggest_of(name, names, n);
}

int run_option_take(struct guest_spec *o, const struct run_option *opt, const char *value,
		    struct err *e)
{
	void *member = (char *)o + opt->at;

	if (opt->take)
		return opt->take(o, value, e);
	if (opt->path && !*value)
		return err_set(e, -EINVAL, "--%s: no file is named", opt->name);
	if (opt->path)
		value = run_options_path(o, value);
	if (!value)
		return err_set(e, -ENOMEM, "out of memory");
	*(const char **)member = value;
	return 0;
}

void run_option_switch(struct guest_spec *o, const struct run_option *opt, bool on)
{
	*(bool *)((char *)o + opt->at) = on;
}
