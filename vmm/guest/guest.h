/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a guest from a spec and runs it to its exit code. It knows no command line and prints
 * nothing: `vmm run` is one front end of it, an emulator for libvirt and a restore from a snapshot
 * can be others. A call's error is in its struct err; all else that people should know goes to the
 * front end's notes (guest_front.h, base/note.h), from the guest's creation to its end and from all
 * rooms.
 *
 *	guest_create()		everything that the spec names is opened and assembled, the VMM
 *				confined, and what strangers wrote is read: kernel, policy, drivers
 *	guest_run()		from the first instruction to the end of the last kernel
 *	guest_exit_line()	why it ended, for people
 *	guest_end()		consoles, devices, sessions and the control socket go
 *	guest_destroy()		the rest
 *
 * In between the machine answers: machine_pause(), machine_resume() and machine_exit() of
 * guest_machine(), on the main thread; EXIT_CODE_REBOOT resets the guest. vmm/machine/machine.h has
 * the table of a machine's ends, and what --no-shutdown makes of them.
 *
 * The parts, by vmm/machine/lifecycle.h, from the ground up, which is the order in which
 * guest_create() makes them; after the name: the turns of a guest's life at which the part does
 * something.
 *
 *  part          when               turns
 *  machine       always             reset: memory, interrupts, vCPUs as created; machine_destroy()
 *  monitor       always             start: the event RESET; quiesce: the event STOP; end
 *  gate          --driver ...       start: memory slots and ports, for the kernel, which it parses;
 *                                   reset: forgets callers, names, entries, commands; end: the
 *                                   same, and the record
 *  sessions      --driver ...       start: parses policy and drivers; reset: forgets sessions and
 *                                   drivers; end: the same
 *  direct boot   without firmware   start: parses the kernel, places it; reset: forgets it
 *  panic watch   always             reset: forgets the old kernel; end
 *  platform      always             start: looks into images of disks; reset: devices as created;
 *                                   end: devices and their threads
 *  firmware      with --firmware    start: reads image and kernel; reset: chips as created; end
 *  console       always             start: the terminal; reset: the serial port; end: rest of the
 *                                   output, terminal
 *
 * Gate and sessions have no quiesce: calls stand still with the vCPUs, and a command waits for the
 * guest that is to take it. They are made anew for the kernel that a reset starts: (P7) of
 * vmm/session/sessions.h says which drivers come again.
 *
 * The caller has forked already, if it wants a process outside that survives the guest (detach.h,
 * confine_fork()): guest_create() makes threads and gives up rights.
 */
#ifndef UMBRA_VMM_GUEST_GUEST_H
#define UMBRA_VMM_GUEST_GUEST_H

#include "base/err.h"
#include "vmm/guest/guest_front.h"
#include "vmm/spec/spec.h"

struct confine;
struct descriptors;
struct guest;
struct machine;

struct guest_config {
	const struct guest_spec *spec; /* outlives the guest */
	/* Of confine_fork(); the caller's. NULL: the VMM is not confined. */
	struct confine *confine;
	/* Descriptors that the process was started with, to be closed; or NULL. */
	struct descriptors *inherited;
	const int *end_signals; /* signals that end the guest; -1 ends the list */
	u64 exec_ns;		/* CLOCK_MONOTONIC at exec, or 0: now */
	struct guest_front front;
};

/*
 * Makes a guest. -errno with a line; nothing is left behind but files that the spec asks for. On
 * success *e is as it was: a note tells what the guest does without.
 */
int guest_create(struct guest **out, const struct guest_config *c, struct err *e);

/*
 * Returns an exit code (base/exit_code.h). With a line in @e the code is EXIT_CODE_ERROR. Once. The
 * clients of the control socket have heard of the end when it returns.
 */
int guest_run(struct guest *g, struct err *e);

/*
 * Writes the line of the request that ended the guest with @code, with symbols; "" if it has none.
 * Serves the event loop as long as the kernel's file is read for them.
 */
void guest_exit_line(struct guest *g, int code, char *buf, size_t len);

/* Ends all parts, after which the terminal is as it was. -errno: see lifecycle_end(). */
int guest_end(struct guest *g, struct err *e);

/* Returns the guest's machine, valid until guest_destroy(). */
struct machine *guest_machine(const struct guest *g);

/* Ends the guest if that was not done, and frees it. NULL allowed. */
void guest_destroy(struct guest *g);

#endif
