/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts a process, `vmm dial-helper PATH`, that connects to one UNIX socket whenever this one
 * asks, and hands the connection over. A disk's back end may die and come back long after this
 * process has given up files, names and connect(2); the helper keeps one way to one place. The
 * helper shares nothing with the guest, reads one byte at a time, and ends with its guest, however
 * that ends.
 *
 * The helper is two processes: the one that connects, confined, and its parent, the keeper, which
 * starts it again when it dies (vmm/confine/keeper.h). The keeper's news are read on the main
 * thread; connections are asked for on the disk's thread.
 *
 * libvirt hands QEMU descriptors over its monitor for the same reason, which needs a libvirt; to
 * keep connect() and the socket's directory inside the confinement would keep more than is needed.
 */
#ifndef UMBRA_VMM_BACKEND_DIALER_H
#define UMBRA_VMM_BACKEND_DIALER_H

#include "base/err.h"
#include "vmm/confine/keeper.h"
#include "vmm/confine/mode.h"

struct dialer;

/*
 * Starts the helper, confined by confine_dialer() as @confine says. @path is copied. -EPERM: in
 * strict mode, and it does not get all layers. In the other modes it is not waited for.
 */
int dialer_create(struct dialer **out, const char *path, enum confine_mode confine, struct err *e);
/* Ends the helper and frees @d. NULL allowed. */
void dialer_destroy(struct dialer *d);

/*
 * Returns the descriptor of the keeper's news, borrowed: dialer_news() is due when it is readable.
 */
int dialer_keeper(const struct dialer *d);
/* Reads one packet as keeper_read() does; never waits. Main thread. */
enum keeper_news dialer_news(struct dialer *d, struct err *why);

/*
 * Returns a new connection, non-blocking, or -errno, which is connect()'s but for three: -EPIPE:
 * the helper is not there now; -ETIMEDOUT: it does not answer; -ECANCELED: nor before the eventfd
 * @cancel (-1: none) was readable. Takes no longer than two seconds. A helper that was too slow is
 * not asked a second time: the next call gets its answer. One thread at a time; system calls:
 * sendmsg, recvmsg, poll, close.
 */
int dialer_dial(struct dialer *d, int cancel);

/*
 * Serves the other end of HELPER_FD, as the keeper of the process that connects, until it is gone;
 * called in the helper's process. 0 or -errno.
 */
int dialer_serve(const char *path, enum confine_mode confine);

#endif
