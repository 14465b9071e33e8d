// SPDX-License-Identifier: GPL-2.0-only
/* Assembles a guest from its spec, from the ground up, and runs it to its end. */
#include "vmm/guest/guest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/exit_code.h"
#include "base/loop.h"
#include "base/signals.h"
#include "base/socket_file.h"
#include "base/terminal.h"
#include "shadow/kernel/kernel.h"
#include "vmm/backend/console.h"
#include "vmm/backend/platform.h"
#include "vmm/boot/firmware.h"
#include "vmm/boot/kernel_cache.h"
#include "vmm/boot/panic_watch.h"
#include "vmm/boot/symbolize.h"
#include "vmm/confine/confine.h"
#include "vmm/gate/gate.h"
#include "vmm/guest/guest_boot.h"
#include "vmm/guest/guest_dump.h"
#include "vmm/guest/guest_record.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"
#include "vmm/monitor/block_resize.h"
#include "vmm/monitor/monitor.h"
#include "vmm/session/sessions.h"
#include "vmm/spec/cmdline.h"

_Static_assert(SPEC_MAX_CPUS == LAYOUT_MAX_CPUS, "a spec may ask for what a machine has");
/* NOLINTNEXTLINE(misc-redundant-expression): two names of one number, today */
_Static_assert(SPEC_MIN_MEMORY == LAYOUT_MEM_MIN, "a spec may ask for what a machine has");

/* After this time the vCPUs' threads have made the calls that come before the guest. */
#define STARTED_NS 10000000

struct guest {
	const struct guest_spec *spec;
	struct guest_config c;
	struct machine *m;
	struct monitor *monitor;
	struct guest_dump *dump;     /* or NULL: none at a panic */
	struct guest_record *record; /* or NULL, with the two below: no sessions */
	struct gate *gate;
	struct sessions *sessions;
	struct panic_watch *panic;
	struct symbol_file symbols; /* for guest_exit_line() */
	struct platform *platform;
	struct guest_boot *boot;   /* or NULL: ... */
	struct firmware *firmware; /* ... a firmware starts the guest */
	struct console *console;
	int signals; /* signalfd, or -1 */
	int started_timer;
	bool confined; /* the supervisor, if any, knows what to remove */
	bool ended;
};

/* --- signals ------------------------------------------------------------------------------- */

static void on_guest_signal(void *arg, u32 events)
{
	struct guest *g = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(g->signals, &info, sizeof(info)) == sizeof(info) &&
	    !signal_is_ignored((int)info.ssi_signo)) { /* (E9) of machine.h */
		monitor_cancel_dump(g->monitor);
		machine_exit(g->m, EXIT_CODE_SIGNAL + (int)info.ssi_signo,
			     "ended by signal %u (%s)", info.ssi_signo,
			     strsignal((int)info.ssi_signo));
	}
}

/*
 * Blocks the signals before any thread exists: all of them inherit the mask, and only the signalfd
 * sees the signals. A pipe that is closed, a limit on the size of files, and a terminal that this
 * process may not read in the background are errors of the call and no signals. SIGCONT is read by
 * the console, whose terminal another job may have had.
 */
static int block_signals(struct guest *g, struct err *e)
{
	sigset_t set, errors;

	sigemptyset(&set);
	for (size_t i = 0; g->c.end_signals[i] >= 0; i++)
		sigaddset(&set, g->c.end_signals[i]);
	sigemptyset(&errors);
	sigaddset(&errors, SIGPIPE);
	sigaddset(&errors, SIGXFSZ);
	terminal_add_job_signals(&errors);
	/*
	 * confine_fork() has blocked all of them, and its supervisor ends a start. Where there is
	 * none, a signal ends the process as ever until watch_signals().
	 */
	if (!confine_is_supervised(g->c.confine))
		sigprocmask(SIG_BLOCK, &errors, NULL);
	g->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (g->signals < 0)
		return err_set(e, -errno, "cannot receive signals: %s", strerror(errno));
	return 0;
}

static int watch_signals(struct guest *g, struct err *e)
{
	sigset_t set;
	int ret;

	sigemptyset(&set);
	for (size_t i = 0; g->c.end_signals[i] >= 0; i++)
		sigaddset(&set, g->c.end_signals[i]);
	if (!confine_is_supervised(g->c.confine))
		sigprocmask(SIG_BLOCK, &set, NULL);
	ret = loop_add(machine_loop(g->m), g->signals, EPOLLIN, on_guest_signal, g);

	return ret ? err_set(e, ret, "cannot receive signals: %s", strerror(-ret)) : 0;
}

/* --- assembly ------------------------------------------------------------------------------ */

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
	return ret ? err_set(e, ret, "event loop: %s", strerror(-ret)) : 0;
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
		ret = guest_record_create(&g->record, g->m, g->monitor, g->spec->record, e);
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
	guest_boot_attach(g->boot, g->m, g->sessions);
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
	const char *file = NULL;
	s64 ms = g->panic ? symbol_file_held_ms(panic_watch_symbols(g->panic), &file) : 0;

	if (!ms)
		ms = symbol_file_held_ms(&g->symbols, &file);
	if (!ms && g->firmware)
		ms = firmware_kernel_held_ms(g->firmware, &file);
	else if (!ms && g->boot)
		ms = guest_boot_held_ms(g->boot, &file);
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

/* --- the start ----------------------------------------------------------------------------- */

/* Gives back the memory that only placing the kernel needed, when the guest executes already. */
static void on_guest_started(void *arg, u32 expiries)
{
	struct guest *g = arg;

	(void)expiries;
	loop_timer_del(machine_loop(g->m), g->started_timer);
	g->started_timer = -1;
	if (g->c.front.started)
		g->c.front.started(g->c.front.arg, monitor_name(g->monitor));
	if (g->boot)
		guest_boot_trim(g->boot);
}

/* Starts all parts, at the first start and after each reset; no vCPU executes yet. */
static int start_parts(struct guest *g, struct err *e)
{
	int ret = lifecycle_start(machine_lifecycle(g->m), e);

	if (ret)
		return ret;
	g->started_timer = loop_timer(machine_loop(g->m), STARTED_NS, 0, on_guest_started, g);
	return g->started_timer < 0 ? err_set(e, g->started_timer, "cannot create a timer: %s",
					      strerror(-g->started_timer))
				    : 0;
}

static json_t *describe_confinement(void *arg)
{
	return confine_info(arg);
}

_Static_assert(CONFINE_MAX_FILES >= 3 + 1 + SPEC_MAX_PORTS, "all that hand_over_files() lists fit");

/*
 * Hands over to the supervisor what it removes: the files of sockets at the end, each by the id
 * that it had when it was made, and a new record if this run does not begin, since it would be in
 * the way of the next one; and the file for a dump, if there is none in it.
 */
static void hand_over_files(const struct guest *g, struct confine_file files[CONFINE_MAX_FILES])
{
	size_t n = 0;

	if (g->spec->record)
		files[n++] = (struct confine_file){ .path = g->spec->record, .unused = true };
	if (g->dump)
		files[n++] = (struct confine_file){ .path = guest_dump_file(g->dump),
						    .unused = true,
						    .spare = true };
	if (monitor_socket(g->monitor))
		files[n++] = (struct confine_file){ .path = monitor_socket(g->monitor),
						    .id = monitor_socket_id(g->monitor) };
	monitor_disown_socket(g->monitor);
	console_disown_sockets(g->console, files + n);
}

/*
 * Removes the sockets that hand_over_files() has listed, as the supervisor has taken none of them;
 * guest_discard() removes the record.
 */
static void take_files_back(struct guest *g, const struct confine_file *files)
{
	for (; files->path; files++)
		if (files->id)
			socket_file_remove(files->path, files->id);
	g->confined = false;
}

/*
 * Confines the process: from here on it opens nothing, and files that a stranger may have made are
 * parsed afterwards only.
 */
static int guest_confine(struct guest *g, struct err *e)
{
	struct confine_file files[CONFINE_MAX_FILES + 1] = { { .path = NULL } };
	int ret = monitor_add_info(g->monitor, "confinement", describe_confinement, g->c.confine);

	if (ret)
		return err_set(e, ret, "out of memory");
	if (g->c.front.before_confinement)
		g->c.front.before_confinement(g->c.front.arg);
	machine_set_confine(g->m, g->c.confine);
	if (g->c.inherited)
		descriptors_close(g->c.inherited);
	if (!g->c.confine)
		return 0;
	hand_over_files(g, files);
	g->confined = true;
	ret = confine_enter(g->c.confine, files, e);
	if (ret == -ENAMETOOLONG) /* nothing has been told or given up */
		take_files_back(g, files);
	return ret;
}

static int keep_descriptor(void *arg, int fd, const char *what, struct err *e)
{
	if (!descriptors_keep(arg, fd))
		return 0;
	return err_set(e, -EBADF,
		       "%s: descriptor %d is not open; the process that starts vmm passes it", what,
		       fd);
}

/* Opens everything that the spec names, and parses nothing. */
static int guest_open(struct guest *g, struct err *e)
{
	const struct guest_spec *s = g->spec;
	int ret = block_signals(g, e);

	if (!ret && g->c.inherited)
		ret = guest_spec_descriptors(s, keep_descriptor, g->c.inherited, e);

	if (!ret && !s->firmware)
		ret = guest_boot_create(&g->boot, s, &g->c.front.notes, e);
	if (!ret)
		ret = create_machine(g, e);
	if (!ret)
		ret = create_monitor(g, e);
	if (!ret && (monitor_add_info(g->monitor, "kernel", describe_kernel, g) ||
		     monitor_add_info(g->monitor, "boot", describe_boot, g)))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret && g->c.front.notes_held_ms &&
	    monitor_add_info(g->monitor, "notes", describe_notes, g))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret && s->panic_dumps)
		ret = guest_dump_create(&g->dump, s->panic_dumps, monitor_name(g->monitor), e);
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
	if (s->paused && machine_pause(g->m))
		return err_set(e, -EMFILE, "cannot hold the guest back (--paused)");
	return 0;
}

/*
 * Has a damaged prepared kernel dropped from the cache, by the supervisor if this process is
 * confined, and tells the supervisor that the guest starts.
 */
static int guest_ready(struct guest *g, struct err *e)
{
	bool damaged = g->boot && guest_boot_damaged(g->boot);

	if (!g->c.confine) {
		if (damaged)
			kernel_cache_forget(g->spec->kernel);
		return 0;
	}
	if (damaged)
		confine_note(g->c.confine);
	return confine_ready(g->c.confine, e);
}

static int guest_assemble(struct guest *g, struct err *e)
{
	int ret = guest_open(g, e);

	if (!ret)
		ret = guest_confine(g, e);
	if (!ret)
		ret = start_parts(g, e);
	if (!ret)
		ret = watch_signals(g, e);
	return ret ? ret : guest_ready(g, e);
}

/* Takes back what a start that failed has made, where no supervisor does. */
static void guest_discard(struct guest *g)
{
	const char *record = !g->confined && g->record ? g->spec->record : NULL;
	struct socket_id id;
	bool made = record && !unused_file_id(record, &id);

	guest_destroy(g);
	if (made)
		unused_file_remove(record, &id);
}

int guest_create(struct guest **out, const struct guest_config *c, struct err *e)
{
	struct guest *g = calloc(1, sizeof(*g));
	int ret;

	if (!g) {
		if (c->front.start_failed)
			c->front.start_failed(c->front.arg, "out of memory");
		return err_set(e, -ENOMEM, "out of memory");
	}
	g->c = *c;
	g->spec = c->spec;
	g->signals = g->started_timer = -1;
	ret = guest_assemble(g, e);
	if (ret) {
		if (c->front.start_failed)
			c->front.start_failed(c->front.arg, e->text);
		guest_discard(g);
		return ret;
	}
	*out = g;
	return 0;
}

/* --- run and end --------------------------------------------------------------------------- */

/* Returns true if the machine starts anew at a reset. */
static bool can_reboot(const struct guest *g)
{
	return !g->spec->no_reboot;
}

static int guest_reboot(struct guest *g, struct err *e)
{
	int ret = lifecycle_reset(machine_lifecycle(g->m), e);

	if (!ret)
		ret = start_parts(g, e);
	if (!ret)
		monitor_restarted(g->monitor);
	return ret;
}

/* Returns true if the process outlives an end with @code, by --no-shutdown. */
static bool guest_rests(struct guest *g, int code)
{
	if (!g->spec->no_shutdown || (code == EXIT_CODE_REBOOT && can_reboot(g)))
		return false;
	/* A guest that could not be given its drivers is an error of this command. */
	if (!code && g->sessions && sessions_complete(g->sessions, NULL))
		return false;
	return code <= EXIT_CODE_HALTED && code != EXIT_CODE_ERROR;
}

/*
 * Lets the process outlive the guest's end with @code, which people are told of now. Returns the
 * code of the request that ends this.
 */
static int guest_rest(struct guest *g, int code, struct err *e)
{
	char line[600];
	int request;

	guest_exit_line(g, code, line, sizeof(line));
	if (*line)
		note_put(machine_notes(g->m), "%s", line);
	if (g->sessions && !monitor_is_at_rest(g->monitor))
		sessions_rest(g->sessions);
	monitor_rests(g->monitor, code);
	if (code == EXIT_CODE_PANIC && g->dump)
		guest_dump_panicked(g->dump, g->monitor);
	monitor_ask_again(g->monitor);
	do
		request = machine_rest(g->m, e);
	while (request == EXIT_CODE_REBOOT && !monitor_resets(g->monitor));
	return request;
}

/*
 * Waits for all that a reset needs of this host's storage; the end may be asked for meanwhile.
 * Returns the exit code by then.
 */
static int await_reset(struct guest *g)
{
	int code;

	monitor_await_dump(g->monitor);
	code = platform_await_disks(g->platform);
	if (code == EXIT_CODE_REBOOT)
		code = g->firmware ? firmware_await_kernel(g->firmware)
				   : guest_boot_await_files(g->boot);
	/* The watch may find that this is no reset but the end of a panic. */
	return code == EXIT_CODE_REBOOT ? symbol_file_await(panic_watch_symbols(g->panic)) : code;
}

/*
 * Starts the guest anew after its machine has stopped. Returns EXIT_CODE_REBOOT, or the code of
 * what came in between: the end may be asked for while it waits.
 */
static int guest_start_anew(struct guest *g, struct err *e)
{
	char line[400];
	int code;

	/* A copy: another request may win while the record's thread reads it. */
	snprintf(line, sizeof(line), "%s", machine_exit_line(g->m));
	if (g->record)
		guest_record_event(g->record, "reset", line);
	code = await_reset(g);
	if (code == EXIT_CODE_REBOOT && guest_reboot(g, e))
		code = EXIT_CODE_ERROR;
	return code;
}

int guest_run(struct guest *g, struct err *e)
{
	int code = machine_run(g->m, e), last = code;

	for (;;) {
		/* What is to be a reset may turn out to be a panic, while it is waited for. */
		if (guest_rests(g, code)) {
			last = code;
			code = guest_rest(g, code, e);
		}
		if (code != EXIT_CODE_REBOOT || !can_reboot(g))
			break;
		code = guest_start_anew(g, e);
		if (code == EXIT_CODE_REBOOT)
			code = machine_run(g->m, e);
	}
	monitor_ended(g->monitor, code);
	if (code == EXIT_CODE_PANIC && g->dump)
		guest_dump_panicked(g->dump, g->monitor);
	if (!code && g->sessions && sessions_complete(g->sessions, e))
		code = EXIT_CODE_ERROR;
	/* (W4) */
	return monitor_is_at_rest(g->monitor) && code != EXIT_CODE_ERROR ? last : code;
}

void guest_exit_line(struct guest *g, int code, char *buf, size_t len)
{
	const char *line = machine_exit_line(g->m);

	if (code == EXIT_CODE_ESCAPE || code == EXIT_CODE_REBOOT) {
		snprintf(buf, len, "%s", line);
		return;
	}
	if (symbolize_needs_kernel(line)) {
		symbol_file_await(panic_watch_symbols(g->panic));
		g->symbols.m = g->m;
		symbol_file_read(&g->symbols);
		symbol_file_await(&g->symbols);
	}
	symbolize_line(g->m, line, buf, len);
}

int guest_end(struct guest *g, struct err *e)
{
	g->ended = true;
	/* As long as it takes, all parts are there and answer. */
	if (g->monitor)
		monitor_await_dump(g->monitor);
	if (g->platform)
		platform_close_disks(g->platform);
	if (g->console)
		console_await_files(g->console);
	if (g->firmware)
		firmware_await_log(g->firmware);
	if (g->sessions)
		sessions_await_files(g->sessions);
	if (g->record)
		guest_record_await(g->record);
	if (g->dump && g->monitor)
		guest_dump_close(g->dump, g->monitor);
	if (g->monitor)
		monitor_await_clients(g->monitor);
	if (g->panic)
		symbol_file_await(panic_watch_symbols(g->panic));
	if (g->m && g->c.front.notes_busy)
		machine_wait(g->m, g->c.front.notes_busy, g->c.front.arg);
	return lifecycle_end(machine_lifecycle(g->m), e);
}

struct machine *guest_machine(const struct guest *g)
{
	return g->m;
}

void guest_destroy(struct guest *g)
{
	if (!g)
		return;
	if (g->m && !g->ended)
		guest_end(g, NULL);
	guest_dump_destroy(g->dump, g->confined);
	guest_boot_destroy(g->boot);
	machine_destroy(g->m);
	if (g->signals >= 0)
		close(g->signals);
	free(g);
}
