/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates the monitor of a running guest: its name, its control socket, and the commands about the
 * guest as a whole. Modules with commands of their own add a table to monitor_control() (see
 * control.h); a module that has something to say in `vmm info` adds a section.
 *
 * The name: --name, else the first of guest1, guest2, ... that is free, since a person types it. A
 * guest that has no socket cannot be stopped in order by anybody but its own terminal, so --name
 * and --detach fail without one; a guest that was given no name runs on, with a note.
 * --no-control means that none is wanted. --control adds one that another process listens on, with
 * which a guest does without its own, and then without a name of others' ("guest").
 */
#ifndef UMBRA_VMM_MONITOR_MONITOR_H
#define UMBRA_VMM_MONITOR_MONITOR_H

#include <jansson.h>

#include "base/err.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"
#include "vmm/spec/spec.h"

struct closer;
struct console;
struct control;
struct monitor;
struct platform;

/*
 * Listens from here on; requests are served when the machine's loop runs. @spec must outlive it.
 * A guest without a name that cannot have a socket gets a note.
 */
int monitor_create(struct monitor **out, struct machine *m, const struct guest_spec *spec,
		   struct err *e);
/*
 * Frees the monitor, for callers without a lifecycle; else monitor_part's end() calls it. NULL
 * allowed.
 */
void monitor_destroy(struct monitor *mon);
/* start() after a reset sends the event RESET; quiesce() sends STOP. */
extern const struct lifecycle_ops monitor_part;

/* Returns the control socket; NULL: there is none; control_add() takes that. */
struct control *monitor_control(const struct monitor *mon);
/* Returns the guest's name, which lives as long as @mon; NULL: it has none. */
const char *monitor_name(const struct monitor *mon);
/* Returns the control socket's path; NULL: there is none. */
const char *monitor_socket(const struct monitor *mon);
/* Identifies the socket's file; NULL: there is no socket. */
const struct socket_id *monitor_socket_id(const struct monitor *mon);
/* Leaves it to another process to remove the socket's file: this one is about to be confined. */
void monitor_disown_socket(struct monitor *mon);

/* Sets the devices that commands act on; once, and they outlive the last command. */
void monitor_set_devices(struct monitor *mon, struct platform *p, struct console *c);
/*
 * Sends the event SHUTDOWN, after GUEST_PANICKED if the guest has panicked. @code is the guest's
 * exit code (base/exit_code.h). To be called before the sessions and devices end.
 */
void monitor_ended(struct monitor *mon, int code);
/*
 * Begins the end of descriptors: those that clients have passed and nobody has taken are closed,
 * which may wait for what they are, and so are those that still come, a few; further ones are left
 * to the exit of the process. After that the loop is to be served as long as monitor_is_closing(),
 * and not again after monitor_leave_files(): what clients pass then is not looked at, since nobody
 * could ask what is waited for.
 */
void monitor_begin_end(struct monitor *mon);
bool monitor_is_closing(struct monitor *mon);
void monitor_leave_files(struct monitor *mon);
/*
 * Sends what QEMU sends when its process outlives the guest's end (-no-shutdown): SHUTDOWN, or
 * GUEST_PANICKED, and STOP. Clients that wait for a pause have it. From here on `cont` is an error
 * until `system_reset`, at whose start() the guest is paused, unless `cont` has come by then.
 */
void monitor_rests(struct monitor *mon, int code);
/*
 * Asks again, as soon as machine_rest() serves the loop, for a reset that was asked for while the
 * guest ended, too late for machine_exit(): so no client waits for one that nobody remembers. Right
 * before machine_rest(), since a loop that is served earlier would take the request for nothing.
 */
void monitor_ask_again(struct monitor *mon);
/* Returns true from monitor_rests() until the reset that follows it, if any. */
bool monitor_is_at_rest(const struct monitor *mon);
/* Returns true if a client has asked for a reset that was not done yet. */
bool monitor_resets(const struct monitor *mon);
/* Lets a guest go on for which `cont` came while it was reset. When all parts have started. */
void monitor_restarted(struct monitor *mon);

/*
 * Writes a dump of a guest whose vCPUs have stopped, to @fd, which is the monitor's then,
 * and serves the event loop meanwhile. For people: a note, in which @file is named, and the file is
 * left empty if it does not get all.
 */
void monitor_dump_ended(struct monitor *mon, int fd, const char *file);
/* Returns what closes files beside the loop (closer.h); it lives as long as @mon. */
struct closer *monitor_closer(const struct monitor *mon);
/* Closes @fd, as closer.h does; @file is for messages. */
void monitor_close_file(struct monitor *mon, int fd, const char *file);
/* Has a dump that is under way end soon: the guest is to end. NULL allowed. */
void monitor_cancel_dump(struct monitor *mon);
/*
 * Does so, and serves the event loop until it has ended: before the guest's memory is cleared, and
 * at its end. Outside of machine_run().
 */
void monitor_await_dump(struct monitor *mon);

/*
 * Adds section @name to umbra-info, which `vmm info` prints and `vmm info --json` hands on: @fn
 * returns a new reference to any JSON value, or NULL for nothing to say now; it runs on the loop's
 * thread. Members of an object are printed one per line, with '-' in a key as a blank; an array of
 * objects as a table. A name has one section. For example:
 *
 *	monitor_add_info(mon, "confinement", confine_info, c);
 *
 *	static json_t *confine_info(void *arg)
 *	{
 *		return json_pack("{s:s, s:b}", "user", "nobody", "seccomp", 1);
 *	}
 *
 * -ENOMEM. @name must live as long as @mon.
 */
typedef json_t *monitor_info_fn(void *arg);
int monitor_add_info(struct monitor *mon, const char *name, monitor_info_fn *fn, void *arg);
/*
 * Tells in @to, an object of a section, that this host's kernel has been busy with @file for @ms,
 * by the members "file", "error" and "held-ms"; does nothing below MACHINE_HELD_MS. What is held is
 * told in this form only, by which `vmm stop` finds it.
 */
void monitor_tell_held(json_t *to, const char *file, s64 ms);
/* Returns a whole section of that form, a list of one object; NULL: below MACHINE_HELD_MS. */
json_t *monitor_held_section(const char *file, s64 ms);

#endif
