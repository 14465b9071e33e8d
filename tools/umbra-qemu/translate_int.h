/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares a translation in progress among its files: translate.c has the table of options, and
 * translate_machine.c those about machine and process; translate_devices.c and translate_disk.c
 * make options of vmm of devices and what they refer to, when all of the line has been read, with
 * translate_place.c for where they are plugged in.
 */
#ifndef UMBRA_TOOLS_TRANSLATE_INT_H
#define UMBRA_TOOLS_TRANSLATE_INT_H

#include "tools/umbra-qemu/option_values.h"
#include "tools/umbra-qemu/translate.h"

/* One of base/machine_names.h. */
struct machine_kind {
	const char *bus;   /* the first one, whose slots devices have */
	bool express;	   /* each pcie-root-port puts one more below it */
	const char *buses; /* for messages: what a device's bus may be */
};

/* Where a device is plugged in. */
struct device_place {
	const char *id;	  /* or NULL */
	u64 slot;	  /* of the first bus; 0: it is not said */
	const char *port; /* the id of the root port that it is behind, or NULL */
};

/* All options of one name. */
struct option_group {
	struct option_values *v;
	size_t n;
};

struct translation {
	struct translated *out;
	const struct machine_kind *machine; /* NULL: not given */
	bool probe;			    /* -machine none */
	bool paused, no_shutdown, no_reboot, daemonize;
	const char *kernel, *initrd, *append, *uuid, *pid_file; /* of argv, or NULL */
	char *name, *memory, *qmp;				/* or NULL */
	u64 cpus;						/* 0: not given */
	struct option_group chardevs, monitors, blockdevs, netdevs, objects, devices, fds;
	struct words extra; /* options of vmm that are given as they are; they come last */
	/* of the device that console and ports share */
	struct device_place serial;
	bool has_serial;
	const char *console; /* the device that has it already, or NULL */
	bool rng, balloon;   /* there was one already */
};

/* Adds a word, or a pair of an option and its value, by a format. -ENOMEM and a line. */
int words_add(struct words *w, struct err *e, const char *fmt, ...) __printf(3, 4);
int words_pair(struct words *w, const char *option, struct err *e, const char *fmt, ...)
	__printf(4, 5);
void words_free(struct words *w);

/* Handles one option; @value is NULL where there is none. */
typedef int take_option_fn(struct translation *t, const char *option, const char *value,
			   struct err *e);
take_option_fn take_machine, take_memory, take_cpus, take_cpu_model, take_name, take_umbra;
take_option_fn take_global, take_qmp, take_smbios;

/* Finds the option of @g with id @id ("node-name" for block devices); NULL: there is none. */
struct option_values *group_find(const struct option_group *g, const char *key, const char *id);

/* Adds the options of vmm for all that the line has. */
int translate_devices(struct translation *t, struct err *e);
/* Adds that of one disk, the device @v. */
int translate_disk(struct translation *t, struct option_values *v, struct err *e);
/* Adds that of one root port, the device @d. */
int translate_root_port(struct translation *t, struct option_values *d, struct err *e);
/* Reads where @d is plugged in; takes "bus", "addr" and "id". */
int device_place(struct translation *t, struct option_values *d, struct device_place *p,
		 struct err *e);
/* Reads the descriptor of @v's key @key. */
int take_descriptor(struct option_values *v, const char *key, u64 *fd, struct err *e);
/* Adds ",id=ID", and ",slot=N" or ",bus=PORT", to @text of @size, as far as there are such. */
void add_place(char *text, size_t size, const struct device_place *p);
/* Refuses a name that vmm would read as more than one; NULL is none. */
int device_check_id(const struct option_values *v, const char *key, const char *id, struct err *e);

#endif
