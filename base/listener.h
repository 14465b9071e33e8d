/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Takes over a socket that another process has made and listens on: systemd for a socket unit,
 * libvirt for a monitor. Its file is that process's and stays.
 */
#ifndef UMBRA_BASE_LISTENER_H
#define UMBRA_BASE_LISTENER_H

#include <stddef.h>

#include "base/err.h"

/*
 * Checks that @fd is a UNIX stream socket that listens. On success accept(2) on it never blocks and
 * a program that is started does not inherit it. The first of these is the socket's and holds for
 * other processes that have it, too; it has to be so, because one of them may have been faster than
 * the accept(2) here. -errno and a line: "@what: ...", as nothing has changed.
 */
int listener_take(int fd, const char *what, struct err *e);
/* Copies the path that the socket is bound to, or "" if that is none. */
void listener_path(int fd, char *path, size_t size);

#endif
