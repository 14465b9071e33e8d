/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parent of a confined VMM: passes signals on, and does afterwards what the VMM cannot do any
 * more: remove the sockets' files, restore the terminal, say that it was killed. See confine.h.
 */
#ifndef UMBRA_VMM_CONFINE_SUPERVISOR_H
#define UMBRA_VMM_CONFINE_SUPERVISOR_H

#include <signal.h>
#include <sys/types.h>

/* What the VMM may send: paths, each with its NUL, in one packet. */
#define SUPERVISOR_PACKET 4096

/*
 * Wait for the end of @vmm; its exit code, or 128 + the signal that killed it. All of @signals, with
 * SIGCHLD and SIGTSTP among them, are blocked. From @guard, a pipe in packet mode that does not
 * block, the first packet counts, and nothing after it: by then a guest may have taken over the VMM.
 */
int supervise(pid_t vmm, const sigset_t *signals, int guard);

#endif
