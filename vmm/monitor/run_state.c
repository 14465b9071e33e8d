// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers QMP's commands of run control (QEMU's qapi/run-state.json and misc.json): stop, cont,
 * inject-nmi, quit, system_powerdown, system_reset, query-status, and the events that go with them.
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

static void answer_stops(struct monitor *mon)
{
	mon->pausing = false;
	for (size_t i = 0; i < mon->n_stops; i++)
		control_reply(mon->stops[i], NULL);
	mon->n_stops = 0;
}

/* Answers the requests to pause, now that the machine is paused. */
static void pause_completed(struct monitor *mon)
{
	mon->state = MONITOR_PAUSED;
	control_event(mon->control, "STOP", NULL);
	answer_stops(mon);
}

/* Answers, as QEMU does, a request that has to wait for a dump. */
static bool refused_by_dump(const struct monitor *mon, struct control_request *r)
{
	if (monitor_is_dumping(mon))
		control_fail(r, "There is a dump in process, please wait.");
	return monitor_is_dumping(mon);
}

void monitor_on_quiet(void *part)
{
	struct monitor *mon = part;

	if (mon->pausing)
		pause_completed(mon);
	monitor_dump_paused(mon);
}

static void pause_guest(void *arg, struct control_request *r, const json_t *args)
{
	struct control_request **more;
	struct monitor *mon = arg;

	(void)args;
	if (refused_by_dump(mon, r))
		return;
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
	if (mon->state == MONITOR_ENDED && mon->rests && mon->resets) {
		mon->goes_on = true; /* monitor_restarted() */
		control_reply(r, NULL);
		return;
	}
	if (mon->state == MONITOR_ENDED) {
		control_fail(r, mon->rests ? "Resetting the Virtual Machine is required"
					   : "The guest has ended; it cannot go on");
		return;
	}
	if (refused_by_dump(mon, r))
		return;
	/* Not all vCPUs are out yet: the requests to pause are answered as if they had been. */
	if (mon->pausing)
		pause_completed(mon);
	if (mon->state != MONITOR_RUNNING)
		monitor_resume(mon);
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

static void ask_for_reset(struct monitor *mon)
{
	/* A guest that rests, or is about to, is reset all the same: monitor_rests(). */
	if (machine_exit(mon->m, EXIT_CODE_REBOOT, "reset by the control socket") ||
	    mon->spec->no_shutdown)
		mon->resets = true;
}

/* Resets the guest, as (E10) of machine.h. */
static void reset_guest(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	if (mon->rests && mon->spec->no_reboot) {
		control_fail(r, "This guest was started with --no-reboot; it does not start anew");
		return;
	}
	if (refused_by_dump(mon, r))
		return;
	control_reply(r, NULL);
	ask_for_reset(mon);
}

static const char *reset_cause(const struct monitor *mon)
{
	return mon->resets ? "host-qmp-system-reset" : "guest-reset";
}

int monitor_on_start(void *part, bool again, struct err *e)
{
	struct monitor *mon = part;

	if (!again)
		return 0;
	mon->no_dumps = false;
	control_event(mon->control, "RESET",
		      json_pack("{s:b, s:s}", "guest", !mon->resets, "reason", reset_cause(mon)));
	mon->resets = false;
	if (!mon->rests)
		return 0;
	mon->rests = false;
	mon->state = MONITOR_PRELAUNCH;
	if (machine_pause(mon->m))
		return err_set(e, -EMFILE, "cannot hold the guest back after its reset");
	return 0;
}

bool monitor_is_at_rest(const struct monitor *mon)
{
	return mon->rests;
}

bool monitor_resets(const struct monitor *mon)
{
	return mon->resets;
}

void monitor_restarted(struct monitor *mon)
{
	if (mon->goes_on)
		monitor_resume(mon);
	mon->goes_on = false;
}

/* Ends the guest, as (E11) of machine.h. */
static void end_guest(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	control_reply(r, NULL);
	monitor_cancel_dump(mon);
	if (machine_exit(mon->m, EXIT_CODE_SIGNAL + 15, "ended by the control socket"))
		mon->by_client = true;
}

/* Returns the ShutdownCause of QEMU's qapi/run-state.json. */
static const char *shutdown_cause(const struct monitor *mon, int code, bool *guest)
{
	*guest = true;
	switch (code) {
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
	if (code == EXIT_CODE_ESCAPE)
		return "host-ui";
	return code > EXIT_CODE_SIGNAL ? "host-signal" : "host-error";
}

static void send_shutdown(struct monitor *mon, int code)
{
	bool guest;
	const char *why = shutdown_cause(mon, code, &guest);

	control_event(mon->control, "SHUTDOWN",
		      json_pack("{s:b, s:s}", "guest", guest, "reason", why));
}

static void send_panicked(struct monitor *mon, const char *action)
{
	control_event(mon->control, "GUEST_PANICKED", json_pack("{s:s}", "action", action));
}

void monitor_ended(struct monitor *mon, int code)
{
	/* A guest that rested keeps its state: it is its process that ends now. */
	if (!mon->rests) {
		mon->state = MONITOR_ENDED;
		mon->code = code;
		if (code == EXIT_CODE_PANIC)
			send_panicked(mon, "poweroff");
	}
	send_shutdown(mon, code);
}

/* Called in machine_rest(): only there the request counts. */
static void reset_late(void *arg)
{
	struct monitor *mon = arg;

	ask_for_reset(mon);
}

void monitor_rests(struct monitor *mon, int code)
{
	bool ran = mon->state == MONITOR_RUNNING;

	if (code == EXIT_CODE_PANIC)
		send_panicked(mon, "pause");
	else if (code != EXIT_CODE_KVM)
		send_shutdown(mon, code);
	mon->state = MONITOR_ENDED;
	mon->code = code;
	mon->rests = true;
	mon->no_dumps = false;
	/* There is no vCPU that a pause could wait for. */
	machine_resume(mon->m);
	if (ran)
		control_event(mon->control, "STOP", NULL);
	answer_stops(mon);
	/* Nor one for which a dump has to wait. */
	monitor_dump_paused(mon);
	if (mon->spec->no_reboot)
		mon->resets = false; /* this was that reset, perhaps */
}

void monitor_ask_again(struct monitor *mon)
{
	if (mon->resets) {
		mon->late_reset = (struct loop_call){ .fn = reset_late, .arg = mon };
		loop_call(machine_loop(mon->m), &mon->late_reset);
	}
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
