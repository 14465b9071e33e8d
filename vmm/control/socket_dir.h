/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds the paths of the control sockets. base/socket_file.h removes their files: a VMM's own, and
 * leftovers of a VMM that was killed.
 */
#ifndef UMBRA_VMM_CONTROL_SOCKET_DIR_H
#define UMBRA_VMM_CONTROL_SOCKET_DIR_H

#include "base/err.h"
#include "base/name_chars.h"
#include "base/types.h"

#define SOCKET_DIR_NAME_MAX 60

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
/* Gives the path of guest @name's socket (malloc'ed). */
int socket_dir_path(char **out, const char *name, bool create_dir, struct err *e);

#endif
