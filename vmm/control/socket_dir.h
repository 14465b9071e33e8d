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

#define CONTROL_NAME_MAX 60

/* What a guest's name is, for a message; %d is CONTROL_NAME_MAX. */
#define CONTROL_NAME_WANT "want up to %d " NAME_FILE_TEXT ", not beginning with a dot"

/* Returns true for a guest's name: NAME_FILE, at most CONTROL_NAME_MAX, no dot first. */
bool control_name_ok(const char *name);
/*
 * Gives the directory of the sockets (malloc'ed, made if @create): $XDG_RUNTIME_DIR/umbra or
 * /run/umbra; in /tmp it is made in any case. -EPERM: another user could read or replace what lies
 * in it.
 */
int control_dir(char **out, bool create, struct err *e);
/* Gives the path of guest @name's socket (malloc'ed). */
int control_path(char **out, const char *name, bool create_dir, struct err *e);

#endif
