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
#include "vmm/confine/confine_news.h"

#define SUPERVISOR_FILES 10

/* The VMM's first message, before it parses anything: the files to be removed at its end. */
struct supervisor_packet {
	u32 n;
	u32 unused; /* bits of those that are removed only if empty, and the guest never started, */
	u32 spare;  /* ... or of these, whether it did or not */
	struct socket_id ids[SUPERVISOR_FILES];
	char paths[3800]; /* @n of them, each with its NUL */
};
/* A pipe in packet mode takes 4096 bytes at once. */
_Static_assert(sizeof(struct supervisor_packet) <= 4096, "a packet");

/* The second, of one byte: the guest starts, and what confine_note() says. */
#define SUPERVISOR_READY 1
#define SUPERVISOR_NOTE	 2

/*
 * Waits for the end of @vmm; returns its exit code, or 128 + the signal that killed it. All of
 * @signals, with SIGCHLD, SIGTSTP and, for @news, SIGIO among them, are blocked. From @guard, a
 * pipe in packet mode that does not block, these two packets count, and nothing after them: by then
 * a guest may have taken over the VMM. A VMM that a guest's file has taken over could forge the
 * second one at most.
 * *note: SUPERVISOR_NOTE was set in it.
 */
int supervise(pid_t vmm, const sigset_t *signals, int guard, const struct confine_news *news,
	      bool *note);

#endif
