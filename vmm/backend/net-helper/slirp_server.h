/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves the network in user mode for one guest, by libslirp behind one socket. It is a program of
 * its own, because libslirp and the library under it exist as shared ones only, which `vmm`, a
 * static program that starts in few system calls, cannot load; and a fault in it then finds none of
 * the VMM's code.
 */
#ifndef UMBRA_VMM_BACKEND_NET_HELPER_SLIRP_SERVER_H
#define UMBRA_VMM_BACKEND_NET_HELPER_SLIRP_SERVER_H

#include <stdbool.h>

#include "base/err.h"
#include "vmm/spec/spec.h"

/*
 * Serve the guest at the other end of HELPER_FD (vmm/confine/helper.h) until it is gone. Its first
 * frame is one byte when all is set up, else an error for the user. @confine, @user: as net_open()
 * has them. 0 or -errno.
 */
int net_user_serve(const struct spec_net *n, enum confine_mode confine, const char *user,
		   struct err *e);

#endif
