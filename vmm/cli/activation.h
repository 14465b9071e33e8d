/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds a socket that systemd has made for this process, sd_listen_fds(3). */
#ifndef UMBRA_VMM_CLI_ACTIVATION_H
#define UMBRA_VMM_CLI_ACTIVATION_H

#include "base/err.h"

/*
 * Returns the descriptor of the only socket, or of the one that FileDescriptorName= of its unit
 * calls @name if there are several. -EINVAL with a line behind "@option: ". To be called before the
 * process forks: the sockets are for one process id.
 */
int activation_find(const char *name, const char *option, struct err *e);

#endif
