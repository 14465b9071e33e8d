/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of the monitor among its files: monitor.c creates it, with name and socket;
 * run_state.c pauses, resumes and ends the guest and sends the events of that; query.c and block.c
 * answer QEMU's questions, info.c those of `vmm info`.
 */
#ifndef UMBRA_VMM_MONITOR_MONITOR_INT_H
#define UMBRA_VMM_MONITOR_MONITOR_INT_H

#include "vmm/control/control.h"
#include "vmm/monitor/monitor.h"

enum monitor_state {
	MONITOR_PRELAUNCH, /* no vCPU has been in the guest */
	MONITOR_RUNNING,
	MONITOR_PAUSED,
	MONITOR_ENDED, /* see struct monitor.code; with --no-shutdown a reset may follow */
};

struct info_section {
	struct info_section *next;
	const char *name;
	monitor_info_fn *fn;
	void *arg;
};

struct monitor {
	struct machine *m;
	const struct guest_spec *spec;
	struct control *control;
	struct closer *closer; /* of the control socket's clients, or NULL as that is */
	char *name, *socket;
	char given[120];	   /* the path of the socket that --control has named, or "" */
	struct platform *platform; /* or NULL */
	struct console *console;   /* or NULL */
	struct info_section *sections, **sections_tail;
	enum monitor_state state;
	int code;	/* MONITOR_ENDED: the exit code (base/exit_code.h) */
	bool by_client; /* "quit" ended the guest: (E11) of machine.h */
	bool resets;	/* "system_reset" reset it: (E10) of machine.h */
	bool pausing;	/* running, but asked to pause */
	bool rests;	/* MONITOR_ENDED, and the process stays: --no-shutdown */
	bool goes_on;	/* "cont" came after the "system_reset" of a guest that rests */
	struct loop_call late_reset;
	struct control_request **stops;
	size_t n_stops; /* requests to pause, answered when it has */
};

extern const struct control_command monitor_run_commands[];
extern const struct control_command monitor_query_commands[];
extern const struct control_command monitor_block_commands[];

/* These are start() and quiesce() of monitor_part. */
int monitor_on_start(void *part, bool again, struct err *e);
void monitor_on_quiet(void *part);
/* Returns the guest's state as query-status names it: "running", "paused", ... */
const char *monitor_state_name(const struct monitor *mon);
/* Adds the sections of `vmm info` that every guest has. */
int monitor_add_own_sections(struct monitor *mon);

#endif
