/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Implements the client's end of the control socket, by which `vmm ps`, `vmm stop`, `vmm driver`
 * and the like talk to a guest that runs in another process. Nothing here waits for ever: a VMM
 * that is stopped or hangs is an error after the client's time limit.
 */
#ifndef UMBRA_VMM_CONTROL_CLIENT_H
#define UMBRA_VMM_CONTROL_CLIENT_H

#include <jansson.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/types.h"

#define CLIENT_TIMEOUT_MS 10000

struct client;

/*
 * Connects to guest @name, or with NULL to the only one that runs, and negotiates. @timeout_ms is
 * how long to wait for each answer; -1: for ever (the load of a driver has no limit). -ENOENT: it
 * does not run; -ENOTUNIQ: NULL, and several run; -ETIMEDOUT: its VMM does not answer.
 */
int client_open(struct client **out, const char *name, int timeout_ms, struct err *e);
/* Does the same without negotiation: only client_pid() and client_close() are of use. */
int client_dial(struct client **out, const char *name, struct err *e);
void client_close(struct client *c); /* NULL allowed */

/* Returns the guest's name; lives as long as @c. */
const char *client_name(const struct client *c);
/*
 * Returns the process that listens, as the kernel tells (SO_PEERCRED); 0: not in our pid namespace.
 */
pid_t client_pid(const struct client *c);
/* Returns true until the VMM has closed its end. */
bool client_connected(const struct client *c);

/*
 * Sends @command and waits for its answer; *out is the "return" value (may be NULL if of no
 * interest). @args is stolen, NULL: none. -EREMOTEIO: the VMM refused, @e has its text.
 */
int client_call(struct client *c, const char *command, json_t *args, json_t **out, struct err *e);
/* Hands over a copy of @fd under @fdname, for a command that names it ("getfd"). */
int client_give_fd(struct client *c, const char *fdname, int fd, struct err *e);
/*
 * Waits for the next event, at most @timeout_ms (-1: for ever); *out is the whole object. 0;
 * -ENOTCONN: the VMM has ended; -ETIMEDOUT.
 */
int client_event(struct client *c, int timeout_ms, json_t **out);

/* Does client_open(), client_call() and client_close(); waits for the answer without a limit. */
int client_call_once(const char *name, const char *command, json_t *args, json_t **out,
		     struct err *e);
/* A file that a command is about: open, and its path for messages, which is UTF-8. */
struct client_file {
	int fd;
	const char *path;
};

/* No VMM reads more of one. */
#define CLIENT_FILE_MAX ((size_t)64 << 20)

/*
 * Does the same with a file, of which the VMM gets a sealed copy in memory (base/sealed_file.h):
 * it waits for no storage, and the file may change meanwhile. The VMM finds it as "path" and "fd"
 * in @args. -EFBIG.
 */
int client_call_once_file(const char *name, const char *command, json_t *args,
			  const struct client_file *file, json_t **out, struct err *e);

/*
 * Lists the names of all running guests of this user (malloc'ed array of strings), sorted; removes
 * leftovers. Starts no unit of systemd's whose socket is among theirs.
 */
int client_list(char ***out, size_t *n, struct err *e);
void client_list_free(char **names, size_t n);

#endif
