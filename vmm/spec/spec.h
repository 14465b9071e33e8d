/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Describes a guest, for all front ends: the options of `vmm run`, another front end, or a test. It
 * names files of the host, which are opened where they are used, and nothing of a command line. The
 * text forms of its members are in spec_text.h; vmm/guest/ makes a guest of it. Messages of all
 * rooms name a member as it is called here, behind "--" as it is for `vmm run` ("--disk FILE:
 * ..."); a front end with other names translates them.
 *
 *	struct guest_spec s;
 *
 *	guest_spec_init(&s);
 *	s.kernel = "/vmlinuz";
 *	ret = spec_take_disk(&s, NULL, "root.img,ro", &e);
 *	...
 *	guest_spec_free(&s);
 *
 * A const char * is borrowed, and lives as long as the spec; guest_spec_keep() makes the spec the
 * owner of such a string. A char * belongs to the spec. A spec can be changed until a guest is made
 * of it, and lives until that guest is gone.
 */
#ifndef UMBRA_VMM_SPEC_SPEC_H
#define UMBRA_VMM_SPEC_SPEC_H

#include "base/err.h"
#include "base/types.h"
#include "vmm/confine/mode.h"

/* Bounds of a guest; vmm/guest/guest.c asserts that they are the machine's. */
#define SPEC_MAX_CPUS	64
#define SPEC_MIN_MEMORY (16ULL << 20)
#define SPEC_MAX_MEMORY (1ULL << 40)

#define SPEC_MAX_DISKS	  16
#define SPEC_MAX_DRIVERS  512
#define SPEC_MAX_NETS	  4
#define SPEC_MAX_FORWARDS 16
#define SPEC_MAX_PORTS	  6

#define SPEC_ID_MAX 63
#define SPEC_FD_LAST \
	1023 /* of the descriptors that options can name; those of 0 to 2 are no such */
#define SPEC_SLOT_LAST 31 /* of PCI; slot 0 is the host bridge's */

#define SPEC_MAX_ROOT_PORTS   31
#define SPEC_FUNCTION_LAST    7
#define SPEC_CHASSIS_LAST     255
#define SPEC_PORT_NUMBER_LAST 255

/* What a device is called, and where it is plugged in; monitors show names, guests places. */
struct spec_device {
	char id[SPEC_ID_MAX + 1];  /* "": it has none of its own */
	unsigned slot;		   /* of PCI bus 0; 0: the first one that is free */
	char bus[SPEC_ID_MAX + 1]; /* the id of the root port that it is behind, or "" */
};

/*
 * --root-port id=ID,slot=S[.F][,chassis=N][,port=N]: with one of them the guest's PCI has buses
 * beyond bus 0 (devices/pci_port.h), ECAM for 32 of them (MCFG, DSDT, e820), and devices from a
 * higher address on. Nothing else changes, the host bridge neither: a kernel takes a port for PCI
 * Express by its capability, and with another bridge (Intel's MCH) a firmware would look for the
 * chips around it. A guest without one is as it was.
 */
struct spec_root_port {
	struct spec_device dev; /* has an id and a slot */
	unsigned function;
	unsigned chassis; /* 0: its number among the root ports, from 1 */
	int number;	  /* of the port; -1: 8 * slot + function */
	const char *text; /* all of the option, borrowed */
};

struct spec_disk {
	struct spec_device dev;
	char node[SPEC_ID_MAX + 1]; /* the name of its block node, or "" */
	char *path;
	bool readonly;
	bool direct; /* past the host's page cache */
	enum { SPEC_AIO_AUTO, SPEC_AIO_URING, SPEC_AIO_THREADS } aio;
	bool vhost_user; /* path is the socket of a back end that serves the disk */
	char *serial;	 /* or NULL */
	unsigned queues; /* 0: one for each CPU */
};

/*
 * Where a byte stream of the guest ends: stdio, attach, pty, socket=PATH, socket-fd=N (one that
 * listens already, of the process that starts this one), file=PATH. Its id is that
 * of the host's end; the slot is that of the device that console and ports share.
 */
struct spec_endpoint {
	struct spec_device dev;
	enum {
		SPEC_STDIO,
		SPEC_ATTACH,
		SPEC_PTY,
		SPEC_SOCKET,
		SPEC_FILE,
		SPEC_SOCKET_FD,
		SPEC_FILE_FD,
	} kind;
	const char *path; /* of SPEC_SOCKET and SPEC_FILE */
	int fd;		  /* of SPEC_SOCKET_FD and SPEC_FILE_FD, else 0 */
	/* A file that all output goes to beside it: its path, or NULL; its descriptor, or 0. */
	const char *log;
	int log_fd;
};

/* --port NAME=ENDPOINT[,device=ID] */
struct spec_port {
	char *name;
	char device[SPEC_ID_MAX + 1]; /* the name of the guest's end, or "" */
	struct spec_endpoint end;
};

/* A port of the host that leads to the guest; addresses and ports in the host's byte order. */
struct spec_forward {
	bool udp;
	u32 host_addr, guest_addr; /* guest_addr 0: the one that DHCP gives */
	u16 host_port, guest_port;
};

/* --net user[,...], --net tap=NAME[,...] or --net tap-fd=N[,...] */
struct spec_net {
	struct spec_device dev;
	const char *text; /* all of the option, borrowed */
	char *buf;	  /* owns the strings below */
	const char *tap;  /* or NULL... */
	int tap_fd;	  /* ... with a tap that the starter has opened; 0, too: user mode */
	const char *tftp, *bootfile;
	bool mac_given;
	u8 mac[6];
	struct spec_forward forwards[SPEC_MAX_FORWARDS];
	size_t n_forwards;
};

/* --driver SESSION[/INSTANCE]:FILE.ko[,param=value]... */
struct spec_driver {
	char *session;
	char *instance; /* NULL: named after the file */
	char *path;
	char *params; /* as the kernel takes them: "a=1 b=\"x y\""; or NULL */
};

/* --balloon on[,...] */
struct spec_balloon {
	struct spec_device dev;
	bool on;
	bool no_reporting;	/* free pages are not reported */
	bool no_deflate_on_oom; /* the guest does not take pages back by itself */
};

/* Texts of the SMBIOS tables, by the type that they are in. */
enum spec_smbios_text {
	SPEC_SMBIOS_BIOS_VENDOR,
	SPEC_SMBIOS_BIOS_VERSION,
	SPEC_SMBIOS_BIOS_DATE,
	SPEC_SMBIOS_SYSTEM_MANUFACTURER,
	SPEC_SMBIOS_SYSTEM_PRODUCT,
	SPEC_SMBIOS_SYSTEM_VERSION,
	SPEC_SMBIOS_SYSTEM_SERIAL,
	SPEC_SMBIOS_SYSTEM_SKU,
	SPEC_SMBIOS_SYSTEM_FAMILY,
	SPEC_SMBIOS_BOARD_MANUFACTURER,
	SPEC_SMBIOS_BOARD_PRODUCT,
	SPEC_SMBIOS_BOARD_VERSION,
	SPEC_SMBIOS_BOARD_SERIAL,
	SPEC_SMBIOS_BOARD_ASSET,
	SPEC_SMBIOS_BOARD_LOCATION,
	SPEC_SMBIOS_CHASSIS_MANUFACTURER,
	SPEC_SMBIOS_CHASSIS_VERSION,
	SPEC_SMBIOS_CHASSIS_SERIAL,
	SPEC_SMBIOS_CHASSIS_ASSET,
	SPEC_SMBIOS_CHASSIS_SKU,
	SPEC_SMBIOS_TEXTS,
};

#define SPEC_SMBIOS_TEXT_MAX 200
#define SPEC_UUID_TEXT	     37 /* bytes of a UUID as a text */

/* --uuid UUID, --smbios type=N,key=text... */
struct spec_smbios {
	bool uuid_given;
	u8 uuid[16];			     /* as it is written */
	const char *text[SPEC_SMBIOS_TEXTS]; /* NULL: not given */
};

#define SPEC_MIN_RECORD_SIZE (1ULL << 20)
#define SPEC_MAX_RECORD_KEEP 9U

struct guest_spec {
	const char *kernel;	  /* NULL only with a firmware */
	const char *firmware;	  /* "seabios" or a file, or NULL: direct boot */
	const char *firmware_log; /* or NULL */
	const char *initrd;	  /* or NULL */
	const char *append;	  /* "" if not given */
	const char *name;	  /* or NULL */
	struct spec_smbios smbios;
	u64 memory;	    /* bytes */
	bool memory_shared; /* in a memfd */
	u64 huge_page;	    /* bytes; 0: ordinary pages */
	struct spec_balloon balloon;
	unsigned cpus;
	bool no_kaslr;
	bool no_reboot;
	bool no_shutdown; /* the VMM outlives the guest's end */
	bool no_rng;
	struct spec_device rng;
	bool no_control; /* without the control socket of the guest's name */
	int control_fd;	 /* a control socket more, which listens already; 0: none */
	bool no_cache;
	bool kvm_known;		 /* does not look what a KVM in software lacks */
	const char *policy;	 /* or NULL */
	const char *record;	 /* or NULL */
	u64 record_size;	 /* bytes of each of its files; 0: one file that grows */
	unsigned record_keep;	 /* files beside it */
	const char *panic_dumps; /* a directory for a dump at a panic, or NULL */
	const char *driver_wait; /* load drivers when this path exists in the guest, or NULL */
	struct spec_root_port root_ports[SPEC_MAX_ROOT_PORTS];
	size_t n_root_ports;
	struct spec_disk disks[SPEC_MAX_DISKS];
	size_t n_disks;
	struct spec_net nets[SPEC_MAX_NETS];
	size_t n_nets;
	struct spec_endpoint console;
	bool console_given;
	bool control_required; /* a guest that nobody could reach is an error */
	bool paused;
	bool virtio_console; /* --console or --port was given */
	struct spec_port ports[SPEC_MAX_PORTS];
	size_t n_ports;
	struct spec_driver drivers[SPEC_MAX_DRIVERS];
	size_t n_drivers;
	enum confine_mode confine;
	const char *user; /* the user that root becomes, or NULL */
	char **kept;	  /* strings that nothing else owns */
	size_t n_kept;
};

/* Makes @s a guest with one CPU, 256 MiB and no kernel. */
void guest_spec_init(struct guest_spec *s);
/* Frees what @s owns, also after a text form was refused. */
void guest_spec_free(struct guest_spec *s);
/* Returns true if anything in @s needs the session layer. */
bool guest_spec_has_sessions(const struct guest_spec *s);
/* Returns true if other processes must be able to map the guest's RAM. */
bool guest_spec_shares_memory(const struct guest_spec *s);

/*
 * Checks the devices against each other: -EINVAL and a line that names two that want the same name,
 * slot or descriptor. Disks and networks without an id are "disk0", "net0", ... in their order.
 */
int guest_spec_check_devices(const struct guest_spec *s, struct err *e);
/*
 * Calls @fn for each of the starter's descriptors that @s names, as long as it returns 0; returns
 * that. @what: "--control", "--net tap-fd=5".
 */
typedef int spec_descriptor_fn(void *arg, int fd, const char *what, struct err *e);
int guest_spec_descriptors(const struct guest_spec *s, spec_descriptor_fn *fn, void *arg,
			   struct err *e);
/* Returns the slots that devices ask for, a bit each. */
u32 guest_spec_slots(const struct guest_spec *s);
/* Returns the place that the device of console and ports asks for; its id means nothing. */
const struct spec_device *guest_spec_serial(const struct guest_spec *s);
/* Returns the number of the root port that @d is behind; -1: none, so that it is on bus 0. */
int guest_spec_root_port(const struct guest_spec *s, const struct spec_device *d);
/* Copies the name of disk @i, of its block node, or of network @i: its own, or by its number. */
void spec_disk_name(const struct spec_disk *d, size_t i, char name[SPEC_ID_MAX + 1]);
void spec_disk_node(const struct spec_disk *d, size_t i, char name[SPEC_ID_MAX + 1]);
void spec_net_name(const struct spec_net *n, size_t i, char name[SPEC_ID_MAX + 1]);

/* Writes a UUID as people do, in small letters. */
void spec_uuid_text(const u8 uuid[16], char text[SPEC_UUID_TEXT]);

/*
 * Makes @s the owner of @text, on the heap; returns it. NULL: no memory, or @text is; then it is
 * freed.
 */
char *guest_spec_keep(struct guest_spec *s, char *text);

/*
 * Returns the host's file that @path means: @path itself if it is absolute or @base NULL, else
 * @base (a directory with a '/' at its end) and @path. NULL: no memory. Lives as long as @s.
 */
const char *guest_spec_path(struct guest_spec *s, const char *base, const char *path);

#endif
