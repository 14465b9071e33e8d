/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file of a UNIX socket: who made it may remove it, and nobody else, unless it is a leftover.
 *
 * A leftover is a socket to which nobody can connect. So is, for a moment, one that was bound and
 * does not listen yet. Two things keep a cleaner from removing that one: it only takes what is older
 * than a second, and whoever removes holds a lock on the directory from the look to the removal, so
 * that the file that was looked at is the one that goes (a creator that found the path free needs no
 * lock: its file was not there to be looked at).
 *
 * A file is told from a successor of the same path by device, inode and time of its making: an inode
 * number alone is soon used again.
 */
#ifndef UMBRA_BASE_SOCKET_FILE_H
#define UMBRA_BASE_SOCKET_FILE_H

#include "base/types.h"

struct socket_id {
	u64 dev, ino;
	s64 made_ns; /* of CLOCK_REALTIME */
};

/* Which file is at @path now? -errno; -ENOTSOCK: it is no socket. */
int socket_file_id(const char *path, struct socket_id *out);
/*
 * Remove the file at @path if it is still @id. 0; -ESTALE: another file lies there, which stays;
 * -ENOENT: none does; -errno. Waits for the lock of the directory, which nobody holds for long.
 */
int socket_file_remove(const char *path, const struct socket_id *id);
/*
 * Remove the leftover at @path. -EADDRINUSE: somebody listens there, or it is no socket; -EBUSY:
 * perhaps somebody will listen in a moment, ask again; -ENOENT: nothing is there; -errno.
 */
int socket_file_remove_stale(const char *path);

#endif
