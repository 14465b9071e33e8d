/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket: QMP as QEMU speaks it (docs/interop/qmp-spec of QEMU), so that its tools and
 * libvirt's way in need nothing new: a greeting, qmp_capabilities, then commands with an optional id.
 * Names of our own commands begin with "umbra-".
 *
 * All clients are served by the event loop without ever blocking it: input and output of each are
 * bounded, and a client that babbles, stalls or does not read is dropped. Replies may come later
 * than the next command's, as with QMP's out-of-band commands; ids tell them apart.
 */
#ifndef UMBRA_VMM_CONTROL_H
#define UMBRA_VMM_CONTROL_H

#include <jansson.h>

#include "shadow/err.h"
#include "shadow/types.h"

struct control;
struct control_request;
struct loop;

/*
 * A command. @args is an object (perhaps empty), borrowed. The handler answers now or later, exactly
 * once, by control_reply() or control_fail().
 */
typedef void control_fn(void *arg, struct control_request *r, const json_t *args);

struct control_command {
	const char *name;
	control_fn *fn;
};

/*
 * Listen at @path (created 0600, in a directory of our own). @commands ends with a NULL name and
 * must live as long as the control. -EADDRINUSE: another VMM serves it.
 */
int control_create(struct control **out, struct loop *l, const char *path,
		   const struct control_command *commands, void *arg, struct err *e);
/* Drops all clients and removes the socket. NULL is allowed. */
void control_destroy(struct control *c);

/* Steals @value (NULL: an empty object). */
void control_reply(struct control_request *r, json_t *value);
void control_fail(struct control_request *r, const char *line);

/* Directory of the sockets (malloc'ed, created if @create): $XDG_RUNTIME_DIR/umbra or /run/umbra. */
int control_dir(char **out, bool create, struct err *e);
/* Path of guest @name's socket. */
int control_path(char **out, const char *name, bool create_dir, struct err *e);

/*
 * Client: connect to guest @name, or with NULL to the only one that runs; send @command and wait for
 * its answer. *out is the "return" value. @args is stolen. -EREMOTEIO: the guest's VMM said no, @e
 * holds its words.
 */
int control_call(const char *name, const char *command, json_t *args, json_t **out, struct err *e);

#endif
