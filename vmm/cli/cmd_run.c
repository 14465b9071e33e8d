// SPDX-License-Identifier: GPL-2.0-only
/* vmm run: runs a guest from the command line, in this process or behind it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/exit_code.h"
#include "vmm/boot/kernel_cache.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/detach.h"
#include "vmm/cli/run_notes.h"
#include "vmm/cli/run_options.h"
#include "vmm/cli/stats.h"
#include "vmm/cli/syscount.h"
#include "vmm/confine/confine.h"
#include "vmm/guest/guest.h"
#include "vmm/machine/machine.h"

struct run {
	struct run_options o;
	struct descriptors inherited;
	struct detach *detach;
	struct confine *confine;
	struct stats *stats;
	struct run_notes *notes;
	u64 exec_ns, syscalls;
	char line[600]; /* how the guest ended; "": it is printed, or there is nothing to say */
};

static const int end_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, -1 };

static void on_run_note(void *arg, const char *line)
{
	run_notes_of_guest(arg, line);
}

static void on_run_console_help(void *arg, const char *text)
{
	const struct run *r = arg;

	run_notes_show(r->notes, text);
}

/*
 * Prints how the guest has ended to a file, whose storage may take its time: the guest's end waits
 * for that and can be asked about. All else is told afterwards, when the terminal is in order.
 */
static bool are_run_notes_busy(void *arg)
{
	struct run *r = arg;
	int ret = *r->line ? run_notes_put_to_file(r->notes, r->line) : -ENOTSUP;

	if (!ret)
		*r->line = '\0';
	return ret == -EAGAIN || run_notes_busy(r->notes);
}

static s64 run_notes_are_held(void *arg, const char **file)
{
	const struct run *r = arg;

	*file = "stderr";
	return run_notes_held_ms(r->notes);
}

static void on_run_start_failed(void *arg, const char *line)
{
	const struct run *r = arg;

	run_notes_put(r->notes, line);
}

static void on_run_started(void *arg, const char *name)
{
	struct run *r = arg;

	detach_done(r->detach, name);
}

static void on_before_confinement(void *arg)
{
	struct run *r = arg;

	run_notes_look(r->notes);
	if (r->o.stats)
		stats_open(r->stats);
}

static int on_descriptor(void *arg, int fd, const char *what, struct err *e)
{
	(void)arg;
	(void)fd;
	(void)what;
	(void)e;
	return 1;
}

/*
 * Returns true for /dev/fd/N, /proc/self/fd/N, a file of options, where anything may stand, and for
 * options that take a descriptor.
 */
static bool may_name_descriptor(const struct guest_spec *s, int argc, char **argv)
{
	if (guest_spec_descriptors(s, on_descriptor, NULL, NULL))
		return true;
	for (int i = 0; i < argc; i++)
		if (strstr(argv[i], "fd/") || !strncmp(argv[i], "--config", strlen("--config")))
			return true;
	return false;
}

static void run_release(struct run *r)
{
	run_notes_end(r->notes);
	detach_free(r->detach);
	stats_close(r->stats);
	confine_free(r->confine);
	run_options_free(&r->o);
}

/* Returns true if a guest that ended by itself may have ended before its kernel was prepared. */
static bool run_was_short(const struct guest_spec *s, int code, u64 ns)
{
	const u64 long_enough = 60ULL * 1000000000;

	return (code == EXIT_CODE_POWEROFF ||
		(code >= EXIT_CODE_REBOOT && code <= EXIT_CODE_HALTED && code != EXIT_CODE_KVM)) &&
	       !s->firmware && !s->no_cache && ns < long_enough;
}

/*
 * Counts this start's system calls by a second, traced start, whose time does not count as this
 * one's.
 */
static void begin_stats(struct run *r, int argc, char **argv)
{
	u64 before;

	r->exec_ns = stats_exec_ns();
	if (guest_spec_has_sessions(&r->o.spec))
		return;
	before = now_ns();
	r->syscalls = syscount_start(argc, argv);
	r->exec_ns += now_ns() - before;
}

/*
 * Forks into the processes that this command consists of. Returns 0 in the guest's process; 1 in
 * another one, when the guest has ended or runs detached, with *code as the exit code; -errno.
 */
static int fork_processes(struct run *r, int *code, struct err *e)
{
	struct confine_start start = {
		.mode = r->o.spec.confine,
		.user = r->o.spec.user,
		.ends = end_signals,
		.inherited = &r->inherited,
	};
	int ret = r->o.detach ? detach_fork(&r->detach, code, e) : 0;
	bool damaged = false;
	u64 begin;

	if (r->o.stats)
		r->stats = stats_create(r->o.spec.confine != CONFINE_OFF &&
					r->o.spec.confine != CONFINE_MANAGED);
	if (!ret)
		ret = detach_prepare_supervisor(r->detach, e);
	if (ret)
		return ret;
	if (r->detach)
		start.news = (struct confine_news){ detach_name_fd(r->detach), detach_on_name,
						    r->detach };
	if (start.mode == CONFINE_MANAGED && r->o.spec.kernel && !r->o.spec.firmware &&
	    !r->o.spec.no_cache)
		kernel_cache_look_at_shared();
	begin = now_ns();
	ret = confine_fork(&r->confine, &start, code, &damaged, e);
	if (!ret && detach_keeps_log(r->detach))
		run_notes_limit(r->notes, RUN_NOTES_LOG);
	if (!ret && confine_is_supervised(r->confine))
		detach_leave_to_supervisor(r->detach);
	if (ret == 1)
		detach_ended(r->detach, *code);
	if (ret == 1 && damaged)
		kernel_cache_forget(r->o.spec.kernel);
	if (ret == 1 && run_was_short(&r->o.spec, *code, now_ns() - begin))
		kernel_cache_complete(r->o.spec.kernel);
	return ret;
}

/* Has the measurements of --stats printed; nobody waits for their reader. */
static void put_stats(const struct run *r, struct guest *g)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return;
	stats_print(r->stats, guest_machine(g), r->syscalls, to);
	if (!fclose(to))
		run_notes_put_text(r->notes, text);
	free(text);
}

/*
 * Runs the assembled guest to its end and returns the exit code. The terminal is put in order
 * before anything is printed.
 */
static int run_to_the_end(struct run *r, struct guest *g)
{
	struct err e = { "" }, end = { "" };
	int code = guest_run(g, &e);
	int ret;

	guest_exit_line(g, code, r->line, sizeof(r->line));
	if (*e.text)
		snprintf(r->line, sizeof(r->line), "%s", e.text);
	ret = guest_end(g, &end);
	if (*r->line)
		run_notes_put(r->notes, r->line);
	if (ret) {
		run_notes_put(r->notes, end.text);
		code = code ? code : EXIT_CODE_ERROR;
	}
	if (r->o.stats && code != EXIT_CODE_ERROR)
		put_stats(r, g);
	return code;
}

/* Runs the guest in its process, from the spec to the exit code, which it returns. */
static int run_guest(struct run *r)
{
	const struct guest_config c = {
		.spec = &r->o.spec,
		.confine = r->confine,
		.inherited = &r->inherited,
		.end_signals = end_signals,
		.exec_ns = r->exec_ns,
		.front = {
			.arg = r,
			.notes = { on_run_note, r->notes },
			.before_confinement = on_before_confinement,
			.start_failed = on_run_start_failed,
			.started = on_run_started,
			.console_help = on_run_console_help,
			.notes_busy = are_run_notes_busy,
			.notes_held_ms = run_notes_are_held,
		},
	};
	struct guest *g = NULL;
	struct err e = { "" };
	int code = EXIT_CODE_ERROR;

	if (!guest_create(&g, &c, &e)) {
		run_notes_serve(r->notes, machine_host(guest_machine(g)));
		code = run_to_the_end(r, g);
		run_notes_leave(r->notes);
	}
	/* If there is a supervisor, which outlives this process, it keeps the exit code. */
	if (!confine_is_supervised(r->confine))
		detach_ended(r->detach, code);
	guest_destroy(g);
	return code;
}

int cmd_run(int argc, char **argv)
{
	struct run_notes notes;
	struct err e = { "" };
	struct run r = { .notes = &notes };
	int code = EXIT_CODE_ERROR, ret;

	if (run_options_parse(&r.o, argc, argv, &e)) {
		run_options_free(&r.o);
		return cli_mistake("run", &e);
	}
	if (r.o.help) {
		run_options_help(stdout);
		run_options_free(&r.o);
		return 0;
	}
	r.o.spec.kvm_known = getenv("UMBRA_KVM_KNOWN");
	run_notes_init(&notes);
	if (r.o.stats)
		begin_stats(&r, argc, argv);
	ret = r.o.detach ? detach_check(&e) : 0;
	if (!ret) {
		descriptors_look(&r.inherited, may_name_descriptor(&r.o.spec, argc, argv));
		/* The starter may have ignored SIGCHLD; this process waits for its children. */
		signal(SIGCHLD, SIG_DFL);
		ret = fork_processes(&r, &code, &e);
	}
	if (!ret)
		code = run_guest(&r);
	else if (ret < 0)
		code = cli_fail(&e);
	run_release(&r);
	return code;
}
