// SPDX-License-Identifier: GPL-2.0-only
/* Creates the parts of a guest, from the ground up, and tells of them in `vmm info`. */
#include <errno.h>
#include <string.h>

#include "shadow/kernel/kernel.h"
#include "vmm/backend/console.h"
#include "vmm/backend/platform.h"
#include "vmm/boot/firmware.h"
#include "vmm/boot/panic_watch.h"
#include "vmm/boot/symbolize.h"
#include "vmm/gate/gate.h"
#include "vmm/guest/guest_boot.h"
#include "vmm/guest/guest_dump.h"
#include "vmm/guest/guest_int.h"
#include "vmm/guest/guest_record.h"
#include "vmm/machine/held_read.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"
#include "vmm/monitor/block_resize.h"
#include "vmm/monitor/monitor.h"
#include "vmm/session/sessions.h"
#include "vmm/spec/cmdline.h"

static int create_machine(struct guest *g, struct err *e)
{
	struct machine_config c = {
		.memory = g->spec->memory,
		.shared = guest_spec_shares_memory(g->spec),
		.huge_page = g->spec->huge_page,
		.cpus = g->spec->cpus,
		.start_ns = g->c.exec_ns,
		.pc = g->spec->firmware,
		.notes = g->c.front.notes,
	};

	return machine_create(&g->m, &c, e);
}

static int create_monitor(struct guest *g, struct err *e)
{
	int ret = monitor_create(&g->monitor, g->m, g->spec, e);

	if (!ret)
		lifecycle_add(machine_lifecycle(g->m), &monitor_part, g->monitor);
	return ret;
}

/*
 * Parses the kernel, since the VMM is confined by now, and makes the gate for it: gate and sessions
 * belong to one kernel.
 */
static int start_gate(void *part, bool again, struct err *e)
{
	struct guest *g = part;
	int ret = guest_boot_read(g->boot, e);

	if (!ret)
		ret = kernel_load_symbols(guest_boot_kernel(g->boot), e);
	if (!ret && again)
		return gate_restart(g->gate, guest_boot_kernel(g->boot), guest_boot_kaslr(g->boot),
				    e);
	if (!ret)
		ret = gate_create(&g->gate, g->m, guest_boot_kernel(g->boot),
				  guest_boot_kaslr(g->boot), guest_record_of(g->record), e);
	if (ret)
		return ret;
	ret = gate_start(g->gate, machine_loop(g->m));
	return ret ? err_set(e, ret, "event loop: %s", strerror(-ret))
		   : guest_record_start(g->record, e);
}

static int end_gate(void *part, struct err *e)
{
	struct guest *g = part;

	gate_destroy(g->gate);
	return guest_record_end(g->record, e);
}

static int reset_gate(void *part, struct err *e)
{
	struct guest *g = part;

	return gate_reset(g->gate, e);
}

static const struct lifecycle_ops gate_part = {
	.name = "gate",
	.start = start_gate,
	.reset = reset_gate,
	.end = end_gate,
};

/* Parses policy and drivers, as start_gate() does the kernel, and starts the sessions. */
static int start_sessions(void *part, bool again, struct err *e)
{
	struct guest *g = part;
	int ret = sessions_prepare(g->sessions, guest_boot_kernel(g->boot),
				   guest_boot_kaslr(g->boot), g->gate, e);

	(void)again;
	if (ret)
		return ret;
	return sessions_start(g->sessions, machine_loop(g->m), monitor_control(g->monitor), e);
}

static int end_sessions(void *part, struct err *e)
{
	struct guest *g = part;

	(void)e;
	sessions_finish(g->sessions);
	g->sessions = NULL;
	return 0;
}

static int reset_sessions(void *part, struct err *e)
{
	struct guest *g = part;

	(void)e;
	sessions_reset(g->sessions);
	return 0;
}

static const struct lifecycle_ops sessions_part = {
	.name = "sessions",
	.start = start_sessions,
	.reset = reset_sessions,
	.end = end_sessions,
};

/* The file of a client that this host's kernel holds. */
static json_t *describe_client_file(void *arg)
{
	const struct guest *g = arg;
	const char *file = NULL;
	s64 ms = g->sessions ? sessions_file_held_ms(g->sessions, &file) : 0;

	return monitor_held_section(file, ms);
}

static int create_sessions(struct guest *g, struct err *e)
{
	int ret = sessions_open(&g->sessions, g->m, g->spec, e);

	if (ret)
		return ret;
	if (monitor_add_info(g->monitor, "client-file", describe_client_file, g))
		ret = err_set(e, -ENOMEM, "out of memory");
	/* The gate's record last: a start that fails before makes no file. */
	if (!ret)
		ret = guest_record_create(&g->record, g->m, g->monitor, g->spec, e);
	if (ret) {
		sessions_finish(g->sessions);
		g->sessions = NULL;
		return ret;
	}
	lifecycle_add(machine_lifecycle(g->m), &gate_part, g);
	lifecycle_add(machine_lifecycle(g->m), &sessions_part, g);
	return 0;
}

static void attach_boot(struct guest *g)
{
	guest_boot_attach(g->boot, g->m, g->sessions, monitor_closer(g->monitor));
	lifecycle_add(machine_lifecycle(g->m), &guest_boot_part, g->boot);
}

static json_t *describe_firmware_log(void *arg)
{
	const struct guest *g = arg;

	return monitor_held_section(g->spec->firmware_log,
				    g->firmware ? firmware_log_held_ms(g->firmware) : 0);
}

static json_t *describe_notes(void *arg)
{
	const struct guest *g = arg;
	const char *file = NULL;
	s64 ms = g->c.front.notes_held_ms(g->c.front.arg, &file);

	return monitor_held_section(file, ms);
}

/* What a reset or a report reads, one at a time. */
static json_t *describe_boot(void *arg)
{
	const struct guest *g = arg;
	const struct held_read *reads[] = {
		g->panic ? &panic_watch_symbols(g->panic)->read : NULL,
		&g->symbols.read,
		g->firmware ? firmware_kernel_reading(g->firmware) : NULL,
		g->boot ? guest_boot_reading(g->boot) : NULL,
	};
	const char *file = NULL;
	s64 ms = 0;

	for (size_t i = 0; i < ARRAY_SIZE(reads) && !ms; i++)
		ms = reads[i] ? held_read_ms(reads[i], &file) : 0;
	return monitor_held_section(file, ms);
}

static json_t *describe_kernel(void *arg)
{
	const struct guest *g = arg;

	return g->boot ? json_pack("{s:b}", "prepared", guest_boot_prepared(g->boot)) : NULL;
}

static int create_firmware(struct guest *g, struct err *e)
{
	struct firmware_config c = {
		.image = g->spec->firmware,
		.log = g->spec->firmware_log,
		.kernel = g->spec->kernel,
		.initrd = g->spec->initrd,
		.cmdline = g->spec->append,
		.smbios = &g->spec->smbios,
	};
	int ret;

	c.pci.buses = platform_pci_buses(g->spec);
	c.pci.n_disks = platform_disk_places(g->platform, c.pci.disks, ARRAY_SIZE(c.pci.disks));
	ret = firmware_create(&g->firmware, g->m, &c, e);
	if (ret)
		return ret;
	lifecycle_add(machine_lifecycle(g->m), &firmware_part, g->firmware);
	if (g->spec->firmware_log &&
	    monitor_add_info(g->monitor, "firmware-log", describe_firmware_log, g))
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

/*
 * Returns true if the last console= of the line, which becomes /dev/console, is a virtio console.
 */
static bool console_is_hvc(const char *line)
{
	struct cmdline_word w;

	return cmdline_find_value(line, "console", &w) && w.value_len > 3 &&
	       !strncmp(w.value, "hvc", 3);
}

static void on_console_help(void *arg, const char *text)
{
	const struct guest *g = arg;

	if (g->c.front.console_help)
		g->c.front.console_help(g->c.front.arg, text);
}

static int create_console(struct guest *g, struct err *e)
{
	struct console_config c = {
		.bus = platform_bus(g->platform, guest_spec_serial(g->spec)),
		.tap = panic_watch_byte,
		.tap_arg = g->panic,
		.help = on_console_help,
		.help_arg = g,
		.closer = monitor_closer(g->monitor),
		.polled_input = g->spec->firmware,
		.virtio_input = g->spec->console_given &&
				(g->spec->firmware || console_is_hvc(g->spec->append)),
	};
	int ret = console_create(&g->console, g->m, g->spec, &c, e);

	if (!ret)
		lifecycle_add(machine_lifecycle(g->m), &console_part, g->console);
	return ret;
}

static int guest_create_devices(struct guest *g, struct err *e)
{
	struct lifecycle *l = machine_lifecycle(g->m);
	int ret = panic_watch_create(&g->panic, g->m, guest_spec_has_sessions(g->spec));

	if (ret)
		return err_set(e, ret, "cannot watch for panics: %s", strerror(-ret));
	lifecycle_add(l, &panic_watch_part, g->panic);
	ret = platform_create(&g->platform, g->m, g->spec, e);
	if (ret)
		return ret;
	lifecycle_add(l, &platform_part, g->platform);
	if (g->spec->firmware)
		ret = create_firmware(g, e);
	return ret ? ret : create_console(g, e);
}

int guest_create_parts(struct guest *g, struct err *e)
{
	const struct guest_spec *s = g->spec;
	int ret = create_machine(g, e);

	if (!ret)
		ret = create_monitor(g, e);
	if (!ret && (monitor_add_info(g->monitor, "kernel", describe_kernel, g) ||
		     monitor_add_info(g->monitor, "boot", describe_boot, g)))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret && g->c.front.notes_held_ms &&
	    monitor_add_info(g->monitor, "notes", describe_notes, g))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret && s->panic_dumps)
		ret = guest_dump_create(&g->dump, s->panic_dumps, monitor_name(g->monitor),
					s->confine, e);
	if (!ret && guest_spec_has_sessions(s))
		ret = create_sessions(g, e);
	if (!ret && g->boot)
		attach_boot(g);
	if (!ret)
		ret = guest_create_devices(g, e);
	if (!ret && block_resize_add_commands(monitor_control(g->monitor), g->platform))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (ret)
		return ret;
	monitor_set_devices(g->monitor, g->platform, g->console);
	return 0;
}
