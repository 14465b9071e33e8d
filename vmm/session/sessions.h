/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Offers the session layer of one guest to the rest of vmm. All calls are made on the loop's
 * thread.
 *
 * Its life, with the function on each arrow; the states are what the room calls its phase:
 *
 *   (none) --sessions_open()--> OPEN --sessions_prepare()--> PREPARED --sessions_start()--> STARTED
 *                               |  ^                           |                            | |
 *                               |  +------- sessions_reset() --|----------------------------+ |
 *                               |  |                           |             sessions_rest()  v
 *                               |  +------- sessions_reset() --|-------------------------- RESTING
 *                               |                              |                              |
 *                               +------------------------------+--- sessions_finish() --------+
 *                                                              |
 *                                                              v
 *                                                           (none)
 *
 *  (P0) OPEN: all files are open, and nothing that a stranger wrote was read: that comes when the
 *       VMM is confined, and can open no file.
 *  (P1) PREPARED: everything that can be checked on the host was checked, also the drivers of the
 *       command line, and nothing of the guest was touched but its memory slots. In this state
 *       sessions_initrd() and sessions_cmdline() say what the guest is to be started with.
 *  (P2) sessions_start() is called before the guest's first instruction, at its first start and
 *       after each reset: the shim's hello, which may come at any moment from then on, finds the
 *       loop.
 *  (P3) STARTED: the guest runs. Commands of the control socket are served, and when the guest's
 *       init is up, the drivers of the command line are loaded one after the other.
 *  (P4) sessions_complete() is asked in STARTED only, after a guest that ended by its own will.
 *  (P5) sessions_finish() follows every sessions_open() that returned 0, from all states, after
 *       the vCPUs have ended (no call is in progress), and before the gate ends and the control
 *       socket is closed: those that still wait for an operation are told that the guest has
 *       ended.
 *  (P6) RESTING: the guest has ended and its VMM stays (--no-shutdown). Those that waited are told
 *       so, and what needs a guest that runs is refused; memory can be looked at.
 *  (P7) A reset takes all sessions and drivers away with the kernel that they were made for. The
 *       drivers of the command line come again, as at the first start and from their files as they
 *       are then, also one that was unloaded meanwhile. Drivers that clients loaded do not: their
 *       copies are not kept, and a client that loads them anew gets an answer, while the VMM had
 *       nobody to tell if that failed. A note names them. The policy in force stays; a driver that
 *       it has no place for, which can be one that was unloaded, is left out with a note.
 */
#ifndef UMBRA_VMM_SESSION_SESSIONS_H
#define UMBRA_VMM_SESSION_SESSIONS_H

#include "base/err.h"
#include "base/types.h"

struct closer;
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
 * sessions_reset() or sessions_finish(). @k is relocatable or at its link-time address, with its
 * symbols loaded; @kaslr is the shift that it will get. After an error only finish is left.
 */
int sessions_prepare(struct sessions *s, struct kernel *k, u64 kaslr, struct gate *g,
		     struct err *e);
/* Gives the archive to put before the user's initrd, page-aligned in guest RAM; owned by @s. */
void sessions_initrd(const struct sessions *s, void **prefix, size_t *len);
/* Returns the kernel's command line in place of spec->append. Owned by @s. */
const char *sessions_cmdline(const struct sessions *s);
/*
 * Starts the sessions. @c gets the commands about them, at the first start; NULL: there is no
 * socket. After an error only finish is left.
 */
int sessions_start(struct sessions *s, struct loop *l, struct control *c, struct err *e);
/*
 * Returns 0 if the guest came so far that all drivers of the command line were loaded; else -errno
 * and a line.
 */
int sessions_complete(const struct sessions *s, struct err *e);
/*
 * Ends what waits for a guest that has ended, STARTED to RESTING: no vCPU runs any more.
 */
void sessions_rest(struct sessions *s);
/*
 * Forgets sessions and drivers, from STARTED or RESTING to OPEN, before the gate is reset. The
 * kernel may be gone already.
 */
void sessions_reset(struct sessions *s);
/*
 * Has @c close the files that are still open, in place of sessions_finish(), which might wait for
 * their storage.
 */
void sessions_release_files(struct sessions *s, struct closer *c);
/*
 * Returns for how many milliseconds the file of a client has been copied, a driver or a policy,
 * with its name in *file; 0: there is none.
 */
s64 sessions_file_held_ms(const struct sessions *s, const char **file);
/*
 * Serves the event loop until no file of a client is copied any more, and takes no more of them: at
 * the guest's end, as long as somebody could ask what is waited for.
 */
void sessions_await_files(struct sessions *s);
/* Frees @s (NULL allowed). */
void sessions_finish(struct sessions *s);

#endif
