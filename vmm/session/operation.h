/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loads and unloads drivers in the guest. Private to vmm/session/.
 *
 * The operations of one session run one after the other in the order in which they were queued,
 * those of different sessions independently of each other. An operation ends with the caller's
 * @done, also if the guest ends first (then with -ECANCELED).
 */
#ifndef UMBRA_VMM_SESSION_OPERATION_H
#define UMBRA_VMM_SESSION_OPERATION_H

#include "vmm/session/driver.h"

/* Called when an operation has ended. @ret: 0, or -errno with @line for people. */
typedef void operation_done_fn(void *arg, int ret, const char *line);

/*
 * Loads a QUEUED driver; if that fails, it is dropped before @done. -ENOMEM: nothing was queued,
 * @done is not called, and @d is as it was.
 */
int driver_load(struct sessions *s, struct driver *d, operation_done_fn *done, void *arg);
/*
 * Unloads a LOADED driver, or lets go of a REMOVED one; it is dropped, or on an error LOADED as
 * before. -ENOMEM as above.
 */
int driver_unload(struct sessions *s, struct driver *d, operation_done_fn *done, void *arg);
/* Notes that a step takes too long; called when s->slow_timer has expired. */
void operations_slow(void *arg, u32 expiries);
/*
 * Ends all operations, since the guest has ended; those who wait are told @why. Their commands at
 * the gate are to be forgotten next.
 */
void operations_cancel(struct sessions *s, const char *why);

#endif
