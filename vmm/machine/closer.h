/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Closes descriptors that a stranger has chosen, on a thread, while the event loop goes on.
 *
 * close(2) may wait: for the process of a FUSE file or the server of an NFS one, which are asked to
 * flush it; for a terminal's line; for the peer of a TCP socket with SO_LINGER. A client of the
 * control socket passes any descriptor it likes, so what nobody takes is closed here, one after the
 * other, in order. A close that does not return keeps the later ones waiting, which costs their
 * descriptors and nothing else.
 */
#ifndef UMBRA_VMM_MACHINE_CLOSER_H
#define UMBRA_VMM_MACHINE_CLOSER_H

#include "base/types.h"

struct closer;
struct machine;

/* Makes a closer, whose threads @m makes, and which @m outlives. -ENOMEM. */
int closer_create(struct closer **out, struct machine *m);
/* Waits until all descriptors are closed, and frees the closer. Main thread. NULL allowed. */
void closer_destroy(struct closer *c);
/*
 * Takes @fd, to be closed soon; @what is for messages and is copied. Never waits. Main thread.
 */
void closer_close(struct closer *c, int fd, const char *what);
/*
 * Returns for how many milliseconds the close under way has been, with *what it is about, valid
 * until the loop runs; 0: there is none. Main thread.
 */
s64 closer_held_ms(const struct closer *c, const char **what);
/*
 * Serves the event loop until all descriptors are closed; a note names the one that holds that up.
 * Main thread, outside of machine_run().
 */
void closer_await(struct closer *c);

#endif
