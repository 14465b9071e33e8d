// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists the options of vmm run: to add one, add it to struct guest_spec (or run_options, if it is
 * the command's own) and here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "vmm/cli/activation.h"
#include "vmm/cli/run_config.h"
#include "vmm/cli/run_options.h"
#include "vmm/control/socket_dir.h"
#include "vmm/spec/spec_text.h"

static int option_take_name(struct run_options *o, const char *s, struct err *e)
{
	if (!socket_dir_name_ok(s))
		return err_set(e, -EINVAL, "--name %s: " SOCKET_DIR_NAME_WANT, s,
			       SOCKET_DIR_NAME_MAX);
	o->spec.name = s;
	return 0;
}

/* Takes fd=N, or the socket that systemd has made: the environment is the command's to read. */
static int option_take_control(struct run_options *o, const char *s, struct err *e)
{
	int fd;

	if (strcmp(s, "activation") != 0)
		return strncmp(s, "fd=", 3) != 0
			       ? err_set(e, -EINVAL, "--control %s: want fd=N or activation", s)
			       : spec_take_control(&o->spec, o->base, s, e);
	fd = activation_find("control", "--control activation", e);
	if (fd < 0)
		return fd;
	o->spec.control_fd = fd;
	return 0;
}

static int take_config(struct run_options *o, const char *path, struct err *e);

#define AT(member)   .at = offsetof(struct run_options, member)
#define SPEC(member) AT(spec.member)

/* clang-format off */
static const struct run_option table[] = {
	{ .help = "What to boot" },
	{ "kernel", "FILE",
	  "bzImage (vmlinuz) or ELF vmlinux", SPEC(kernel), .path = true },
	{ "initrd", "FILE",
	  "initramfs", SPEC(initrd), .path = true },
	{ "append", "STRING",
	  "kernel command line; without a console= in it, console=ttyS0\n"
	  "is put before it", SPEC(append) },
	{ "no-kaslr", NULL,
	  "place the kernel where it was linked, with \"nokaslr\"", SPEC(no_kaslr) },
	{ "firmware", "seabios|FILE",
	  "start as a PC does, in a BIOS: Debian's SeaBIOS or an image of it.\n"
	  "It boots --kernel by its 16-bit entry (ipxe.lkrn, say), else the\n"
	  "first --disk", .spec = spec_take_firmware },
	{ "firmware-log", "FILE",
	  "append the firmware's debug messages, up to 16 MiB", SPEC(firmware_log),
	  .path = true },

	{ .help = "Machine" },
	{ "memory", "SIZE[,shared][,hugepages[=2M|1G]]",
	  "RAM, such as 512M or 2G (default 256M). shared: in a memfd, as a\n"
	  "vhost-user disk has it by itself; hugepages: of those that the\n"
	  "system keeps (sysctl vm.nr_hugepages)", .spec = spec_take_memory },
	{ "cpus", "N",
	  "number of virtual CPUs (default 1)", .spec = spec_take_cpus },
	{ "uuid", "UUID",
	  "the guest's own, in its SMBIOS tables", .spec = spec_take_uuid },
	{ "smbios", "type=0[,vendor=S][,version=S][,date=MM/DD/YYYY]\n"
		    "type=1[,manufacturer=S][,product=S][,version=S][,serial=S][,sku=S][,family=S]\n"
		    "type=2[,manufacturer=S][,product=S][,version=S][,serial=S][,asset=S][,location=S]\n"
		    "type=3[,manufacturer=S][,version=S][,serial=S][,asset=S][,sku=S]",
	  "what the SMBIOS tables say of BIOS, system, board and chassis\n"
	  "(default Umbra), as /sys/class/dmi/id shows; ,, is a comma",
	  .repeat = true, .spec = spec_take_smbios },
	{ "disk", "FILE[,ro][,direct][,serial=S][,queues=N][,aio=auto|io_uring|threads]\n"
		  "FILE[,id=ID][,node=NODE][,slot=N][,bus=PORT]\n"
		  "vhost-user=SOCKET[,queues=N][,id=ID][,slot=N][,bus=PORT]",
	  "virtio disk on a raw image or a block device; repeatable.\n"
	  "direct: past the host's page cache; queues: one for each CPU;\n"
	  "aio: auto takes io_uring where a transfer may have to wait.\n"
	  "vhost-user: another process serves it: qemu-storage-daemon, for\n"
	  "qcow2 and remote disks. id, node: its names in QMP (default disk0,\n"
	  "node0, ...); slot: its place on PCI bus 0, 1 to 31;\n"
	  "bus: a --root-port that it is behind",
	  .repeat = true, .spec = spec_take_disk },
	{ "net", "user[,tftp=DIR][,bootfile=F][,hostfwd=tcp:PORT-:PORT]...[,mac=M][,id=ID][,slot=N][,bus=PORT]\n"
		 "tap=NAME[,mac=M][,id=ID][,slot=N][,bus=PORT]\n"
		 "tap-fd=N[,mac=M][,id=ID][,slot=N][,bus=PORT]",
	  "a network card; repeatable. user: a network without rights: DHCP,\n"
	  "DNS, the host as 10.0.2.2; hostfwd makes a port of the guest one of\n"
	  "this machine's. tap: on an existing tap interface; tap-fd: on one\n"
	  "that the process which starts this one has opened as descriptor N",
	  .repeat = true, .spec = spec_take_net },
	{ "root-port", "id=ID,slot=S[.F][,chassis=N][,port=N]",
	  "a PCI Express root port, behind which bus=ID puts one device,\n"
	  "as libvirt's machine q35 has it; repeatable. chassis, port: numbers\n"
	  "that the guest shows", .repeat = true, .spec = spec_take_root_port },
	{ "console",
	  "stdio|attach|pty|socket=PATH|socket-fd=N|file=PATH|file-fd=N[,log=PATH][,log-fd=N][,id=ID]"
	  "[,slot=N][,bus=PORT]",
	  "a virtio console (hvc0) beside the serial port, both on this.\n"
	  "attach keeps the last 64 KiB for `vmm console`, socket for who\n"
	  "connects; socket-fd listens already as descriptor N of the starter;\n"
	  "file is appended to, up to 256 MiB; file-fd is open already, as\n"
	  "descriptor N. log: a file that all output goes to, too. id: its name\n"
	  "in QMP; slot: the PCI slot of the device that console and ports share",
	  .spec = spec_take_console },
	{ "port",
	  "NAME=pty|socket=PATH|socket-fd=N|file=PATH|file-fd=N[,log=PATH][,log-fd=N][,id=ID]"
	  "[,device=ID][,slot=N][,bus=PORT]",
	  "/dev/virtio-ports/NAME of the guest; repeatable. device: its name in\n"
	  "the event VSERPORT_CHANGE, when the guest opens or closes it",
	  .repeat = true, .spec = spec_take_port },
	{ "rng", "on[,id=ID][,slot=N][,bus=PORT]|off",
	  "the virtio entropy device (default on)", .spec = spec_take_rng },
	{ "no-rng", NULL,
	  "without the virtio entropy device", SPEC(no_rng) },
	{ "balloon", "on|off[,reporting=on|off][,deflate-on-oom=on|off][,id=ID][,slot=N][,bus=PORT]",
	  "a virtio memory balloon (default off): `vmm memory` then asks the\n"
	  "guest for memory. reporting (on): what the guest frees goes back to\n"
	  "this host by itself; deflate-on-oom (on): a guest that runs short\n"
	  "takes back what it gave. With hugepages the host keeps the memory",
	  .spec = spec_take_balloon },

	{ .help = "Isolated drivers" },
	{ "policy", "FILE",
	  "sessions and their rules", SPEC(policy), .path = true },
	{ "driver", "SESSION[/INSTANCE]:FILE.ko[,param=value]...",
	  "load a driver into a session; repeatable, in order. Parameters as\n"
	  "for insmod: 'a:x.ko,p=1,q=2', or word for word: 'a:x.ko p=1 q=\"x y\"'",
	  .repeat = true, .spec = spec_take_driver },
	{ "driver-wait", "PATH",
	  "load the drivers when PATH exists in the guest (default: when its\n"
	  "init runs, on its own root if --append has a root=)", .spec = spec_take_driver_wait },
	{ "record", "FILE",
	  "keep every request that the policy decided on", SPEC(record), .path = true },
	{ "record-size", "SIZE[,keep=N]",
	  "write at most SIZE of the record into FILE, then into FILE.1 to FILE.N\n"
	  "(1), then into the oldest again; `vmm record FILE*` reads them",
	  .spec = spec_take_record_size },

	{ .help = "This command" },
	{ "config", "FILE",
	  "more options, as lines such as memory = \"1G\"; in FILE; see below",
	  .take = take_config, .no_config = true },
	{ "name", "NAME",
	  "name for other vmm commands (default: guest1, guest2, ...)", .take = option_take_name },
	{ "detach", NULL,
	  "run in the background (-d): return when the guest has started, and\n"
	  "print its name; its console is for `vmm console`", AT(detach), .letter = 'd' },
	{ "dump-on-panic", "DIR",
	  "when the guest's kernel panics, write its memory to a new file in\n"
	  "DIR, as vmm dump does. The file, NAME-TIME.core, is made at the\n"
	  "start, and removed at the end if it is empty (with --confine managed\n"
	  "by a small process that waits for it)", SPEC(panic_dumps), .path = true },
	{ "paused", NULL,
	  "start no CPU before `vmm resume`", SPEC(paused) },
	{ "control", "fd=N|activation",
	  "one more control socket, which listens already: descriptor N of the\n"
	  "process that starts this one, or systemd's for a socket unit (of\n"
	  "several, that with FileDescriptorName=control). Its file stays",
	  .take = option_take_control },
	{ "no-control", NULL,
	  "without a control socket of the guest's name: no other vmm command\n"
	  "reaches the guest", SPEC(no_control) },
	{ "no-cache", NULL,
	  "open the kernel anew, without what earlier starts prepared, and\n"
	  "prepare nothing", SPEC(no_cache) },
	{ "confine", "on|off|strict|managed",
	  "before the guest starts, give up all that it does not need: rights,\n"
	  "files, network, most system calls (default on; strict: an error where\n"
	  "this host lacks a layer of it, see vmm doctor; managed: this process is\n"
	  "the guest's, for a manager such as libvirt or systemd)", .spec = spec_take_confine },
	{ "user", "NAME|UID[:GID]",
	  "whom root becomes then (default umbra, else nobody)", SPEC(user) },
	{ "no-reboot", NULL,
	  "end when the guest asks for a reset, with exit code 10, instead of\n"
	  "starting it anew, with its drivers", SPEC(no_reboot) },
	{ "no-shutdown", NULL,
	  "stay when the guest ends by itself (off, panicked, halted), shown as\n"
	  "shutdown or guest-panicked, until `vmm reset` starts it anew or\n"
	  "`vmm stop` ends the command too", SPEC(no_shutdown) },
	{ "stats", NULL,
	  "print exits, start-up time and memory at the end", AT(stats) },
	{ "help", NULL,
	  "this text", AT(help), .no_config = true, .letter = 'h' },
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

int run_option_take(struct run_options *o, const struct run_option *opt, const char *value,
		    struct err *e)
{
	void *member = (char *)o + opt->at;

	if (opt->take)
		return opt->take(o, value, e);
	if (opt->spec)
		return opt->spec(&o->spec, o->base, value, e);
	if (opt->path && !*value)
		return err_set(e, -EINVAL, "--%s: no file is named", opt->name);
	if (opt->path)
		value = guest_spec_path(&o->spec, o->base, value);
	if (!value)
		return err_set(e, -ENOMEM, "out of memory");
	*(const char **)member = value;
	return 0;
}

void run_option_switch(struct run_options *o, const struct run_option *opt, bool on)
{
	*(bool *)((char *)o + opt->at) = on;
}

/* --- a file's keys are the names of options --------------------------------------------------- */

static enum config_form config_key_form(void *arg, const char *key)
{
	const struct run_option *opt = run_option_find(key, strlen(key));

	(void)arg;
	if (!opt)
		return CONFIG_UNKNOWN;
	if (opt->no_config)
		return CONFIG_FOREIGN;
	if (!opt->form)
		return CONFIG_SWITCH;
	return opt->repeat ? CONFIG_LIST : CONFIG_VALUE;
}

static const char *key_suggest(void *arg, const char *key)
{
	(void)arg;
	return run_option_suggest(key);
}

static int config_key_value(void *arg, const char *base, const char *key, const char *value,
			    struct err *e)
{
	struct run_options *o = arg;
	const char *outer = o->base, *kept = guest_spec_keep(&o->spec, strdup(value));
	int ret;

	if (!kept)
		return err_set(e, -ENOMEM, "out of memory");
	o->base = base;
	ret = run_option_take(o, run_option_find(key, strlen(key)), kept, e);
	o->base = outer;
	return ret;
}

static void config_key_set(void *arg, const char *key, bool on)
{
	run_option_switch(arg, run_option_find(key, strlen(key)), on);
}

static struct config_taker config_taker_of(struct run_options *o)
{
	return (struct config_taker){
		.form = config_key_form,
		.suggest = key_suggest,
		.value = config_key_value,
		.set = config_key_set,
		.arg = o,
	};
}

static int take_config(struct run_options *o, const char *path, struct err *e)
{
	const struct config_taker t = config_taker_of(o);

	return run_config_read(&t, path, e);
}

int run_options_config_text(struct run_options *o, const char *label, const char *base,
			    const char *text, struct err *e)
{
	const struct config_taker t = config_taker_of(o);

	return run_config_read_text(&t, label, base, text, e);
}
