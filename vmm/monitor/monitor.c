// SPDX-License-Identifier: GPL-2.0-only
/* Creates and ends a monitor: its name, its socket, its commands. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/listener.h"
#include "vmm/backend/platform.h"
#include "vmm/control/socket_dir.h"
#include "vmm/machine/closer.h"
#include "vmm/monitor/emulator.h"
#include "vmm/monitor/monitor_int.h"

#define GUESTS_MAX 10000

static int listen_as(struct monitor *mon, const char *name, struct err *e)
{
	char *path = NULL;
	int ret = socket_dir_path(&path, name, true, e);

	if (!ret)
		ret = control_create(&mon->control, machine_loop(mon->m), path, e);
	if (ret) {
		free(path);
		return ret;
	}
	mon->socket = path;
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

/* Closes a client's descriptor, which may be anything. */
static void monitor_close_fd(void *arg, int fd)
{
	struct monitor *mon = arg;

	closer_close(mon->closer, fd, "a client's descriptor");
}

/* Listens on the socket of --control. A guest that has no other has a name all the same. */
static int listen_on_given(struct monitor *mon, struct err *e)
{
	int fd = mon->spec->control_fd, ret = listener_take(fd, "--control", e);

	if (!ret)
		ret = control_listen_on(&mon->control, machine_loop(mon->m), fd, e);
	if (ret)
		return ret;
	listener_path(fd, mon->given, sizeof(mon->given));
	/* Elsewhere no list looks for it. */
	mon->held = *mon->given ? socket_dir_hold(mon->given) : -ENOENT;
	if (mon->held < 0 && mon->held != -ENOENT)
		note_put(machine_notes(mon->m), "--control: vmm ps cannot list the guest by %s: %s",
			 mon->given, strerror(-mon->held));
	if (!mon->name)
		mon->name = strdup("guest");
	return mon->name ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* Makes the socket of the guest's name. 0 without one: the guest can do without. */
static int listen_by_name(struct monitor *mon, struct err *e)
{
	struct err why = { "" };
	bool required;
	int ret;

	if (mon->spec->no_control) {
		mon->name = mon->spec->name ? strdup(mon->spec->name) : NULL;
		return mon->spec->name && !mon->name ? -ENOMEM : 0;
	}
	required = mon->spec->name || mon->spec->control_required;
	ret = mon->spec->name ? listen_as(mon, mon->spec->name, &why) : listen_somewhere(mon, &why);
	if (ret && ret != -ENOMEM && !required) {
		note_put(machine_notes(mon->m),
			 "%s; the guest runs %s (--no-control says so on purpose)", why.text,
			 mon->spec->control_fd ? "with that of --control alone" : "without one");
		return 0;
	}
	return ret ? err_set(e, ret, "%s", why.text) : 0;
}

static json_t *dump_section(void *arg)
{
	const char *file;
	s64 ms = monitor_dump_held_ms(arg, &file);

	return monitor_held_section(file, ms);
}

static int monitor_listen(struct monitor *mon, struct err *e)
{
	static const struct control_command *const tables[] = {
		monitor_block_commands, monitor_balloon_commands, monitor_query_commands,
		monitor_run_commands,	monitor_dump_commands,	  monitor_qom_commands,
		monitor_hmp_commands,
	};
	int ret = listen_by_name(mon, e);

	if (!ret && mon->spec->control_fd)
		ret = listen_on_given(mon, e);
	if (ret || !mon->control)
		return ret;
	control_set_closer(mon->control, monitor_close_fd, mon);
	for (size_t i = 0; i < ARRAY_SIZE(tables) && !ret; i++)
		ret = control_add(mon->control, tables[i], mon);
	if (!ret)
		ret = emulator_add_commands(mon->control);
	if (!ret)
		ret = monitor_add_own_sections(mon);
	return ret ? ret : monitor_add_info(mon, "dump", dump_section, mon);
}

int monitor_create(struct monitor **out, struct machine *m, const struct guest_spec *spec,
		   struct err *e)
{
	struct monitor *mon = calloc(1, sizeof(*mon));
	int ret;

	if (!mon)
		return err_set(e, -ENOMEM, "out of memory");
	mon->m = m;
	mon->held = -1;
	mon->spec = spec;
	mon->sections_tail = &mon->sections;
	mon->cpus.timer = -1;
	monitor_balloon_begin(mon);
	monitor_ports_begin(mon);
	mon->state = spec->paused ? MONITOR_PRELAUNCH : MONITOR_RUNNING;
	ret = closer_create(&mon->closer, m);
	if (!ret)
		ret = monitor_listen(mon, e);
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
	/* These requests wait for a pause that does not complete any more. */
	for (size_t i = 0; i < mon->n_stops; i++)
		control_fail(mon->stops[i], "the guest has ended");
	free(mon->stops);
	monitor_free_dump(mon);
	event_rate_end(&mon->balloon_changes);
	monitor_ports_end(mon);
	monitor_query_end(mon);
	control_destroy(mon->control);
	closer_destroy(mon->closer);
	while (mon->sections) {
		struct info_section *p = mon->sections;

		mon->sections = p->next;
		free(p);
	}
	free(mon->socket);
	if (mon->held >= 0)
		close(mon->held);
	free(mon->name);
	free(mon);
}

struct control *monitor_control(const struct monitor *mon)
{
	return mon->control;
}

const char *monitor_socket(const struct monitor *mon)
{
	return mon->control ? control_file(mon->control) : NULL;
}

const struct socket_id *monitor_socket_id(const struct monitor *mon)
{
	return mon->control ? control_file_id(mon->control) : NULL;
}

void monitor_disown_socket(struct monitor *mon)
{
	if (mon->control)
		control_disown_file(mon->control);
}

const char *monitor_name(const struct monitor *mon)
{
	return mon->name;
}

/* Sends QEMU's events for a network that is lost, or back. */
static void monitor_on_net(void *arg, size_t i, bool up)
{
	struct monitor *mon = arg;
	char id[SPEC_ID_MAX + 1];

	spec_net_name(&mon->spec->nets[i], i, id);
	if (up)
		control_event(mon->control, "NETDEV_STREAM_CONNECTED",
			      json_pack("{s:s, s:{s:s, s:s}}", "netdev-id", id, "addr", "type",
					"fd", "str", "net-helper"));
	else
		control_event(mon->control, "NETDEV_STREAM_DISCONNECTED",
			      json_pack("{s:s}", "netdev-id", id));
}

/*
 * Sends Umbra's own events for the process that connects to a disk's back end: QEMU, which connects
 * by itself, has none.
 */
static void monitor_on_dialer(void *arg, size_t i, bool up)
{
	struct monitor *mon = arg;
	char disk[SPEC_ID_MAX + 1];

	spec_disk_name(&mon->spec->disks[i], i, disk);
	control_event(mon->control, up ? "UMBRA_DIALER_STARTED" : "UMBRA_DIALER_ENDED",
		      json_pack("{s:s}", "disk", disk));
}

void monitor_set_devices(struct monitor *mon, struct platform *p, struct console *c)
{
	const struct platform_hooks hooks = { monitor_on_net, monitor_on_dialer, monitor_on_balloon,
					      mon };

	assert(!mon->platform && !mon->console);
	if (p)
		platform_set_hooks(p, &hooks);
	if (c)
		monitor_ports_watch(mon, c);
	mon->platform = p;
	mon->console = c;
}

static int end_monitor(void *part, struct err *e)
{
	(void)e;
	monitor_destroy(part);
	return 0;
}

const struct lifecycle_ops monitor_part = {
	.name = "monitor",
	.start = monitor_on_start,
	.quiesce = monitor_on_quiet,
	.end = end_monitor,
};
