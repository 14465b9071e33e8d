/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options of `vmm run`, parsed and checked for form. Files are opened by who uses them.
 * All strings point into argv or are owned by the struct; run_options_free() releases it.
 */
#ifndef UMBRA_VMM_OPTIONS_H
#define UMBRA_VMM_OPTIONS_H

#include "shadow/err.h"
#include "shadow/types.h"

#define RUN_MAX_DISKS	 16
#define RUN_MAX_DRIVERS	 64
#define RUN_MAX_NETS	 4
#define RUN_MAX_FORWARDS 16
#define RUN_MAX_PORTS	 6

struct run_disk {
	char *path;
	bool readonly;
	bool direct;	 /* past the host's page cache */
	bool threads;	 /* without io_uring */
	char *serial;	 /* or NULL */
	unsigned queues; /* 0: one for each CPU */
};

/* Where a byte stream of the guest ends: stdio, pty, socket=PATH, file=PATH */
struct run_endpoint {
	enum { RUN_STDIO, RUN_PTY, RUN_SOCKET, RUN_FILE } kind;
	const char *path;
};

/* --port NAME=ENDPOINT */
struct run_port {
	char *name;
	struct run_endpoint end;
};

/* A port of the host that leads to the guest; addresses and ports in the host's byte order. */
struct run_forward {
	bool udp;
	u32 host_addr, guest_addr; /* guest_addr 0: the one that DHCP gives */
	u16 host_port, guest_port;
};

/* --net user[,...] or --net tap=NAME[,...] */
struct run_net {
	const char *text; /* all of the option, borrowed */
	char *buf;	  /* owns the strings below */
	const char *tap;  /* NULL: user mode */
	const char *tftp, *bootfile;
	bool mac_given;
	u8 mac[6];
	struct run_forward forwards[RUN_MAX_FORWARDS];
	size_t n_forwards;
};

/* --driver SESSION[/INSTANCE]:FILE.ko[,param=value]... */
struct run_driver {
	char *session;
	char *instance; /* NULL: named after the file */
	char *path;
	char *params; /* "a=1,b=2", or NULL */
};

struct run_options {
	const char *kernel;	  /* NULL only with a firmware */
	const char *firmware;	  /* "seabios" or a file, or NULL: direct boot */
	const char *firmware_log; /* or NULL */
	const char *initrd;	  /* or NULL */
	const char *append;	  /* "" if not given */
	const char *name;	  /* or NULL */
	u64 memory;		  /* bytes */
	unsigned cpus;
	bool no_kaslr;
	bool stats;
	bool no_rng;
	const char *policy;	 /* or NULL */
	const char *record;	 /* or NULL */
	const char *driver_wait; /* load drivers when this path exists in the guest, or NULL */
	struct run_disk disks[RUN_MAX_DISKS];
	size_t n_disks;
	struct run_net nets[RUN_MAX_NETS];
	size_t n_nets;
	struct run_endpoint console;
	bool console_given;
	bool virtio_console; /* --console or --port was given */
	struct run_port ports[RUN_MAX_PORTS];
	size_t n_ports;
	struct run_driver drivers[RUN_MAX_DRIVERS];
	size_t n_drivers;
	bool help;
};

/* 0, or -EINVAL with the line for the user. *o is valid (for free) in both cases. */
int run_options_parse(struct run_options *o, int argc, char **argv, struct err *e);
void run_options_free(struct run_options *o);
/* Does anything in @o need the session layer? */
bool run_options_sessions(const struct run_options *o);

/* "256M", "1G", "512K", "1048576": bytes; -EINVAL, -ERANGE. */
int parse_size(const char *s, u64 *out);
/* The candidate that @word was probably meant to be, or NULL; @words ends with NULL. */
const char *suggest(const char *word, const char *const *words);

#endif
