// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/spec/spec.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MEMORY (256ULL << 20)
#define MAX_OPTIONS    96

char *run_options_keep(struct guest_spec *o, char *s)
{
	char **more = s ? realloc(o->kept, (o->n_kept + 1) * sizeof(*more)) : NULL;

	if (!more) {
		free(s);
		return NULL;
	}
	o->kept = more;
	o->kept[o->n_kept++] = s;
	return s;
}

/* @path below o->base, on the heap, or NULL. */
static char *below_base(const struct guest_spec *o, const char *path)
{
	char *joined;

	return asprintf(&joined, "%s%s", o->base, path) < 0 ? NULL : joined;
}

const char *run_options_path(struct guest_spec *o, const char *path)
{
	if (!o->base || *path == '/')
		return path;
	return run_options_keep(o, below_base(o, path));
}

int run_options_rebase(const struct guest_spec *o, char **path, struct err *e)
{
	char *joined;

	if (!o->base || **path == '/')
		return 0;
	joined = below_base(o, *path);
	if (!joined)
		return err_set(e, -ENOMEM, "out of memory");
	free(*path);
	*path = joined;
	return 0;
}

static int unknown(const char *word, struct err *e)
{
	size_t len;
	char buf[40];
	const char *near;

	while (*word == '-')
		word++;
	len = strcspn(word, "=");
	if (len >= sizeof(buf))
		len = sizeof(buf) - 1;
	memcpy(buf, word, len);
	buf[len] = '\0';
	near = run_option_suggest(buf);
	if (near)
		return err_set(e, -EINVAL, "unknown option \"--%s\"; did you mean --%s?", buf,
			       near);
	return err_set(e, -EINVAL, "unknown option \"--%s\"; see vmm run --help", buf);
}

/* What starts the guest: a kernel directly, or a firmware, which may start one. */
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
static int take_switch(struct guest_spec *o, const struct run_option *opt, const char *value,
		       struct err *e)
{
	bool off = value && !strcmp(value, "false");

	if (value && !off && strcmp(value, "true") != 0)
		return err_set(e, -EINVAL, "--%s=%s: want --%s alone, or =true or =false",
			       opt->name, value, opt->name);
	run_option_switch(o, opt, !off);
	return 0;
}

/* What getopt_long() wants to know of the table; val is the index in it. */
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

static int check_background(struct guest_spec *o, struct err *e)
{
	if (o->no_control && (o->detach || o->paused))
		return err_set(
			e, -EINVAL,
			"%s and --no-control exclude each other: nothing else could reach the "
			"guest",
			o->detach ? "--detach" : "--paused");
	if (!o->detach)
		return 0;
	if (o->stats)
		return err_set(
			e, -EINVAL,
			"--detach and --stats exclude each other; `vmm info` shows exits of a "
			"guest that runs");
	if (o->console_given && o->console.kind == SPEC_STDIO)
		return err_set(e, -EINVAL,
			       "--detach and --console stdio exclude each other; want --console "
			       "attach, pty, socket=PATH or file=PATH");
	if (!o->console_given)
		o->console.kind = SPEC_ATTACH;
	return 0;
}

int run_options_parse(struct guest_spec *o, int argc, char **argv, struct err *e)
{
	struct option longs[MAX_OPTIONS + 1];
	const struct run_option *t;
	int opt, ret = 0, before;
	size_t n;

	memset(o, 0, sizeof(*o));
	o->append = "";
	o->memory = DEFAULT_MEMORY;
	o->cpus = 1;
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
			return unknown(argv[before], e);
		if (opt == 'h')
			o->help = true;
		else if (opt == 'd')
			o->detach = true;
		else if (!t[opt - 256].form)
			ret = take_switch(o, &t[opt - 256], optarg, e);
		else
			ret = run_option_take(o, &t[opt - 256], optarg, e);
	}
	if (ret || o->help)
		return ret;
	if (optind < argc)
		return err_set(e, -EINVAL, "unexpected argument \"%s\"; see vmm run --help",
			       argv[optind]);
	ret = check_background(o, e);
	return ret ? ret : check_boot(o, e);
}

void guest_spec_free(struct guest_spec *o)
{
	for (size_t i = 0; i < o->n_disks; i++) {
		free(o->disks[i].path);
		free(o->disks[i].serial);
	}
	for (size_t i = 0; i < o->n_nets; i++)
		free(o->nets[i].buf);
	for (size_t i = 0; i < o->n_ports; i++)
		free(o->ports[i].name);
	for (size_t i = 0; i < o->n_drivers; i++) {
		free(o->drivers[i].session);
		free(o->drivers[i].instance);
		free(o->drivers[i].path);
		free(o->drivers[i].params);
	}
	for (size_t i = 0; i < o->n_kept; i++)
		free(o->kept[i]);
	free(o->kept);
}

bool guest_spec_has_sessions(const struct guest_spec *o)
{
	return o->policy || o->n_drivers || o->record;
}

bool guest_spec_shares_memory(const struct guest_spec *o)
{
	bool vhost_user = false;

	for (size_t i = 0; i < o->n_disks; i++)
		vhost_user |= o->disks[i].vhost_user;
	return vhost_user || o->memory_shared;
}
