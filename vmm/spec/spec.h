/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options of `vmm run`, parsed and checked for form. Files are opened by who uses them.
 * All strings point into argv or are owned by the struct; guest_spec_free() releases it.
 *
 * One table (options_table.c) says of each option what it is called, what its value looks like and
 * what it does; --help, --config, the man page and completion are made from it, so that an option
 * is added by one line there. As QEMU's .hx files and systemd's gperf tables do, and unlike these
 * in plain C: it is small enough to be read and checked by the compiler.
 */
#ifndef UMBRA_VMM_SPEC_SPEC_H
#define UMBRA_VMM_SPEC_SPEC_H

#include <stdio.h>

#include "base/err.h"
#include "base/suggest.h"
#include "base/types.h"

#define SPEC_MAX_DISKS	  16
#define SPEC_MAX_DRIVERS  64
#define SPEC_MAX_NETS	  4
#define SPEC_MAX_FORWARDS 16
#define SPEC_MAX_PORTS	  6

struct spec_disk {
	char *path;
	bool readonly;
	bool direct;	 /* past the host's page cache */
	bool threads;	 /* without io_uring */
	bool vhost_user; /* path is the socket of a back end that serves the disk */
	char *serial;	 /* or NULL */
	unsigned queues; /* 0: one for each CPU */
};

/* Where a byte stream of the guest ends: stdio, attach, pty, socket=PATH, file=PATH */
struct spec_endpoint {
	enum { SPEC_STDIO, SPEC_ATTACH, SPEC_PTY, SPEC_SOCKET, SPEC_FILE } kind;
	const char *path;
};

/* --port NAME=ENDPOINT */
struct spec_port {
	char *name;
	struct spec_endpoint end;
};

/* A port of the host that leads to the guest; addresses and ports in the host's byte order. */
struct spec_forward {
	bool udp;
	u32 host_addr, guest_addr; /* guest_addr 0: the one that DHCP gives */
	u16 host_port, guest_port;
};

/* --net user[,...] or --net tap=NAME[,...] */
struct spec_net {
	const char *text; /* all of the option, borrowed */
	char *buf;	  /* owns the strings below */
	const char *tap;  /* NULL: user mode */
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
	char *params; /* "a=1,b=2", or NULL */
};

/* --confine on|off|strict, see confine.h */
enum confine_mode {
	CONFINE_ON,
	CONFINE_OFF,
	CONFINE_STRICT,
};

/* As people write it. -EINVAL: nothing is called @name. */
const char *confine_mode_name(enum confine_mode mode);
int confine_mode_find(const char *name, enum confine_mode *out);

struct guest_spec {
	const char *kernel;	  /* NULL only with a firmware */
	const char *firmware;	  /* "seabios" or a file, or NULL: direct boot */
	const char *firmware_log; /* or NULL */
	const char *initrd;	  /* or NULL */
	const char *append;	  /* "" if not given */
	const char *name;	  /* or NULL */
	u64 memory;		  /* bytes */
	bool memory_shared;	  /* in a memfd */
	u64 huge_page;		  /* bytes; 0: ordinary pages */
	unsigned cpus;
	bool no_kaslr;
	bool no_reboot;
	bool stats;
	bool no_rng;
	bool no_control;
	bool no_cache;
	const char *policy;	 /* or NULL */
	const char *record;	 /* or NULL */
	const char *driver_wait; /* load drivers when this path exists in the guest, or NULL */
	struct spec_disk disks[SPEC_MAX_DISKS];
	size_t n_disks;
	struct spec_net nets[SPEC_MAX_NETS];
	size_t n_nets;
	struct spec_endpoint console;
	bool console_given;
	bool detach;
	bool paused;
	bool virtio_console; /* --console or --port was given */
	struct spec_port ports[SPEC_MAX_PORTS];
	size_t n_ports;
	struct spec_driver drivers[SPEC_MAX_DRIVERS];
	size_t n_drivers;
	enum confine_mode confine;
	const char *user; /* whom root becomes, or NULL */
	bool help;
	/* While a file of --config is read: its directory with a '/', where its paths begin; or NULL. */
	const char *base;
	char **kept; /* strings that nothing else owns */
	size_t n_kept;
};

struct run_option {
	const char *name; /* without "--"; NULL: a heading of --help, which is @help */
	const char
		*form; /* of the value, for people, a line for each; NULL: a switch without one */
	const char *help; /* lines that end with "\n", but for the last one */
	/* Either the member of struct guest_spec, a const char * or a switch's bool, at this offset... */
	size_t at;
	/* ... or a function that takes the value, which lives as long as *o. */
	int (*take)(struct guest_spec *o, const char *value, struct err *e);
	bool repeat;	/* each one adds to the others; else the last one counts */
	bool path;	/* the member is the name of a file of the host */
	bool no_config; /* makes no sense in a file of --config */
};

/* All options, in the order of --help. */
const struct run_option *run_option_table(size_t *n);
/* The option of that name (len bytes), or NULL. */
const struct run_option *run_option_find(const char *name, size_t len);
/* The name that was probably meant, or NULL. */
const char *run_option_suggest(const char *name);
/*
 * Take @value for @opt, as "--name value" on the command line does. @value is borrowed for as long as
 * *o lives. -EINVAL, -ENOMEM with a line that begins with "--name".
 */
int run_option_take(struct guest_spec *o, const struct run_option *opt, const char *value,
		    struct err *e);
/* The same for an option without a value: given, or taken back. */
void run_option_switch(struct guest_spec *o, const struct run_option *opt, bool on);

/*
 * The file of the host that @path means: @path itself, or below o->base if it is relative. NULL: no
 * memory. Lives as long as *o.
 */
const char *run_options_path(struct guest_spec *o, const char *path);
/* The same for a string that is on the heap and its owner's. */
int run_options_rebase(const struct guest_spec *o, char **path, struct err *e);
/* Make *o the owner of @s, on the heap; returns it, or NULL (then, and if @s is NULL, it is gone). */
char *run_options_keep(struct guest_spec *o, char *s);

/* 0, or -errno with the line for the user. *o is valid (for free) in both cases. */
int run_options_parse(struct guest_spec *o, int argc, char **argv, struct err *e);
void guest_spec_free(struct guest_spec *o);
/* Does anything in @o need the session layer? */
bool guest_spec_has_sessions(const struct guest_spec *o);
/* Must other processes be able to map the guest's RAM? */
bool guest_spec_shares_memory(const struct guest_spec *o);
/* The text of vmm run --help. */
void run_options_help(FILE *to);

/* "256M", "1G", "512K", "1048576": bytes; -EINVAL, -ERANGE. */
int parse_size(const char *s, u64 *out);

#endif
