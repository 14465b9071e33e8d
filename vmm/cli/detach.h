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

/* -errno if stdout is closed. Before any file is opened: it would become stdout. */
int detach_check(struct err *e);
/*
 * Fork, before any thread exists. 0: go on as the guest's process, with *out. 1: this is the
 * parent, the guest has started or failed, end with *code. -errno.
 */
int detach_fork(struct detach **out, int *code, struct err *e);
/* True if stderr is a log that vmm keeps, and not the caller's own file. NULL: false. */
bool detach_keeps_log(const struct detach *d);
/* The guest has started: the parent prints @name and ends. NULL allowed. */
void detach_done(struct detach *d, const char *name);
/*
 * Keeps @code, with which the guest has ended (vmm/control/ended.h). By its last process. NULL
 * allowed.
 */
void detach_ended(struct detach *d, int code);
/*
 * In a guest's process that has a supervisor, which keeps the exit code: closes what only that is
 * needed for, the directory of all guests' logs among it. No detach_ended() afterwards. NULL
 * allowed.
 */
void detach_leave_to_supervisor(struct detach *d);
/* If it has not started, the parent sees this process's end. Frees @d. NULL allowed. */
void detach_free(struct detach *d);

#endif
