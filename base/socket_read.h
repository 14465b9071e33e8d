/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads from a UNIX stream socket whose other end is a stranger's, who may send descriptors with
 * each byte (SCM_RIGHTS), also where none is wanted.
 *
 * A descriptor that finds no room in the call, or is in a socket that is closed, is closed by the
 * kernel, and the call waits for what it is: read(2) took 3.0 s, and close(2) 3.2 s, with a TCP
 * socket on its way whose SO_LINGER was three seconds. So all are received and handed to @drop,
 * which is not to wait.
 */
#ifndef UMBRA_BASE_SOCKET_READ_H
#define UMBRA_BASE_SOCKET_READ_H

#include <sys/types.h>

typedef void socket_drop_fn(void *arg, int fd);

/* Reads up to @len bytes, as recv(2) with MSG_DONTWAIT; @drop(@arg) owns what came with them. */
ssize_t socket_read(int fd, void *buf, size_t len, socket_drop_fn *drop, void *arg);
/*
 * Shuts @fd down in both directions and takes the descriptors out of it that are on their way, so
 * that close(2) of it does not wait. What it was to read is lost.
 */
void socket_empty(int fd, socket_drop_fn *drop, void *arg);

#endif
