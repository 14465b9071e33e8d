// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/layout.h"
#include "vmm/options_device.h"

#define DEFAULT_MEMORY (256ULL << 20)
#define MAX_MEMORY     (1ULL << 40)

enum opt {
	OPT_KERNEL = 256,
	OPT_INITRD,
	OPT_APPEND,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_DISK,
	OPT_NET,
	OPT_CONSOLE,
	OPT_PORT,
	OPT_NO_KASLR,
	OPT_STATS,
	OPT_NO_RNG,
	OPT_NAME,
	OPT_POLICY,
	OPT_DRIVER,
	OPT_RECORD,
	OPT_DRIVER_WAIT,
	OPT_FIRMWARE,
	OPT_FIRMWARE_LOG,
};

static const struct option options[] = {
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "initrd", required_argument, NULL, OPT_INITRD },
	{ "append", required_argument, NULL, OPT_APPEND },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "net", required_argument, NULL, OPT_NET },
	{ "console", required_argument, NULL, OPT_CONSOLE },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "no-kaslr", no_argument, NULL, OPT_NO_KASLR },
	{ "stats", no_argument, NULL, OPT_STATS },
	{ "no-rng", no_argument, NULL, OPT_NO_RNG },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "driver", required_argument, NULL, OPT_DRIVER },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "driver-wait", required_argument, NULL, OPT_DRIVER_WAIT },
	{ "firmware", required_argument, NULL, OPT_FIRMWARE },
	{ "firmware-log", required_argument, NULL, OPT_FIRMWARE_LOG },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

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

static int parse_memory(struct run_options *o, const char *s, struct err *e)
{
	if (parse_size(s, &o->memory))
		return err_set(e, -EINVAL, "--memory %s: want a size such as 256M or 2G", s);
	if (o->memory < LAYOUT_MEM_MIN || o->memory > MAX_MEMORY)
		return err_set(e, -EINVAL, "--memory %s: want %llu MiB to %llu GiB", s,
			       LAYOUT_MEM_MIN >> 20, MAX_MEMORY >> 30);
	o->memory = ALIGN_UP(o->memory, 4096ULL);
	return 0;
}

static int parse_cpus(struct run_options *o, const char *s, struct err *e)
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
static int parse_driver(struct run_options *o, const char *s, struct err *e)
{
	struct run_driver *d = &o->drivers[o->n_drivers];
	const char *colon = strchr(s, ':');
	const char *slash = colon ? memchr(s, '/', (size_t)(colon - s)) : NULL;
	const char *session_end = slash ? slash : colon;
	const char *path, *comma;

	if (o->n_drivers == RUN_MAX_DRIVERS)
		return err_set(e, -EINVAL, "--driver %s: at most %d drivers", s, RUN_MAX_DRIVERS);
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
	return 0;
}

static int parse_name(struct run_options *o, const char *s, struct err *e)
{
	size_t ok = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	if (!*s || s[ok] || ok > 60 || *s == '.')
		return err_set(e, -EINVAL,
			       "--name %s: want up to 60 letters, digits, '.', '_' and '-', not "
			       "beginning with a dot",
			       s);
	o->name = s;
	return 0;
}

static int unknown(const char *word, struct err *e)
{
	const char *names[ARRAY_SIZE(options)] = { NULL };
	size_t len = strcspn(word, "="), i;
	char buf[40];
	const char *near;

	for (i = 0; options[i].name; i++)
		names[i] = options[i].name;
	while (len && *word == '-') {
		word++;
		len--;
	}
	if (len >= sizeof(buf))
		len = sizeof(buf) - 1;
	memcpy(buf, word, len);
	buf[len] = '\0';
	near = suggest(buf, names);
	if (near)
		return err_set(e, -EINVAL, "unknown option \"--%s\"; did you mean --%s?", buf,
			       near);
	return err_set(e, -EINVAL, "unknown option \"--%s\"; see vmm run --help", buf);
}

static int take(struct run_options *o, int opt, struct err *e)
{
	switch (opt) {
	case OPT_KERNEL:
		o->kernel = optarg;
		return 0;
	case OPT_INITRD:
		o->initrd = optarg;
		return 0;
	case OPT_APPEND:
		o->append = optarg;
		return 0;
	case OPT_MEMORY:
		return parse_memory(o, optarg, e);
	case OPT_CPUS:
		return parse_cpus(o, optarg, e);
	case OPT_DISK:
		return parse_disk(o, optarg, e);
	case OPT_NET:
		return parse_net(o, optarg, e);
	case OPT_CONSOLE:
		return parse_console(o, optarg, e);
	case OPT_PORT:
		return parse_port(o, optarg, e);
	case OPT_NO_KASLR:
		o->no_kaslr = true;
		return 0;
	case OPT_STATS:
		o->stats = true;
		return 0;
	case OPT_NO_RNG:
		o->no_rng = true;
		return 0;
	case OPT_NAME:
		return parse_name(o, optarg, e);
	case OPT_POLICY:
		o->policy = optarg;
		return 0;
	case OPT_DRIVER:
		return parse_driver(o, optarg, e);
	case OPT_RECORD:
		o->record = optarg;
		return 0;
	case OPT_DRIVER_WAIT:
		if (*optarg != '/')
			return err_set(e, -EINVAL,
				       "--driver-wait %s: want an absolute path in the guest",
				       optarg);
		o->driver_wait = optarg;
		return 0;
	case OPT_FIRMWARE:
		o->firmware = optarg;
		return 0;
	case OPT_FIRMWARE_LOG:
		o->firmware_log = optarg;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* What starts the guest: a kernel directly, or a firmware, which may start one. */
static int check_boot(const struct run_options *o, struct err *e)
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

int run_options_parse(struct run_options *o, int argc, char **argv, struct err *e)
{
	int opt, ret = 0, before;

	memset(o, 0, sizeof(*o));
	o->append = "";
	o->memory = DEFAULT_MEMORY;
	o->cpus = 1;
	optind = 1;
	opterr = 0;
	for (before = optind; !ret; before = optind) {
		opt = getopt_long(argc, argv, "+:h", options, NULL);
		if (opt < 0)
			break;
		if (opt == ':')
			return err_set(e, -EINVAL, "%s needs a value; see vmm run --help",
				       argv[before]);
		if (opt == '?')
			return unknown(argv[before], e);
		ret = take(o, opt, e);
	}
	if (ret || o->help)
		return ret;
	if (optind < argc)
		return err_set(e, -EINVAL, "unexpected argument \"%s\"; see vmm run --help",
			       argv[optind]);
	return check_boot(o, e);
}

void run_options_free(struct run_options *o)
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
}

bool run_options_sessions(const struct run_options *o)
{
	return o->policy || o->n_drivers || o->record;
}
