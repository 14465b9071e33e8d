// SPDX-License-Identifier: GPL-2.0-only
/* Starts a guest: its signals, the confinement of its VMM, its parts. */
#include <errno.h>
#include <signal.h>
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
#include "vmm/backend/console.h"
#include "vmm/boot/kernel_cache.h"
#include "vmm/confine/confine.h"
#include "vmm/guest/guest_boot.h"
#include "vmm/guest/guest_dump.h"
#include "vmm/guest/guest_int.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"
#include "vmm/monitor/monitor.h"

/*
 * After this time the vCPUs' threads have made the calls that come before the guest, also on a slow
 * host: what follows then takes a thread (the closer's), which would be in their way.
 */
#define STARTED_NS 500000000

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
int guest_block_signals(struct guest *g, struct err *e)
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
	 * none, a signal ends the process as ever until guest_watch_signals().
	 */
	if (!confine_is_supervised(g->c.confine))
		sigprocmask(SIG_BLOCK, &errors, NULL);
	g->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (g->signals < 0)
		return err_set(e, -errno, "cannot receive signals: %s", strerror(errno));
	return 0;
}

int guest_watch_signals(struct guest *g, struct err *e)
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
int guest_start_parts(struct guest *g, struct err *e)
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
 * Notes what the host refuses, where nobody else says so: a manager keeps what is noted in the
 * guest's log, and sees no `vmm info`. AppArmor's profile of libvirt's domains forbids namespaces.
 */
static void note_refused_layers(const struct guest *g)
{
	char layers[512];

	if (g->spec->confine == CONFINE_MANAGED &&
	    confine_refused(g->c.confine, layers, sizeof(layers)))
		note_put(machine_notes(g->m), "confined without %s", layers);
}

/*
 * Confines the process: from here on it opens nothing, and files that a stranger may have made are
 * parsed afterwards only.
 */
int guest_confine(struct guest *g, struct err *e)
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
	if (!ret)
		note_refused_layers(g);
	return ret;
}

/*
 * Has a damaged prepared kernel dropped from the cache, by the supervisor if this process is
 * confined, and tells the supervisor that the guest starts.
 */
int guest_ready(struct guest *g, struct err *e)
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
