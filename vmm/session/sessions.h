/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Offers the session layer of one guest to the rest of vmm. All calls are made on the loop's
 * thread.
 *
 * Its life, with the function on each arrow; the states are what the room calls its phase:
 *
 *   (none) --sessions_open()--> OPEN --sessions_prepare()--> PREPARED --sessions_start()--> STARTED
 *                                |                              |                             |
 *                                +------------------------------+--- sessions_finish() -------+
 *                                                               |
 *                                                               v
 *                                                            (none)
 *
 *  (P0) OPEN: all files are open, and nothing that a stranger wrote was read: that comes when the
 *       VMM is confined, and can open no file.
 *  (P1) PREPARED: everything that can be checked on the host was checked, also the drivers of the
 *       command line, and nothing of the guest was touched but its memory slots. In this state
 *       sessions_initrd() and sessions_cmdline() say what the guest is to be started with.
 *  (P2) sessions_start() is called once, before the guest's first instruction: the shim's hello,
 *       which may come at any moment from then on, finds the loop.
 *  (P3) STARTED: the guest runs. Commands of the control socket are served, and when the guest's
 *       init is up, the drivers of the command line are loaded one after the other.
 *  (P4) sessions_complete() is asked in STARTED only, after a guest that ended by its own will.
 *  (P5) sessions_finish() follows every sessions_open() that returned 0, from all states, after
 *       the vCPUs have ended (no call is in progress), and before the gate ends and the control
 *       socket is closed: those that still wait for an operation are told that the guest has
 *       ended.
 */
#ifndef UMBRA_VMM_SESSION_SESSIONS_H
#define UMBRA_VMM_SESSION_SESSIONS_H

#include "base/err.h"
#include "base/types.h"

struct control;
struct gate;
struct kernel;
struct loop;
struct machine;
struct guest_spec;
struct sessions;

/*
 * Opens the files of the sessions, if guest_spec_has_sessions(). @spec is borrowed until
 * sessions_finish().
 */
int sessions_open(struct sessions **out, struct machine *m, const struct guest_spec *spec,
		  struct err *e);
/*
 * Prepares the sessions for kernel @k, which is borrowed, with its gate @g, until
 * sessions_finish(). @k is relocatable or at its link-time address, with its symbols loaded; @kaslr
 * is the shift that it will get. After an error only finish is left.
 */
int sessions_prepare(struct sessions *s, struct kernel *k, u64 kaslr, struct gate *g,
		     struct err *e);
/* Gives the archive to put before the user's initrd, page-aligned in guest RAM; owned by @s. */
void sessions_initrd(const struct sessions *s, void **prefix, size_t *len);
/* Returns the kernel's command line in place of spec->append. Owned by @s. */
const char *sessions_cmdline(const struct sessions *s);
/*
 * Starts the sessions. @c gets the commands about them; NULL: there is no socket. After an error
 * only finish is left.
 */
int sessions_start(struct sessions *s, struct loop *l, struct control *c, struct err *e);
/*
 * Returns 0 if the guest came so far that all drivers of the command line were loaded; else -errno
 * and a line.
 */
int sessions_complete(const struct sessions *s, struct err *e);
/* Frees @s (NULL allowed). */
void sessions_finish(struct sessions *s);

#endif
