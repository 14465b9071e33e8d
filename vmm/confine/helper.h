/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts processes of our own beside the VMM: the network's (vmm/backend/net.h), and one for each
 * disk whose back end is found by its socket (vmm/backend/dialer.h). Each is a keeper (keeper.h)
 * and has one socket to the VMM, at whose end it ends too; a process group of its own, because a
 * Ctrl-C is for the guest; no signal blocked; and the rights that it needs to confine its server
 * (vmm/confine/confine.h).
 */
#ifndef UMBRA_VMM_CONFINE_HELPER_H
#define UMBRA_VMM_CONFINE_HELPER_H

#include <sys/types.h>

#include "vmm/confine/mode.h"

/* The helper's end of the socket. */
#define HELPER_FD 3

/*
 * Makes a pair of AF_UNIX sockets, SEQPACKET, non-blocking and closed on exec: @pair[1] is for
 * helper_spawn(). -errno.
 */
int helper_pair(int pair[2]);

/*
 * Runs the program at @path, with @theirs as its HELPER_FD. @argv ends with NULL and is copied.
 * -errno.
 */
int helper_spawn(const char *path, const char *const *argv, int theirs, enum confine_mode confine);

/*
 * Sends @len bytes in one packet over such a socket, and the descriptor @fd unless it is -1,
 * without waiting. -errno.
 */
int helper_send(int to, const void *data, size_t len, int fd);
/*
 * Receives a packet, and the descriptor that came with it: *fd, the caller's, closed on exec; or
 * -1. Returns the packet's length, of which @size bytes at most are in @data; -EPIPE: the other
 * side is gone; -EAGAIN with a socket that does not block; -errno.
 */
ssize_t helper_receive(int from, void *data, size_t size, int *fd);

#endif
