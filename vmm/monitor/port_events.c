// SPDX-License-Identifier: GPL-2.0-only
/* Tells clients when the guest opens or closes a port of its console, by QEMU's VSERPORT_CHANGE. */
#include "vmm/backend/console.h"
#include "vmm/monitor/monitor_int.h"

/* Sends the event for port @i, that it is open or closed now; for event_rate.h. */
static bool send_port(void *arg, unsigned i)
{
	const struct monitor *mon = arg;
	struct console_port p;

	if (!mon->console || !console_port(mon->console, i, &p))
		return false;
	control_event(mon->control, "VSERPORT_CHANGE",
		      json_pack("{s:s, s:b}", "id", p.device, "open", p.open));
	return true;
}

static void on_port(void *arg, unsigned i)
{
	struct monitor *mon = arg;

	event_rate_news(&mon->ports[i - 1]);
}

void monitor_ports_begin(struct monitor *mon)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mon->ports); i++)
		event_rate_init(&mon->ports[i], machine_loop(mon->m), send_port, mon, i + 1);
}

void monitor_ports_watch(struct monitor *mon, struct console *c)
{
	console_set_hook(c, on_port, mon);
}

void monitor_ports_end(struct monitor *mon)
{
	for (size_t i = 0; i < ARRAY_SIZE(mon->ports); i++)
		event_rate_end(&mon->ports[i]);
}
