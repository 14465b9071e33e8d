/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts a process, `vmm dial-helper PATH`, that connects to one UNIX socket whenever this one
 * asks, and hands the connection over. A disk's back end may die and come back long after this
 * process has given up files, names and connect(2); the helper keeps one way to one place. The
 * helper shares nothing with the guest, reads one byte at a time, and ends with its guest, however
 * that ends.
 *
 * libvirt hands QEMU descriptors over its monitor for the same reason, which needs a libvirt; to
 * keep connect() and the socket's directory inside the confinement would keep more than is needed.
 */
#ifndef UMBRA_VMM_BACKEND_DIALER_H
#define UMBRA_VMM_BACKEND_DIALER_H

#include "base/err.h"
#include "vmm/confine/mode.h"

struct dialer;

/*
 * Starts the process, confined by confine_dialer() as @confine says. @path is copied. -EPERM: in
 * strict mode, and it does not get all layers.
 */
int dialer_create(struct dialer **out, const char *path, enum confine_mode confine, struct err *e);
/* Ends the process and frees @d. NULL allowed. */
void dialer_destroy(struct dialer *d);

/*
 * Returns a new connection, non-blocking, or -errno; -EPIPE: the helper is gone. Takes no longer
 * than two seconds. One thread at a time; system calls: sendmsg, recvmsg, poll, close.
 */
int dialer_dial(struct dialer *d);

/* Serves the other end of HELPER_FD until it is gone; called in the helper's process. */
void dialer_serve(const char *path, enum confine_mode confine);

#endif
