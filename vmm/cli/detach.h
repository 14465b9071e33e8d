/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `vmm run --detach`: the command returns when the guest has started, and the guest runs on without
 * a terminal.
 *
 * The process that was started stays as the parent until then: it shows what the other wrote to
 * stderr, which is kept as a log for `vmm logs`, and ends with its exit code should it fail, so that a mistake is reported where the command
 * was given. Nothing of the guest holds the caller's descriptors afterwards (a shell that waits for
 * the end of a pipe would wait for the guest), but for a stderr that is a regular file: a log of what
 * becomes of the guest.
 */
#ifndef UMBRA_VMM_CLI_DETACH_H
#define UMBRA_VMM_CLI_DETACH_H

#include "base/err.h"

struct detach;

/* Before any file is opened, which would become a stdout that is closed: can the name be printed? */
int detach_check(struct err *e);
/*
 * Fork, before any thread exists. 0: go on as the guest's process, with *out. 1: this is the parent,
 * the guest has started or failed, end with *code. -errno.
 */
int detach_fork(struct detach **out, int *code, struct err *e);
/* The guest has started: the parent prints @name and ends. NULL allowed. */
void detach_done(struct detach *d, const char *name);
/* The guest has ended with @code, which is kept (vmm/control/ended.h): its last process says so. NULL allowed. */
void detach_ended(struct detach *d, int code);
/* If it has not started, the parent sees this process's end. Frees @d. NULL allowed. */
void detach_free(struct detach *d);

#endif
