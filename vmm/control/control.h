/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Offers the control socket, which speaks QMP as QEMU does (docs/interop/qmp-spec of QEMU), so that
 * QEMU's tools and libvirt need nothing new: a greeting, qmp_capabilities, then commands with an
 * optional id. Names of our own commands begin with "umbra-". The modules that implement commands
 * add them, each with a table (control_add()); qmp_capabilities, query-commands, getfd and closefd
 * are part of the socket itself.
 *
 * All clients are served by the event loop without ever blocking it: input and output of each are
 * bounded, and a client that does not read is dropped. What is no JSON, up to the end of its line,
 * is answered by an error: to libvirt the end of its connection is that of the guest. Replies may
 * come later than the next command's, as with QMP's out-of-band commands; ids tell them apart.
 *
 * There is room for CONTROL_CLIENTS, and always for one more: a new client takes the place of the
 * one that was quiet for longest, first among those that never negotiated, then among those that
 * wait for no answer. A limit that refuses newcomers, or a listen backlog that fills, would let a
 * few idle strangers keep out the `vmm stop` that matters; QEMU has that problem in another form
 * (one client, all others wait), virtlogd and dbus-daemon drop the unauthenticated first, as is
 * done here.
 *
 * The VMM opens no file because a client says so: it is confined, and a client's idea of a path is
 * not its own. A client opens the file itself and passes the descriptor with "getfd" (SCM_RIGHTS),
 * and the command names it; a path beside it is only for messages. What a command reads whole (a
 * driver, a policy) is read once, before anything is parsed, and not by the loop, which waits for
 * no file's storage: our own client passes a sealed copy in memory (base/sealed_file.h), any other
 * regular file is read by a thread (vmm/session/passed_file.h).
 */
#ifndef UMBRA_VMM_CONTROL_CONTROL_H
#define UMBRA_VMM_CONTROL_CONTROL_H

#include <jansson.h>

#include "base/err.h"
#include "base/types.h"

#define CONTROL_CLIENTS 32

struct control;
struct control_request;
struct loop;

/*
 * Handles a command. @args is an object (perhaps empty), borrowed. The handler answers now or
 * later, exactly once, by control_reply() or control_fail(). Runs on the loop's thread, and so must
 * the answer.
 */
typedef void control_fn(void *arg, struct control_request *r, const json_t *args);

struct control_command {
	const char *name;
	control_fn *fn;
};

/*
 * Listens at @path (created with SOCKET_DIR_MODE, in a directory of our own). -EADDRINUSE: another
 * VMM serves it; a socket that a killed one left behind is replaced.
 */
int control_create(struct control **out, struct loop *l, const char *path, struct err *e);
/*
 * Listens on @fd (base/listener.h), too; makes a control without another socket if *c is NULL. @fd
 * is closed at the end, its file stays. -errno and a line.
 */
int control_listen_on(struct control **c, struct loop *l, int fd, struct err *e);
/* Drops all clients and removes the socket's file, if it is still the own one. NULL is allowed. */
void control_destroy(struct control *c);
/* Returns the socket's file; lives as long as @c. NULL: it has none. */
const char *control_file(const struct control *c);
const struct socket_id *control_file_id(const struct control *c);
/*
 * Leaves it to another process to remove the file: this one is about to be confined and has no
 * paths then.
 */
void control_disown_file(struct control *c);

/*
 * Offers more commands. @table ends with a NULL name and must live as long as @c; @arg goes to its
 * handlers. A name belongs to one table, which is asserted: else a later table would silently
 * replace a command of an earlier one. @c may be NULL: the guest has no control socket. -ENOMEM.
 */
int control_add(struct control *c, const struct control_command *table, void *arg);

/* Why there is no command @name. */
struct control_absence {
	const char *name, *why;
};

/*
 * Has who asks for a command of @table told why there is none; it is not found all the same, nor
 * listed. @table ends with a NULL name and must live as long as @c, which may be NULL.
 */
void control_explain(struct control *c, const struct control_absence *table);

/*
 * Has each command from here on answered by the error @why. For a start that has failed, whose loop
 * runs once more while its files are closed: a command could act on a part that was never started,
 * and the answer to `cont` would tell libvirt of a guest that runs. @c may be NULL.
 */
void control_refuse(struct control *c, const struct err *why);

/* Returns "version" of the greeting: that of the schema, which is QEMU's, and not Umbra's own. */
json_t *control_version(void);

/* Steals @value (NULL: an empty object). */
void control_reply(struct control_request *r, json_t *value);
void control_fail(struct control_request *r, const char *line);
/* Does the same with another class than GenericError: QapiErrorClass of QEMU's qapi/error.json. */
void control_fail_class(struct control_request *r, const char *class, const char *line);

/*
 * Takes the descriptor that the request's client had passed under @name with "getfd"; it is the
 * caller's then. @name may be NULL, as json_string_value() gives it. -EINVAL, -ENOENT and a line.
 */
int control_take_fd(struct control_request *r, const char *name, struct err *e);
/*
 * Closes a descriptor of control_take_fd() that is not what the command needs, and so may be
 * anything, by the function of control_set_closer(). In the handler of the command.
 */
void control_drop_fd(struct control_request *r, int fd);

/*
 * Has @fn close the descriptors of clients that nobody takes: close(2) may wait for what a client
 * has passed. Without it they are closed at once.
 */
typedef void control_close_fn(void *arg, int fd);
void control_set_closer(struct control *c, control_close_fn *fn, void *arg);
/*
 * Has all descriptors of clients closed that nobody has taken, also those that still come: each by
 * @fn of control_set_closer(), as soon as it is received, so that none is left behind when the loop
 * has run for the last time. Those that were not received by then go to it at control_destroy().
 */
void control_drop_fds(struct control *c);

/*
 * Tells all negotiated clients of event @name; @data is stolen, NULL: the event has none. On the
 * loop's thread, or after it has ended. @c may be NULL.
 */
void control_event(struct control *c, const char *name, json_t *data);

#endif
