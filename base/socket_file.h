/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Removes the file of a UNIX socket, which only its maker may do, unless it is a leftover.
 *
 * A leftover is a socket that refuses connections. A socket that was bound and does not listen yet
 * refuses them, too, for a moment. Two rules keep it from being removed: only sockets older than a
 * second are leftovers, and a remover holds a lock on the directory from the look to the removal,
 * so that it removes the file that it has looked at (a creator that found the path free needs no
 * lock: its file was not there to be looked at).
 *
 * Every user who can open the directory, in /tmp any, can lock it, too, and keep the lock. So the
 * lock is waited for half a second at most; without it nothing is removed, and a file that stays is
 * a leftover.
 *
 * A file is told from a successor of the same path by device, inode and time of its making: an
 * inode number alone is soon used again.
 */
#ifndef UMBRA_BASE_SOCKET_FILE_H
#define UMBRA_BASE_SOCKET_FILE_H

#include "base/types.h"

struct socket_id {
	u64 dev, ino;
	s64 made_ns; /* of CLOCK_REALTIME; 0: any, of a file that was written to and emptied */
};

/* Identifies the file that is at @path now. -errno; -ENOTSOCK: it is no socket. */
int socket_file_id(const char *path, struct socket_id *out);
/*
 * Removes the file at @path if it is still @id. 0; -ESTALE: another file lies there, which stays;
 * -ENOENT: none does; -ETIMEDOUT: somebody keeps the directory locked; -errno.
 */
int socket_file_remove(const char *path, const struct socket_id *id);
/*
 * Removes the leftover at @path. -EADDRINUSE: a process listens there, or it is no socket; -EBUSY:
 * it is too young to tell, ask again in a moment; -ENOENT: nothing is there; -ETIMEDOUT: somebody
 * keeps the directory locked; -errno.
 */
int socket_file_remove_stale(const char *path);

/*
 * Does the same for a new file that nothing has been written to: unused_file_remove() removes it if
 * it is still @id and still empty, because the run for which it was made has not begun.
 */
int unused_file_id(const char *path, struct socket_id *out);
int unused_file_remove(const char *path, const struct socket_id *id);

#endif
