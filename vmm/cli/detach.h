/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `vmm run --detach`: runs a guest that goes on without a terminal when the command has returned,
 * after the guest's start.
 *
 * The process that was started stays as the parent until then: it shows the guest's stderr, which
 * is kept as a log for `vmm logs`, and ends with the guest's exit code if it fails, so that a
 * mistake is reported where the command was given. The guest keeps none of the caller's descriptors
 * afterwards (a shell that waits for the end of a pipe would wait for the guest), except a stderr
 * that is a regular file: the caller's own log.
 */
#ifndef UMBRA_VMM_CLI_DETACH_H
#define UMBRA_VMM_CLI_DETACH_H

#include "base/err.h"

struct detach;

/* Checks that stdout is open, before any file is opened, which would become stdout. -errno. */
int detach_check(struct err *e);
/*
 * Forks, before any thread exists. Returns 0 in the guest's process, with *out; 1 in the parent,
 * when the guest has started or failed, which then ends with *code; -errno.
 */
int detach_fork(struct detach **out, int *code, struct err *e);
/* Returns true if stderr is a log that vmm keeps, and not the caller's own file. NULL: false. */
bool detach_keeps_log(const struct detach *d);
/*
 * Tells that the guest has started: its log gets @name, and the parent, if it is still there,
 * prints it and ends. By the guest's process; if that is confined, its supervisor does all this in
 * detach_on_name(). NULL allowed.
 */
void detach_done(struct detach *d, const char *name);

/* Makes what detach_on_name() needs, before the process becomes two. NULL allowed. -errno. */
int detach_prepare_supervisor(struct detach *d, struct err *e);
/* Returns what the supervisor is to read from; -1: @d is NULL. */
int detach_name_fd(const struct detach *d);
/* Reads the guest's name, if it has come (struct confine_news). @arg: the struct detach. */
void detach_on_name(void *arg);
/*
 * Keeps @code, with which the guest has ended (vmm/control/ended.h). By its last process. NULL
 * allowed.
 */
void detach_ended(struct detach *d, int code);
/*
 * Closes what only detach_ended() needs, the directory of all guests' logs among it, in a guest's
 * process whose supervisor keeps the exit code. No detach_ended() afterwards. NULL allowed.
 */
void detach_leave_to_supervisor(struct detach *d);
/*
 * Frees @d, and removes the log of a guest that has not started; the parent sees this process's
 * end. NULL allowed.
 */
void detach_free(struct detach *d);

#endif
