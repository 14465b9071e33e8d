// SPDX-License-Identifier: GPL-2.0-only
/* Runs a guest to its end, over its resets, and ends its parts. */
#include "vmm/guest/guest.h"

#include <stdio.h>

#include "base/exit_code.h"
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
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"
#include "vmm/monitor/monitor.h"
#include "vmm/session/sessions.h"

/* Returns true if the machine starts anew at a reset. */
static bool can_reboot(const struct guest *g)
{
	return !g->spec->no_reboot;
}

static int guest_reboot(struct guest *g, struct err *e)
{
	int ret;

	/* The kernel by whose types calls are written down goes first. */
	gate_end_calls(g->gate, "the guest was reset");
	ret = lifecycle_reset(machine_lifecycle(g->m), e);
	if (!ret)
		ret = guest_start_parts(g, e);
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

/* A note about a file may come while it is closed. */
static bool is_closing(void *arg)
{
	const struct guest *g = arg;
	bool closing = monitor_is_closing(g->monitor);

	return (g->c.front.notes_busy && g->c.front.notes_busy(g->c.front.arg)) || closing;
}

/*
 * Closes the files of starts and what clients have passed, whatever storage they are on. It serves
 * the loop for the last time, so that nothing comes after it.
 */
static void close_files(struct guest *g)
{
	struct closer *c = monitor_closer(g->monitor);

	if (g->sessions)
		sessions_release_files(g->sessions, c);
	if (g->firmware)
		firmware_release_files(g->firmware, c);
	if (g->boot)
		guest_boot_release_files(g->boot);
	monitor_begin_end(g->monitor);
	machine_wait(g->m, is_closing, g);
	monitor_leave_files(g->monitor);
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
	gate_end_calls(g->gate, "the guest has ended");
	if (g->record)
		guest_record_await(g->record);
	if (g->dump && g->monitor)
		guest_dump_close(g->dump, g->monitor);
	if (g->panic)
		symbol_file_await(panic_watch_symbols(g->panic));
	if (g->monitor)
		close_files(g);
	return lifecycle_end(machine_lifecycle(g->m), e);
}
