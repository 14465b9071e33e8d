/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds the paths of the control sockets. base/socket_file.h removes their files: a VMM's own, and
 * leftovers of a VMM that was killed.
 *
 * A socket there may be another process's, to be passed to a VMM (--control): systemd's for a
 * socket unit, which the first connection starts. So a list of guests must not connect to find out
 * whether one runs, and nothing but a connection tells who listens. Sockets that a VMM has made
 * bear a mark, the sticky bit, which means nothing in a socket's mode: to connect to them starts
 * nothing. A VMM that serves another process's socket of this directory holds a lock as long as it
 * lives: on the byte of the file "served" whose number is the inode of the socket's file.
 */
#ifndef UMBRA_VMM_CONTROL_SOCKET_DIR_H
#define UMBRA_VMM_CONTROL_SOCKET_DIR_H

#include "base/err.h"
#include "base/name_chars.h"
#include "base/types.h"

#define SOCKET_DIR_NAME_MAX 60
#define SOCKET_DIR_MODE	    01600 /* of a socket that a VMM has made */

/* The rule for a guest's name, for a message; %d is SOCKET_DIR_NAME_MAX. */
#define SOCKET_DIR_NAME_WANT "want up to %d " NAME_FILE_TEXT ", not beginning with a dot"

/* Returns true for a guest's name: NAME_FILE, at most SOCKET_DIR_NAME_MAX, no dot first. */
bool socket_dir_name_ok(const char *name);
/*
 * Gives the directory of the sockets (malloc'ed, made if @create): $XDG_RUNTIME_DIR/umbra or
 * /run/umbra; in /tmp it is made in any case. -EPERM: another user could read or replace what lies
 * in it.
 */
int socket_dir_find(char **out, bool create, struct err *e);
/*
 * Says that this process serves the socket at @path, which another one has made, until the returned
 * descriptor is closed. -ENOENT: it is none of this directory; -errno.
 */
int socket_dir_hold(const char *path);
/*
 * Can one connect to socket @file of the directory @dir, to see whether a VMM serves it, without
 * starting anything?
 */
bool socket_dir_may_ask(const char *dir, const char *file);
/* Gives the path of guest @name's socket (malloc'ed). */
int socket_dir_path(char **out, const char *name, bool create_dir, struct err *e);

#endif
