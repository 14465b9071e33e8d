/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Closes descriptors that a stranger has chosen, on a thread, while the event loop goes on: what a
 * client has passed, and files of a guest at its end, which may lie anywhere.
 *
 * close(2) may wait: for the process of a FUSE file or the server of an NFS one, which are asked to
 * flush it; for a terminal's line; for the peer of a TCP socket with SO_LINGER. A client of the
 * control socket passes any descriptor it likes, so what nobody takes is closed here, one after the
 * other, in order. A close that does not return keeps the later ones waiting, which costs their
 * descriptors and nothing else.
 *
 * The end of a guest serves the loop until none is left, so that somebody answers what is waited
 * for. When the loop runs no more nothing may wait, and what comes then is the kernel's to close,
 * when the process exits. closer_limit() makes both so, whatever clients still pass.
 */
#ifndef UMBRA_VMM_MACHINE_CLOSER_H
#define UMBRA_VMM_MACHINE_CLOSER_H

#include "base/types.h"

struct closer;
struct machine;

/* Makes a closer, whose threads @m makes, and which @m outlives. -ENOMEM. */
int closer_create(struct closer **out, struct machine *m);
/*
 * Waits until all descriptors that were taken are closed, and frees the closer. Main thread. NULL
 * allowed.
 */
void closer_destroy(struct closer *c);
/*
 * Takes @fd, to be closed soon; @what is for messages and is copied. Never waits. Main thread. With
 * a NULL @c it is closed at once: there is no guest whose loop could be held up.
 */
void closer_close(struct closer *c, int fd, const char *what);
/*
 * Returns for how many milliseconds the close under way has been, with *what it is about, valid
 * until the loop runs; 0: there is none. Main thread.
 */
s64 closer_held_ms(const struct closer *c, const char **what);
/*
 * Takes @more descriptors from now on, and leaves later ones open: as many as an end still closes,
 * and 0 when the loop has run for the last time. Main thread.
 */
void closer_limit(struct closer *c, unsigned more);
/*
 * Returns true until all descriptors are closed, for machine_wait(), in which a note names the one
 * that holds it up; false if there is no memory for a thread: closer_destroy() closes then. Main
 * thread.
 */
bool closer_is_busy(struct closer *c);

#endif
