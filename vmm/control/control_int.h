/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of the control socket among its files: peer.c moves bytes and descriptors of
 * one client, qmp.c parses and executes them, control.c has the socket and all clients.
 */
#ifndef UMBRA_VMM_CONTROL_CONTROL_INT_H
#define UMBRA_VMM_CONTROL_CONTROL_INT_H

#include "base/socket_file.h"
#include "vmm/control/control.h"
#include "vmm/control/peer.h"

#define NAMED_FDS  16 /* of one client */
#define FDNAME_MAX 64

struct named_fd {
	int fd; /* -1: free */
	char name[FDNAME_MAX];
};

/* One client, with its open requests. */
struct qmp_client {
	struct peer peer; /* first: a callback's struct peer is the client */
	struct control *c;
	bool negotiated;
	u64 last;      /* when it last spoke, in the control's own count of events */
	bool skips;    /* the rest of a line that is no JSON */
	bool waits;    /* it has input, and it is not its turn yet */
	u64 turn_ends; /* CLOCK_MONOTONIC: of its present turn */
	struct control_request *requests; /* not answered yet */
	unsigned n_requests;
	struct named_fd named[NAMED_FDS];
};

struct control_request {
	struct control_request *next;
	struct qmp_client *client; /* NULL: gone */
	json_t *id;
};

struct command_table {
	struct command_table *next;
	const struct control_command *commands;
	void *arg;
};

struct control {
	struct loop *loop;
	struct command_table *tables;
	const struct control_absence *absences; /* or NULL */
	struct err refusal;			/* empty: commands are executed */
	char *path;				/* or NULL: it has no file */
	struct socket_id id;			/* of the socket's file */
	bool disowned;				/* its removal is another process's */
	control_close_fn *close_fd;		/* or NULL */
	void *close_arg;
	bool drops; /* descriptors are closed as soon as they come */
	struct control_listener {
		struct control *c;
		int fd;
	} own, given; /* the file's, and one that control_listen_on() has taken; fd -1: none */
	u64 events;
	struct qmp_client *clients[CONTROL_CLIENTS];
	int turns;   /* a timer, by which the loop comes to clients that wait */
	size_t next; /* index of the client whose turn is the next one */
};

/* Sends the greeting. -errno: the client must go, as below. */
int qmp_greet(struct qmp_client *q);
/* Returns true if the socket itself, or a table, has command @name. */
bool qmp_has_command(const struct control *c, const char *name);
/* Takes whole objects off the input and executes them, until its turn is over. */
int qmp_input(struct qmp_client *q);
/* Sends @o, which stays the caller's. */
int qmp_say(struct qmp_client *q, const json_t *o);
/*
 * Detaches the open requests of a client that goes, and drops the descriptors that it had named.
 */
void qmp_forget(struct qmp_client *q);
/* Drops the descriptors that the client has named. */
void qmp_drop_fds(struct qmp_client *q);

#endif
