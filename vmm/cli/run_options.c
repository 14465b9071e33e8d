// SPDX-License-Identifier: GPL-2.0-only
/* Parses the command line of vmm run by getopt_long(), and checks options against each other. */
#include "vmm/cli/run_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 96

/* Our option for a name of QEMU's or kvmtool's. */
static const char *foreign_option(const char *name)
{
	static const char *const known[][2] = {
		{ "m", "memory" },	 { "mem", "memory" },	    { "ram", "memory" },
		{ "smp", "cpus" },	 { "c", "cpus" },	    { "k", "kernel" },
		{ "i", "initrd" },	 { "p", "append" },	    { "params", "append" },
		{ "cmdline", "append" }, { "drive", "disk" },	    { "hda", "disk" },
		{ "cdrom", "disk" },	 { "bios", "firmware" },    { "nic", "net" },
		{ "netdev", "net" },	 { "network", "net" },	    { "serial", "console" },
		{ "S", "paused" },	 { "daemonize", "detach" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i][0]))
			return known[i][1];
	return NULL;
}

/* @word as it was given, with its dashes and perhaps a value behind a '='. */
static int unknown_option(const char *word, struct err *e)
{
	size_t dashes = strspn(word, "-"), len = strcspn(word, "=");
	const char *near;
	char name[40];

	snprintf(name, sizeof(name), "%.*s", (int)(len - dashes), word + dashes);
	near = foreign_option(name);
	if (!near)
		near = run_option_suggest(name);
	if (near)
		return err_set(e, -EINVAL, "unknown option \"%.*s\"; did you mean --%s?", (int)len,
			       word, near);
	return err_set(e, -EINVAL, "unknown option \"%.*s\"; see vmm run --help", (int)len, word);
}

/* A guest is started by a kernel directly, or by a firmware, which may start one. */
static int check_boot(const struct guest_spec *o, struct err *e)
{
	const char *direct = NULL;

	if (!o->firmware) {
		if (o->firmware_log)
			return err_set(e, -EINVAL, "--firmware-log needs --firmware");
		if (!o->kernel)
			return err_set(e, -EINVAL,
				       "--kernel is missing; for example: vmm run --kernel "
				       "/vmlinuz --initrd /initrd.img --append console=ttyS0");
		return 0;
	}
	if (o->policy)
		direct = "--policy";
	else if (o->n_drivers)
		direct = "--driver";
	else if (o->record)
		direct = "--record";
	else if (o->driver_wait)
		direct = "--driver-wait";
	if (direct)
		return err_set(e, -EINVAL,
			       "%s and --firmware exclude each other: isolation is for direct boot "
			       "(--kernel alone), where the kernel's addresses are known",
			       direct);
	if (o->no_kaslr)
		return err_set(e, -EINVAL, "--no-kaslr is for direct boot, without --firmware");
	if (!o->kernel && (o->initrd || *o->append))
		return err_set(e, -EINVAL, "%s needs --kernel",
			       o->initrd ? "--initrd" : "--append");
	if (!o->kernel && !o->n_disks)
		return err_set(e, -EINVAL,
			       "--firmware needs something to boot: --disk FILE or --kernel FILE");
	return 0;
}

/* --no-kaslr, or --no-kaslr=false to take it back if a file of --config has it. */
static int option_take_switch(struct run_options *o, const struct run_option *opt,
			      const char *value, struct err *e)
{
	bool off = value && !strcmp(value, "false");

	if (value && !off && strcmp(value, "true") != 0)
		return err_set(e, -EINVAL, "--%s=%s: want --%s alone, or =true or =false",
			       opt->name, value, opt->name);
	run_option_switch(o, opt, !off);
	return 0;
}

/* The table as getopt_long() wants it; val is the index in it. */
static void getopt_table(struct option longs[MAX_OPTIONS + 1])
{
	size_t n, used = 0;
	const struct run_option *t = run_option_table(&n);

	for (size_t i = 0; i < n && used < MAX_OPTIONS; i++) {
		if (!t[i].name)
			continue;
		longs[used++] = (struct option){
			.name = t[i].name,
			.has_arg = t[i].form ? required_argument : optional_argument,
			.val = 256 + (int)i,
		};
	}
	longs[used] = (struct option){ 0 };
}

static int check_background(struct run_options *o, struct err *e)
{
	if (o->spec.no_control && (o->detach || o->spec.paused))
		return err_set(
			e, -EINVAL,
			"%s and --no-control exclude each other: nothing else could reach the "
			"guest",
			o->detach ? "--detach" : "--paused");
	if (!o->detach)
		return 0;
	o->spec.control_required = true;
	if (o->stats)
		return err_set(
			e, -EINVAL,
			"--detach and --stats exclude each other; `vmm info` shows exits of a "
			"guest that runs");
	if (o->spec.console_given && o->spec.console.kind == SPEC_STDIO)
		return err_set(e, -EINVAL,
			       "--detach and --console stdio exclude each other; want --console "
			       "attach, pty, socket=PATH or file=PATH");
	if (!o->spec.console_given)
		o->spec.console.kind = SPEC_ATTACH;
	return 0;
}

void run_options_init(struct run_options *o)
{
	memset(o, 0, sizeof(*o));
	guest_spec_init(&o->spec);
}

int run_options_parse(struct run_options *o, int argc, char **argv, struct err *e)
{
	struct option longs[MAX_OPTIONS + 1];
	const struct run_option *t;
	int opt, ret = 0, before;
	size_t n;

	run_options_init(o);
	getopt_table(longs);
	t = run_option_table(&n);
	optind = 0; /* from the start, also after a command line that ended in a mistake */
	opterr = 0;
	for (before = 1; !ret; before = optind) {
		opt = getopt_long(argc, argv, "+:hd", longs, NULL);
		if (opt < 0)
			break;
		if (opt == ':')
			return err_set(e, -EINVAL, "%s needs a value; see vmm run --help",
				       argv[before]);
		if (opt == '?')
			return unknown_option(argv[before], e);
		if (opt == 'h')
			o->help = true;
		else if (opt == 'd')
			o->detach = true;
		else if (!t[opt - 256].form)
			ret = option_take_switch(o, &t[opt - 256], optarg, e);
		else
			ret = run_option_take(o, &t[opt - 256], optarg, e);
	}
	if (ret || o->help)
		return ret;
	if (optind < argc)
		return err_set(e, -EINVAL, "unexpected argument \"%s\"; see vmm run --help",
			       argv[optind]);
	ret = check_background(o, e);
	return ret ? ret : check_boot(&o->spec, e);
}

void run_options_free(struct run_options *o)
{
	guest_spec_free(&o->spec);
}
