/* SPDX-License-Identifier: GPL-2.0-only */
/* Signals eventfds, on which a thread, the event loop, KVM or another process waits. */
#ifndef UMBRA_BASE_EVENTFD_H
#define UMBRA_BASE_EVENTFD_H

#include <sys/eventfd.h>

/*
 * Wakes whatever waits on @fd, by one write(). It cannot fail in a way that matters: of a
 * non-blocking eventfd the write is refused only when the counter is full, and then @fd is readable
 * already, so that its reader wakes as well.
 */
static inline void eventfd_signal(int fd)
{
	eventfd_write(fd, 1);
}

#endif
