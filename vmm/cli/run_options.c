// SPDX-License-Identifier: GPL-2.0-only
/* Parses the command line of vmm run by its table, and checks options against each other. */
#include "vmm/cli/run_options.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/cli_options.h"

/* Returns this program's option for a name of QEMU's or kvmtool's. */
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

/* Checks what starts the guest: a kernel directly, or a firmware, which may start one. */
static int check_boot(const struct guest_spec *spec, struct err *e)
{
	const char *direct = NULL;

	if (spec->record_size && !spec->record)
		return err_set(e, -EINVAL, "--record-size needs --record FILE");
	if (!spec->firmware) {
		if (spec->firmware_log)
			return err_set(e, -EINVAL, "--firmware-log needs --firmware");
		if (!spec->kernel)
			return err_set(e, -EINVAL,
				       "--kernel is missing; for example: vmm run --kernel "
				       "/vmlinuz --initrd /initrd.img --append console=ttyS0");
		return 0;
	}
	if (spec->policy)
		direct = "--policy";
	else if (spec->n_drivers)
		direct = "--driver";
	else if (spec->record)
		direct = "--record";
	else if (spec->driver_wait)
		direct = "--driver-wait";
	if (direct)
		return err_set(e, -EINVAL,
			       "%s and --firmware exclude each other: isolation is for direct boot "
			       "(--kernel alone), where the kernel's addresses are known",
			       direct);
	if (spec->no_kaslr)
		return err_set(e, -EINVAL, "--no-kaslr is for direct boot, without --firmware");
	if (!spec->kernel && (spec->initrd || *spec->append))
		return err_set(e, -EINVAL, "%s needs --kernel",
			       spec->initrd ? "--initrd" : "--append");
	if (!spec->kernel && !spec->n_disks)
		return err_set(e, -EINVAL,
			       "--firmware needs something to boot: --disk FILE or --kernel FILE");
	return 0;
}

/*
 * Takes an option like --no-kaslr, or --no-kaslr=false to take it back if a file of --config has
 * it.
 */
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

/* The state of a parse, for take_option(). */
struct parsing {
	struct run_options *o;
	const struct run_option *table;
};

static int take_option(void *arg, size_t i, const char *value, struct err *e)
{
	const struct parsing *p = arg;
	const struct run_option *opt = &p->table[i];

	return opt->form ? run_option_take(p->o, opt, value, e)
			 : option_take_switch(p->o, opt, value, e);
}

/* Makes the table of options as the parser wants it. Returns how many entries there are. */
static size_t parser_table(struct cli_option out[CLI_OPTIONS_MAX])
{
	size_t n;
	const struct run_option *t = run_option_table(&n);

	assert(n <= CLI_OPTIONS_MAX);
	for (size_t i = 0; i < n; i++)
		out[i] = (struct cli_option){
			.name = t[i].name,
			.letter = t[i].letter,
			.value = t[i].form ? CLI_VALUE_NEEDED : CLI_VALUE_ALLOWED,
		};
	return n;
}

static int check_background(struct run_options *o, struct err *e)
{
	if (o->spec.no_control && (o->detach || (o->spec.paused && !o->spec.control_fd)))
		return err_set(
			e, -EINVAL,
			"%s and --no-control exclude each other: nothing else could reach the "
			"guest",
			o->detach ? "--detach" : "--paused");
	if (!o->detach)
		return 0;
	if (o->spec.confine == CONFINE_MANAGED)
		return err_set(e, -EINVAL,
			       "--detach and --confine managed exclude each other: who manages the "
			       "guest keeps its process");
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
	struct cli_option options[CLI_OPTIONS_MAX];
	struct parsing p = { .o = o };
	struct cli_syntax s = {
		.command = "run",
		.options = options,
		.n = parser_table(options),
		.words_end_options = true,
		.foreign = foreign_option,
		.take = take_option,
		.arg = &p,
	};
	size_t n;
	int first, ret;

	run_options_init(o);
	p.table = run_option_table(&n);
	first = cli_options_parse(&s, argc, argv, e);
	if (first < 0 || o->help)
		return first < 0 ? first : 0;
	if (first < argc)
		return cli_options_unexpected(&s, argv[first], e);
	ret = check_background(o, e);
	if (!ret)
		ret = check_boot(&o->spec, e);
	return ret ? ret : guest_spec_check_devices(&o->spec, e);
}

void run_options_free(struct run_options *o)
{
	guest_spec_free(&o->spec);
}
