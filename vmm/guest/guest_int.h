/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of a guest among its files: guest.c assembles and frees it, guest_parts.c makes
 * its parts, guest_start.c confines the VMM and starts them, guest_run.c runs them and ends them.
 */
#ifndef UMBRA_VMM_GUEST_GUEST_INT_H
#define UMBRA_VMM_GUEST_GUEST_INT_H

#include "vmm/boot/symbolize.h"
#include "vmm/guest/guest.h"

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

/*
 * Makes all parts, which open what the spec names and parse nothing. After guest_boot_create(), if
 * no firmware starts the guest.
 */
int guest_create_parts(struct guest *g, struct err *e);

/* Gets a descriptor for the signals that end the guest; before any thread exists. */
int guest_block_signals(struct guest *g, struct err *e);
/* Has them end the guest from here on. */
int guest_watch_signals(struct guest *g, struct err *e);
/*
 * Confines the process: from here on it opens nothing, and files that a stranger may have made are
 * parsed afterwards only.
 */
int guest_confine(struct guest *g, struct err *e);
/* Starts all parts, at the first start and after each reset; no vCPU executes yet. */
int guest_start_parts(struct guest *g, struct err *e);
/*
 * Has a damaged prepared kernel dropped from the cache, by the supervisor if this process is
 * confined, and tells the supervisor that the guest starts.
 */
int guest_ready(struct guest *g, struct err *e);

#endif
