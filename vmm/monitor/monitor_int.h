/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of the monitor among its files: monitor.c creates it, with name and socket;
 * run_state.c pauses, resumes and ends the guest and sends the events of that; query.c, block.c and
 * balloon.c answer QEMU's questions, qom.c those about the tree of its objects, hmp.c those of its
 * monitor for people, info.c those of `vmm info`; dump.c writes the guest's memory to a file,
 * client_files.c closes files, port_events.c tells which ports the guest has open. What does not
 * depend on the guest is in emulator.h.
 */
#ifndef UMBRA_VMM_MONITOR_MONITOR_INT_H
#define UMBRA_VMM_MONITOR_MONITOR_INT_H

#include "vmm/control/control.h"
#include "vmm/monitor/event_rate.h"
#include "vmm/monitor/monitor.h"

enum monitor_state {
	MONITOR_PRELAUNCH, /* no vCPU has been in the guest */
	MONITOR_RUNNING,
	MONITOR_PAUSED,
	MONITOR_ENDED, /* see struct monitor.code; with --no-shutdown a reset may follow */
};

struct dump;

struct info_section {
	struct info_section *next;
	const char *name;
	monitor_info_fn *fn;
	void *arg;
};

/* Requests that wait for the ids of vCPUs' threads; query.c's. */
struct cpu_queries {
	struct control_request **waiting;
	size_t n;
	int timer; /* or -1 */
	unsigned looks;
};

struct monitor {
	struct machine *m;
	const struct guest_spec *spec;
	struct control *control;
	struct closer *closer; /* of what clients pass, and of files at the end */
	char *name, *socket;
	char given[120];	   /* the path of the socket that --control has named, or "" */
	int held;		   /* of socket_dir_hold() for it, or below 0 */
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
	size_t n_stops;	   /* requests to pause, answered when it has */
	struct dump *dump; /* the last one, or NULL */
	bool no_dumps; /* the end or a reset has waited for it: until the guest starts or rests */
	struct cpu_queries cpus;
	struct event_rate balloon_changes;
	u64 balloon_told;			 /* the guest's size in bytes, as clients know it */
	struct event_rate ports[SPEC_MAX_PORTS]; /* that the guest opens or closes them */
};

extern const struct control_command monitor_run_commands[];
extern const struct control_command monitor_query_commands[];
extern const struct control_command monitor_block_commands[];
extern const struct control_command monitor_dump_commands[];
extern const struct control_command monitor_qom_commands[];
extern const struct control_command monitor_hmp_commands[];
extern const struct control_command monitor_balloon_commands[];

/* These are start() and quiesce() of monitor_part. */
int monitor_on_start(void *part, bool again, struct err *e);
void monitor_on_quiet(void *part);
/*
 * Asks whether a dump has the guest: it is to be paused for one, or one is being written. Nobody
 * resumes, pauses or resets it meanwhile.
 */
bool monitor_is_dumping(const struct monitor *mon);
/*
 * Returns for how many milliseconds this host's kernel has held a dump's file, *file; 0: it does
 * not.
 */
s64 monitor_dump_held_ms(const struct monitor *mon, const char **file);
/* Goes on with a dump that has waited for the pause. */
void monitor_dump_paused(struct monitor *mon);
/* Ends a dump that is under way, waiting for its file if that takes nothing, and frees it. */
void monitor_free_dump(struct monitor *mon);
/* Lets the guest, which is paused, go on, and tells of it; here, since a dump does so, too. */
static inline void monitor_resume(struct monitor *mon)
{
	machine_resume(mon->m);
	mon->state = MONITOR_RUNNING;
	control_event(mon->control, "RESUME", NULL);
}

/* Returns the guest's state as query-status names it: "running", "paused", ... */
const char *monitor_state_name(const struct monitor *mon);
/* Prepares monitor_on_balloon(), which sends BALLOON_CHANGE as event_rate.h has it. */
void monitor_balloon_begin(struct monitor *mon);
void monitor_on_balloon(void *arg);
/* Ends the requests that wait for the ids of vCPUs' threads. */
void monitor_query_end(struct monitor *mon);
/* Prepares VSERPORT_CHANGE, has it sent for the ports of @c from now on, and ends its timers. */
void monitor_ports_begin(struct monitor *mon);
void monitor_ports_watch(struct monitor *mon, struct console *c);
void monitor_ports_end(struct monitor *mon);
/* Adds the sections of `vmm info` that every guest has. */
int monitor_add_own_sections(struct monitor *mon);

#endif
