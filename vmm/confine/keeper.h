/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keeper: starts a process that serves the VMM (its server: the one that moves a user-mode
 * network's frames, or the one that connects to a disk's back end), starts it again when it dies,
 * and tells the VMM of both.
 *
 * A server has given up what another start needs: the rights to make namespaces, to open sockets
 * and files. The VMM can neither fork nor exec by then. Its supervisor could, but would have to
 * learn of helpers and take orders from the VMM. So the keeper keeps its rights (root's, or
 * CAP_SYS_ADMIN in the VMM's user namespace) as the supervisor does, and is out of the guest's
 * reach as well: it sees nothing of what server and VMM exchange; of the server it learns that a
 * packet has come, whatever is in it, and that it has ended; from the VMM it reads nothing. Another
 * start is a fork, so what was loaded at first is what runs.
 *
 * What a server held is lost with it: a network's connections do not outlive it. A server that dies
 * more than KEEPER_RESTARTS times within KEEPER_PERIOD_MS has a cause that another start does not
 * mend: the keeper ends then.
 */
#ifndef UMBRA_VMM_CONFINE_KEEPER_H
#define UMBRA_VMM_CONFINE_KEEPER_H

#include <stddef.h>

#include "base/err.h"

#define KEEPER_RESTARTS	 3 /* within KEEPER_PERIOD_MS */
#define KEEPER_PERIOD_MS 60000
#define KEEPER_PAUSE_MS	 1000 /* between an end and the next start */
#define KEEPER_LINE	 64   /* an answer to the server, with its NUL */

struct keeper_job {
	const char *what;    /* the option that it is for, first in each line for people */
	const char *process; /* what people call the server: "its process" */
	const char *loss;    /* what holds until the next start: "the guest's link is down" */
	const char *name;    /* of the server, for ps and top; at most 15 bytes */
	/*
	 * The server, in a child process, which exits with EXIT_CODE_ERROR if it returns -errno.
	 * @channel, SEQPACKET and non-blocking, leads to the VMM; its first packet is the keeper's:
	 * one byte when all is set up, else a line for people. @link, SEQPACKET, leads to the
	 * keeper, which answers each packet by answer().
	 */
	int (*run)(void *arg, int channel, int link);
	/* Writes an answer, of KEEPER_LINE bytes at most, to @line. NULL: nothing is asked. */
	void (*answer)(char *line);
	void *arg;
};

/*
 * Keeps a server running until the VMM, at the other end of HELPER_FD (vmm/confine/helper.h), is
 * gone. It sends packets to the VMM: with a descriptor, the server runs and its channel is that;
 * without one, a line that says why it does not. 0 or -errno.
 */
int keeper_run(const struct keeper_job *job);

/* --- the VMM's side ------------------------------------------------------------------------ */

enum keeper_news {
	KEEPER_NOTHING, /* to read */
	KEEPER_DOWN,	/* the server has ended: the text says how, and what follows */
	KEEPER_UP,	/* there is a server, and the descriptor is its channel */
	KEEPER_GONE,	/* the keeper has ended too: there will be no server any more */
};

/*
 * Reads one packet of @keeper, a socket that does not block, when there is something to read or it
 * has hung up. *why: the line of KEEPER_DOWN. *channel: of KEEPER_UP, the caller's, else -1.
 */
enum keeper_news keeper_read(int keeper, int *channel, struct err *why);

#endif
