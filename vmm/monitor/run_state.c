// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers QMP's commands of run control (QEMU's qapi/run-state.json and misc.json): stop, cont,
 * inject-nmi, quit, system_powerdown, system_reset, query-status, and the events that go with them.
 *
 * A guest with sessions cannot be reset: they belong to the kernel that they were made for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "vmm/backend/console.h"
#include "vmm/backend/platform.h"
#include "vmm/monitor/monitor_int.h"

const char *monitor_state_name(const struct monitor *mon)
{
	switch (mon->state) {
	case MONITOR_PRELAUNCH:
		return "prelaunch";
	case MONITOR_RUNNING:
		return "running";
	case MONITOR_PAUSED:
		return "paused";
	case MONITOR_ENDED:
	default:
		break;
	}
	switch (mon->code) {
	case EXIT_CODE_PANIC:
		return "guest-panicked";
	case EXIT_CODE_KVM:
		return "internal-error";
	default:
		return "shutdown";
	}
}

static void query_status(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	control_reply(r, json_pack("{s:b, s:s, s:b}", "running", mon->state == MONITOR_RUNNING,
				   "status", monitor_state_name(mon), "singlestep", 0));
}

/* --- stop and cont ------------------------------------------------------------------------- */

/* Answers the requests to pause, now that the machine is paused. */
static void pause_completed(struct monitor *mon)
{
	mon->pausing = false;
	mon->state = MONITOR_PAUSED;
	control_event(mon->control, "STOP", NULL);
	for (size_t i = 0; i < mon->n_stops; i++)
		control_reply(mon->stops[i], NULL);
	mon->n_stops = 0;
}

void monitor_on_quiet(void *part)
{
	struct monitor *mon = part;

	if (mon->pausing)
		pause_completed(mon);
}

static void pause_guest(void *arg, struct control_request *r, const json_t *args)
{
	struct control_request **more;
	struct monitor *mon = arg;

	(void)args;
	if (mon->state != MONITOR_RUNNING) {
		control_reply(r, NULL);
		return;
	}
	more = realloc(mon->stops, (mon->n_stops + 1) * sizeof(void *));
	if (more)
		mon->stops = more;
	if (!more || (!mon->pausing && machine_pause(mon->m))) {
		control_fail(r, "out of memory or descriptors");
		return;
	}
	mon->stops[mon->n_stops++] = r;
	mon->pausing = true;
}

static void resume_guest(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	if (mon->state == MONITOR_ENDED) {
		control_fail(r, "The guest has ended; it cannot go on");
		return;
	}
	/* Not all vCPUs are out yet: the requests to pause are answered as if they had been. */
	if (mon->pausing)
		pause_completed(mon);
	if (mon->state != MONITOR_RUNNING) {
		machine_resume(mon->m);
		mon->state = MONITOR_RUNNING;
		control_event(mon->control, "RESUME", NULL);
	}
	control_reply(r, NULL);
}

/* An NMI to a guest that is paused comes when it goes on. */
static void inject_nmi(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	if (mon->state == MONITOR_ENDED) {
		control_fail(r, "The guest has ended; it takes no NMI");
		return;
	}
	machine_nmi(mon->m);
	control_reply(r, NULL);
}

/* --- the end ------------------------------------------------------------------------------- */

static void press_power_button(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	if (!mon->platform) {
		control_fail(r, "The guest has no power button now: it starts or ends");
		return;
	}
	platform_power_button(mon->platform);
	control_event(mon->control, "POWERDOWN", NULL);
	control_reply(r, NULL);
}

/* Resets the guest, as (E10) of machine.h. */
static void reset_guest(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	if (guest_spec_has_sessions(mon->spec)) {
		control_fail(r,
			     "This guest has sessions, which do not outlive its kernel; end it and "
			     "start it anew");
		return;
	}
	control_reply(r, NULL);
	if (machine_exit(mon->m, EXIT_CODE_REBOOT, "reset by the control socket"))
		mon->resets = true;
}

static const char *reset_cause(const struct monitor *mon)
{
	return mon->resets ? "host-qmp-system-reset" : "guest-reset";
}

int monitor_on_start(void *part, bool again, struct err *e)
{
	struct monitor *mon = part;

	(void)e;
	if (!again)
		return 0;
	control_event(mon->control, "RESET",
		      json_pack("{s:b, s:s}", "guest", !mon->resets, "reason", reset_cause(mon)));
	mon->resets = false;
	return 0;
}

/* Ends the guest, as (E11) of machine.h. */
static void end_guest(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	control_reply(r, NULL);
	if (machine_exit(mon->m, EXIT_CODE_SIGNAL + 15, "ended by the control socket"))
		mon->by_client = true;
}

/* Returns the ShutdownCause of QEMU's qapi/run-state.json. */
static const char *shutdown_cause(const struct monitor *mon, bool *guest)
{
	*guest = true;
	switch (mon->code) {
	case EXIT_CODE_POWEROFF:
	case EXIT_CODE_HALTED:
		return "guest-shutdown";
	case EXIT_CODE_REBOOT:
		*guest = !mon->resets;
		return reset_cause(mon);
	case EXIT_CODE_TRIPLE_FAULT:
		return "guest-reset";
	case EXIT_CODE_PANIC:
		return "guest-panic";
	default:
		break;
	}
	*guest = false;
	if (mon->by_client)
		return "host-qmp-quit";
	if (mon->code == EXIT_CODE_ESCAPE)
		return "host-ui";
	return mon->code > EXIT_CODE_SIGNAL ? "host-signal" : "host-error";
}

void monitor_ended(struct monitor *mon, int code)
{
	const char *why;
	bool guest;

	mon->state = MONITOR_ENDED;
	mon->code = code;
	why = shutdown_cause(mon, &guest);
	if (code == EXIT_CODE_PANIC)
		control_event(mon->control, "GUEST_PANICKED",
			      json_pack("{s:s}", "action", "poweroff"));
	control_event(mon->control, "SHUTDOWN",
		      json_pack("{s:b, s:s}", "guest", guest, "reason", why));
}

/* --- the console --------------------------------------------------------------------------- */

static void console_attach_client(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;
	struct err e;
	int fd, ret;

	if (!mon->console) {
		control_fail(r, "the guest's console is not there yet");
		return;
	}
	fd = control_take_fd(r, json_string_value(json_object_get(args, "fd")), &e);
	if (fd < 0) {
		control_fail(r, e.text);
		return;
	}
	ret = console_attach(mon->console, fd, &e);
	if (ret) {
		control_drop_fd(r, fd);
		control_fail(r, e.text);
		return;
	}
	control_reply(r, NULL);
}

const struct control_command monitor_run_commands[] = {
	{ "query-status", query_status },
	{ "stop", pause_guest },
	{ "cont", resume_guest },
	{ "inject-nmi", inject_nmi },
	{ "system_powerdown", press_power_button },
	{ "system_reset", reset_guest },
	{ "quit", end_guest },
	{ "umbra-console", console_attach_client },
	{ NULL, NULL },
};
