/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads from a descriptor that this process was started with, so that it never waits in read(2).
 *
 * poll(2) and epoll(7) promise nothing to a process that shares the descriptor with another: both
 * are told of the same bytes, and the one that comes late waits for more. Setting O_NONBLOCK would
 * change the open file for both of them. Instead:
 *
 *	pipe, terminal	opened once more by way of /proc/self/fd, with O_NONBLOCK for us alone
 *	socket		recv(2) with MSG_DONTWAIT
 *	others		as they are, but for regular files, which file_inlet.h reads
 *
 * A terminal that cannot be opened (another user's) has to be made raw without waiting
 * (terminal_raw()). A pipe that cannot be opened is read as it is, and a read may wait if another
 * process reads from it, too.
 */
#ifndef UMBRA_VMM_BACKEND_INLET_H
#define UMBRA_VMM_BACKEND_INLET_H

#include <sys/types.h>

#include "base/types.h"

struct inlet {
	int fd; /* to read from; what is to be watched is the caller's */
	bool ours, terminal, socket;
};

struct stat;

/*
 * Makes an inlet of @fd, which stays the caller's, while files can still be opened. @st: what
 * fstat(2) says of it, NULL if it is closed; @terminal: it is one.
 */
void inlet_open(struct inlet *in, int fd, const struct stat *st, bool terminal);

/* Closes what inlet_open() has opened. */
void inlet_close(struct inlet *in);

/*
 * Reads, when poll(2) or epoll(7) has said @events of the descriptor. Returns the number of bytes;
 * 0: that was the end; -EAGAIN: there is nothing now, for example because another process was
 * faster; -EBUSY: it is a terminal on which another process group is in the foreground, and SIGTTIN
 * is blocked or ignored; -errno.
 */
ssize_t inlet_read(const struct inlet *in, void *buf, size_t len, u32 events);

#endif
