/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waits as the parent of a confined VMM: passes signals on, and does afterwards the work that the
 * VMM has no more rights to do: removes the sockets' files, restores the terminal, says that it was
 * killed. See confine.h.
 */
#ifndef UMBRA_VMM_CONFINE_SUPERVISOR_H
#define UMBRA_VMM_CONFINE_SUPERVISOR_H

#include <signal.h>
#include <sys/types.h>

#include "base/socket_file.h"

#define SUPERVISOR_FILES 8

/* The VMM's only message: the sockets' files that are to be removed at its end. */
struct supervisor_packet {
	u32 n;
	struct socket_id ids[SUPERVISOR_FILES];
	char paths[3800]; /* @n of them, each with its NUL */
};
/* A pipe in packet mode takes 4096 bytes at once. */
_Static_assert(sizeof(struct supervisor_packet) <= 4096, "a packet");

/*
 * Wait for the end of @vmm; its exit code, or 128 + the signal that killed it. All of @signals,
 * with SIGCHLD and SIGTSTP among them, are blocked. From @guard, a pipe in packet mode that does
 * not block, the first packet counts, and nothing after it: by then a guest may have taken over the
 * VMM.
 */
int supervise(pid_t vmm, const sigset_t *signals, int guard);

#endif
