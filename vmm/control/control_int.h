/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside of the control socket: control.c moves bytes and descriptors, control_qmp.c knows what they
 * mean.
 */
#ifndef UMBRA_VMM_CONTROL_CONTROL_INT_H
#define UMBRA_VMM_CONTROL_CONTROL_INT_H

#include "vmm/control/control.h"

/* A command is short, and what is not complete is parsed anew with each piece that comes. */
#define PEER_INPUT_MAX	(64u << 10)
#define PEER_OUTPUT_MAX (8u << 20) /* not sent yet; the buffer is at most twice that */

#define NAMED_FDS  16 /* of one client */
#define LOOSE_FDS  4  /* that came with its bytes and were not named yet */
#define FDNAME_MAX 64

struct named_fd {
	int fd; /* -1: free */
	char name[FDNAME_MAX];
};

struct peer {
	struct control *c;
	int fd;
	bool negotiated;
	u64 last; /* when it last spoke, in the control's own count of events */
	char *in;
	size_t in_len;
	char *out;
	size_t out_len, out_done;
	struct control_request *requests; /* not answered yet */
	unsigned n_requests;
	int loose[LOOSE_FDS];
	unsigned n_loose;
	struct named_fd named[NAMED_FDS];
};

struct control_request {
	struct control_request *next;
	struct peer *peer; /* NULL: gone */
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
	char *path;
	int fd;
	u64 events;
	struct peer *peers[CONTROL_CLIENTS];
};

/* control_qmp.c */

/* Send the greeting. -errno: the client must go, as below. */
int qmp_greet(struct peer *p);
/* Take whole objects off the input and execute them. */
int qmp_input(struct peer *p);
/* The client goes: nobody waits for its answers any more. */
void qmp_forget(struct peer *p);

/* control.c */

/* Queue @len bytes and send what the socket takes. -errno: the client must go. */
int peer_send(struct peer *p, const char *text, size_t len);

#endif
