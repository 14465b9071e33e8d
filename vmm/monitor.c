// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/control.h"
#include "vmm/exit.h"

#define GUESTS_MAX 10000

struct part {
	struct part *next;
	const char *name;
	monitor_info_fn *fn;
	void *arg;
};

struct monitor {
	struct machine *m;
	const struct run_options *o;
	struct control *control;
	char *name;
	struct part *parts, **parts_tail;
};

static void query_status(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_reply(r, json_pack("{s:b, s:s, s:b}", "running", 1, "status", "running",
				   "singlestep", 0));
}

static void query_name(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	control_reply(r, json_pack("{s:s}", "name", mon->name));
}

static void quit(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	control_reply(r, NULL);
	machine_exit(mon->m, VMM_EXIT_SIGNAL + 15, "ended by the control socket");
}

static void info(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;
	json_t *all = json_object();

	(void)args;
	for (struct part *p = mon->parts; p; p = p->next) {
		json_t *value = p->fn(p->arg);

		if (value)
			json_object_set_new(all, p->name, value);
	}
	control_reply(r, all);
}

static const struct control_command commands[] = {
	{ "query-status", query_status },
	{ "query-name", query_name },
	{ "quit", quit },
	{ "umbra-info", info },
	{ NULL, NULL },
};

static json_t *guest_info(void *arg)
{
	struct monitor *mon = arg;

	return json_pack("{s:s, s:i, s:i, s:I, s:I}", "name", mon->name, "pid", getpid(), "cpus",
			 (int)machine_cpus(mon->m), "memory", (json_int_t)machine_memory(mon->m),
			 "uptime-ms", (json_int_t)(machine_time_ns(mon->m) / 1000000));
}

int monitor_add_info(struct monitor *mon, const char *name, monitor_info_fn *fn, void *arg)
{
	struct part *p;

	for (p = mon->parts; p && strcmp(p->name, name) != 0; p = p->next)
		;
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		*mon->parts_tail = p;
		mon->parts_tail = &p->next;
	}
	p->name = name;
	p->fn = fn;
	p->arg = arg;
	return 0;
}

static int listen_as(struct monitor *mon, const char *name, struct err *e)
{
	char *path = NULL;
	int ret = control_path(&path, name, true, e);

	if (!ret)
		ret = control_create(&mon->control, machine_loop(mon->m), path, e);
	free(path);
	if (ret)
		return ret;
	mon->name = strdup(name);
	return mon->name ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int listen_somewhere(struct monitor *mon, struct err *e)
{
	char name[32];
	int ret = -EADDRINUSE;

	for (unsigned i = 1; i <= GUESTS_MAX && ret == -EADDRINUSE; i++) {
		snprintf(name, sizeof(name), "guest%u", i);
		ret = listen_as(mon, name, e);
	}
	return ret;
}

static int start(struct monitor *mon, struct err *warning, struct err *e)
{
	int ret;

	if (mon->o->no_control) {
		mon->name = mon->o->name ? strdup(mon->o->name) : NULL;
		return mon->o->name && !mon->name ? -ENOMEM : 0;
	}
	ret = mon->o->name ? listen_as(mon, mon->o->name, e) : listen_somewhere(mon, e);
	if (ret && ret != -ENOMEM && !mon->o->name) {
		err_set(warning, ret,
			"%s; the guest runs without one (--no-control says so on purpose)",
			e ? e->text : "no control socket");
		return 0;
	}
	if (!ret)
		ret = control_add(mon->control, commands, mon);
	return ret ? ret : monitor_add_info(mon, "guest", guest_info, mon);
}

int monitor_create(struct monitor **out, struct machine *m, const struct run_options *o,
		   struct err *warning, struct err *e)
{
	struct monitor *mon = calloc(1, sizeof(*mon));
	int ret;

	if (!mon)
		return err_set(e, -ENOMEM, "out of memory");
	mon->m = m;
	mon->o = o;
	mon->parts_tail = &mon->parts;
	err_set(warning, 0, "%s", "");
	ret = start(mon, warning, e);
	if (ret == -ENOMEM)
		err_set(e, ret, "out of memory");
	if (ret) {
		monitor_destroy(mon);
		return ret;
	}
	*out = mon;
	return 0;
}

void monitor_destroy(struct monitor *mon)
{
	if (!mon)
		return;
	control_destroy(mon->control);
	while (mon->parts) {
		struct part *p = mon->parts;

		mon->parts = p->next;
		free(p);
	}
	free(mon->name);
	free(mon);
}

struct control *monitor_control(const struct monitor *mon)
{
	return mon->control;
}

const char *monitor_name(const struct monitor *mon)
{
	return mon->name;
}
