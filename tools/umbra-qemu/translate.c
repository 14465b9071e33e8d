// SPDX-License-Identifier: GPL-2.0-only
/* Translates a command line of QEMU's by a table of its options. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/umbra-qemu/translate_int.h"

/* --- words --------------------------------------------------------------------------------- */

static int words_take(struct words *w, char *text, struct err *e)
{
	char **more = text ? realloc(w->v, (w->n + 2) * sizeof(*more)) : NULL;

	if (!more) {
		free(text);
		return err_set(e, -ENOMEM, "out of memory");
	}
	w->v = more;
	w->v[w->n++] = text;
	w->v[w->n] = NULL;
	return 0;
}

int words_add(struct words *w, struct err *e, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return words_take(w, text, e);
}

int words_pair(struct words *w, const char *option, struct err *e, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int ret = words_take(w, strdup(option), e);

	va_start(ap, fmt);
	if (ret || vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return ret ? ret : words_take(w, text, e);
}

void words_free(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct words){ NULL, 0 };
}

/* --- options that devices refer to --------------------------------------------------------- */

struct option_values *group_find(const struct option_group *g, const char *key, const char *id)
{
	for (size_t i = 0; i < g->n; i++) {
		const char *of = values_look(&g->v[i], key);

		if (of && !strcmp(of, id))
			return &g->v[i];
	}
	return NULL;
}

/* Returns the key by whose value others refer to an option of a group. */
static const char *name_key(const char *option)
{
	if (!strcmp(option, "-blockdev"))
		return "node-name";
	return !strcmp(option, "-add-fd") ? "set" : "id";
}

static int group_add(struct option_group *g, const char *option, const char *implied,
		     const char *text, struct err *e)
{
	struct option_values *more = realloc(g->v, (g->n + 1) * sizeof(*more));
	struct option_values *v;
	const char *key = name_key(option), *id;
	int ret;

	if (!more)
		return err_set(e, -ENOMEM, "out of memory");
	g->v = more;
	v = &g->v[g->n++];
	ret = values_parse(v, option, implied, text, e);
	if (ret)
		return ret;
	id = values_look(v, key);
	if (id && group_find(g, key, id) != v)
		return err_set(e, -EINVAL, "%s: %s=%.80s is given twice", option, key, id);
	return 0;
}

static void group_free(struct option_group *g)
{
	for (size_t i = 0; i < g->n; i++)
		values_free(&g->v[i]);
	free(g->v);
}

/* --- the table ----------------------------------------------------------------------------- */

/* What an option is, by which member of its row has a value. */
struct qemu_option {
	const char *name;
	take_option_fn *take; /* has a value, which this takes */
	size_t group;	      /* has a value, which is kept in this group until the end */
	const char *implied;  /* in a group */
	/* Has a value, of which these keys may have these texts: Umbra is so by itself. */
	const char *const *accepted; /* pairs, ended by NULL */
	size_t flag;		     /* has no value, and sets this */
	size_t text;		     /* has a value, to which this is set */
	const char *note;	     /* has no value, and is said */
	bool nothing;		     /* has no value, and Umbra is so by itself */
	bool repeat;
};

#define MEMBER(m) offsetof(struct translation, m)

/* What is so with Umbra, too. */
static const char *const accel[] = { "accel", "kvm", NULL };
static const char *const audio[] = { "driver", "none", "id", NULL, NULL };
static const char *const boot[] = { "strict", "on|off", "menu", "off", NULL };
static const char *const display[] = { "type", "none", NULL };
static const char *const overcommit[] = { "mem-lock", "off", "cpu-pm", "off", NULL };
static const char *const log_form[] = { "timestamp", "on|off", "guest-name", "off", NULL };
/* How fast a process ends that has given up its guest's memory. */
static const char *const run_with[] = { "async-teardown", "on|off", NULL };
static const char *const rtc[] = { "base", "utc", "driftfix", "slew|none", "clock", "host", NULL };
/* Confinement does more than these. */
static const char *const sandbox[] = {
	"enable",	   "on",   "obsolete", "deny", "elevateprivileges", "deny", "spawn", "deny",
	"resourcecontrol", "deny", NULL
};

/* clang-format off */
static const struct qemu_option table[] = {
	{ "-S", .flag = MEMBER(paused) },
	{ "-accel", .accepted = accel, .implied = "accel" },
	{ "-add-fd", .repeat = true, .group = MEMBER(fds) },
	{ "-append", .text = MEMBER(append) },
	{ "-audiodev", .repeat = true, .accepted = audio, .implied = "driver" },
	{ "-blockdev", .repeat = true, .group = MEMBER(blockdevs), .implied = "driver" },
	{ "-boot", .accepted = boot, .implied = "order" },
	{ "-chardev", .repeat = true, .group = MEMBER(chardevs), .implied = "backend" },
	{ "-cpu", .take = take_cpu_model },
	{ "-daemonize", .flag = MEMBER(daemonize) },
	{ "-device", .repeat = true, .group = MEMBER(devices), .implied = "driver" },
	{ "-display", .accepted = display, .implied = "type" },
	{ "-global", .repeat = true, .take = take_global },
	{ "-initrd", .text = MEMBER(initrd) },
	{ "-kernel", .text = MEMBER(kernel) },
	{ "-m", .take = take_memory },
	{ "-machine", .take = take_machine },
	{ "-mon", .repeat = true, .group = MEMBER(monitors), .implied = "chardev" },
	{ "-msg", .accepted = log_form },
	{ "-name", .take = take_name },
	{ "-netdev", .repeat = true, .group = MEMBER(netdevs), .implied = "type" },
	{ "-no-acpi", .note = "the guest has ACPI all the same (<features><acpi/></features>)" },
	{ "-no-hpet", .nothing = true },
	{ "-no-reboot", .flag = MEMBER(no_reboot) },
	{ "-no-shutdown", .flag = MEMBER(no_shutdown) },
	{ "-no-user-config", .nothing = true },
	{ "-nodefaults", .nothing = true },
	{ "-nographic", .nothing = true },
	{ "-object", .repeat = true, .group = MEMBER(objects), .implied = "qom-type" },
	{ "-overcommit", .accepted = overcommit },
	{ "-pidfile", .text = MEMBER(pid_file) },
	{ "-qmp", .take = take_qmp },
	{ "-rtc", .accepted = rtc },
	{ "-run-with", .accepted = run_with },
	{ "-sandbox", .accepted = sandbox, .implied = "enable" },
	{ "-smbios", .repeat = true, .take = take_smbios },
	{ "-smp", .take = take_cpus },
	{ "-umbra", .repeat = true, .take = take_umbra },
	{ "-usb", .note = "there is no USB (<controller type='usb' model='none'/>)" },
	{ "-uuid", .text = MEMBER(uuid) },
};
/* clang-format on */

/* Why some options cannot be, for who wrote the domain's XML. */
static const char *why_not(const char *option)
{
	static const char *const known[][2] = {
		{ "-incoming", "a guest cannot be restored yet" },
		{ "-drive", "want a disk with <driver type='raw'/> on <target bus='virtio'/>" },
		{ "-bios", "want -umbra firmware=FILE, by <qemu:commandline>" },
		{ "-vnc", "there is no graphics; leave <graphics> and <video> out" },
		{ "-spice", "there is no graphics; leave <graphics> and <video> out" },
		{ "-vga", "there is no graphics; leave <graphics> and <video> out" },
		{ "-usbdevice", "there is no USB" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(option, known[i][0]))
			return known[i][1];
	return "Umbra has no such option";
}

static const struct qemu_option *find_option(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

/* Checks that all of @text is accepted; a NULL of what is permits any text. */
static int accept_values(const struct qemu_option *o, const char *text, struct err *e)
{
	struct option_values v;
	int ret = values_parse(&v, o->name, o->implied, text, e);

	for (const char *const *p = o->accepted; *p && !ret; p += 2)
		ret = p[1] ? values_accept(&v, p[0], p[1], e) : (values_take(&v, p[0]), 0);
	if (!ret)
		ret = values_end(&v, e);
	values_free(&v);
	return ret;
}

static int take_option(struct translation *t, const struct qemu_option *o, const char *value,
		       struct err *e)
{
	char *at = (char *)t;

	if (o->nothing)
		return 0;
	if (o->note)
		return words_add(&t->out->notes, e, "%s: %s", o->name, o->note);
	if (o->flag)
		*(bool *)(at + o->flag) = true;
	else if (o->text)
		*(const char **)(at + o->text) = value;
	else if (o->take)
		return o->take(t, o->name, value, e);
	else if (o->accepted)
		return accept_values(o, value, e);
	else
		return group_add((void *)(at + o->group), o->name, o->implied, value, e);
	return 0;
}

/* Refuses the first of @argv, with what seems to be its value. */
static int refuse_option(int argc, char **argv, struct err *e)
{
	const char *value = argc > 1 && argv[1][0] != '-' ? argv[1] : "";

	if (*argv[0] != '-')
		return err_set(e, -EINVAL, "%.120s: a word without an option", argv[0]);
	return err_set(e, -EINVAL, "%.120s%s%.120s: %s", argv[0], *value ? " " : "", value,
		       why_not(argv[0]));
}

static int take_options(struct translation *t, int argc, char **argv, struct err *e)
{
	bool seen[ARRAY_SIZE(table)] = { false };
	int ret = 0;

	for (int i = 0; i < argc && !ret; i++) {
		const struct qemu_option *o = find_option(argv[i]);
		const char *value = NULL;

		if (!o)
			return refuse_option(argc - i, argv + i, e);
		if (seen[o - table] && !o->repeat)
			return err_set(e, -EINVAL, "%s is given twice", o->name);
		seen[o - table] = true;
		if (!o->nothing && !o->note && !o->flag) {
			if (++i == argc)
				return err_set(e, -EINVAL, "%s: its value is missing", o->name);
			value = argv[i];
		}
		ret = take_option(t, o, value, e);
	}
	return ret;
}

/* --- all of it ----------------------------------------------------------------------------- */

/* Checks a line that asks what the emulator can do, and makes one of vmm emulator-probe. */
static int translate_probe(struct translation *t, struct err *e)
{
	struct words *w = &t->out->args;
	int ret;

	if (!t->qmp || !t->pid_file || !t->daemonize)
		return err_set(e, -EINVAL,
			       "-machine none: want -qmp, -pidfile and -daemonize with "
			       "it, as libvirt gives them");
	if (t->kernel || t->devices.n || t->chardevs.n || t->blockdevs.n || t->netdevs.n ||
	    t->extra.n)
		return err_set(e, -EINVAL, "-machine none: there is no guest that could have this");
	ret = words_add(w, e, "vmm");
	if (!ret)
		ret = words_add(w, e, "emulator-probe");
	if (!ret)
		ret = words_pair(w, "--qmp", e, "%s", t->qmp);
	return ret ? ret : words_pair(w, "--pidfile", e, "%s", t->pid_file);
}

static int translate_guest(struct translation *t, struct err *e)
{
	static const char *const always[] = { "vmm", "run", "--confine", "managed",
					      "--no-control" };
	struct words *w = &t->out->args;
	int ret = 0;

	if (!t->machine)
		return err_set(e, -EINVAL, "-machine is missing");
	if (t->qmp || t->pid_file || t->daemonize)
		return err_set(e, -EINVAL, "-qmp, -pidfile and -daemonize are for -machine none");
	if (!t->kernel && (t->initrd || t->append))
		return err_set(e, -EINVAL, "%s needs -kernel", t->initrd ? "-initrd" : "-append");
	for (size_t i = 0; i < ARRAY_SIZE(always) && !ret; i++)
		ret = words_add(w, e, "%s", always[i]);
	if (!ret && t->paused)
		ret = words_add(w, e, "--paused");
	if (!ret && t->no_shutdown)
		ret = words_add(w, e, "--no-shutdown");
	if (!ret && t->no_reboot)
		ret = words_add(w, e, "--no-reboot");
	if (!ret && t->name)
		ret = words_pair(w, "--name", e, "%s", t->name);
	if (!ret && t->uuid)
		ret = words_pair(w, "--uuid", e, "%s", t->uuid);
	if (!ret && t->memory)
		ret = words_pair(w, "--memory", e, "%s", t->memory);
	if (!ret && t->cpus)
		ret = words_pair(w, "--cpus", e, "%llu", (unsigned long long)t->cpus);
	if (!ret)
		ret = words_pair(w, t->kernel ? "--kernel" : "--firmware", e, "%s",
				 t->kernel ? t->kernel : "seabios");
	if (!ret && t->initrd)
		ret = words_pair(w, "--initrd", e, "%s", t->initrd);
	if (!ret && t->append)
		ret = words_pair(w, "--append", e, "%s", t->append);
	if (!ret)
		ret = translate_devices(t, e);
	for (size_t i = 0; i < t->extra.n && !ret; i++)
		ret = words_add(w, e, "%s", t->extra.v[i]);
	return ret;
}

int translate(struct translated *out, int argc, char **argv, struct err *e)
{
	struct translation t = { .out = out };
	int ret;

	*out = (struct translated){ { NULL, 0 }, { NULL, 0 } };
	ret = take_options(&t, argc, argv, e);
	if (!ret)
		ret = t.probe ? translate_probe(&t, e) : translate_guest(&t, e);
	group_free(&t.chardevs);
	group_free(&t.monitors);
	group_free(&t.blockdevs);
	group_free(&t.netdevs);
	group_free(&t.objects);
	group_free(&t.devices);
	group_free(&t.fds);
	words_free(&t.extra);
	free(t.name);
	free(t.memory);
	free(t.qmp);
	return ret;
}

void translated_free(struct translated *t)
{
	words_free(&t->args);
	words_free(&t->notes);
}
