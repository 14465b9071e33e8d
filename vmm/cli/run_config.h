/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmm run --config FILE: reads options from a file, in the syntax of the policy (libconfig).
 *
 *	kernel = "vmlinuz";
 *	memory = "1G";
 *	cpus = 2;
 *	disk = ( "root.img", "data.img,ro" );
 *	no-kaslr = true;
 *
 * A key is the name of an option, its value the text that would stand behind it: a string, or a
 * number where digits would do; a switch is true or false. An option that may be repeated takes a
 * list as well.
 *
 * The file stands for its options at the place of --config in the command line, so a later option
 * wins, and options that may be repeated add up: with two disks in the file, a --disk behind it is
 * the third. (ssh and podman let lists add up as well; a list that replaced another one would make
 * "--config base.conf --disk extra.img" lose the base's disks.) false takes a switch back that was
 * given before, as --no-kaslr=false does on the command line.
 *
 * Relative paths of host files lead from the directory of FILE, not from where vmm was started: a
 * directory with a guest and its file can be moved, and started from anywhere. If FILE is no
 * regular file (a pipe), they lead from the working directory.
 */
#ifndef UMBRA_VMM_CLI_RUN_CONFIG_H
#define UMBRA_VMM_CLI_RUN_CONFIG_H

#include "base/err.h"
#include "base/types.h"

enum config_form {
	CONFIG_UNKNOWN, /* there is no such key */
	CONFIG_FOREIGN, /* an option, but not for a file */
	CONFIG_SWITCH,	/* true or false */
	CONFIG_VALUE,
	CONFIG_LIST, /* a value, or a list of them */
};

/* The owner of the keys: tells their forms and takes their values. */
struct config_taker {
	enum config_form (*form)(void *arg, const char *key);
	/* Returns the key that was probably meant, or NULL. */
	const char *(*suggest)(void *arg, const char *key);
	/*
	 * Takes @value, which is gone afterwards, as is @base, the directory where its paths begin
	 * (NULL: the working directory). -errno with a line that begins with "--KEY".
	 */
	int (*value)(void *arg, const char *base, const char *key, const char *value,
		     struct err *e);
	void (*set)(void *arg, const char *key, bool on);
	void *arg;
};

/* Hands all settings of the file to @t, in their order; -EINVAL and so on with "FILE:LINE: ..." */
int run_config_read(const struct config_taker *t, const char *path, struct err *e);
/* Does the same for a text. */
int run_config_read_text(const struct config_taker *t, const char *label, const char *base,
			 const char *text, struct err *e);

#endif
