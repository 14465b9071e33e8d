/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Opens the backends of network devices: a tap that exists already, or a network in user mode,
 * which needs no rights at all.
 *
 * The user-mode network (libslirp: DHCP, DNS, TFTP, the host as 10.0.2.2) parses packets of the
 * guest and of the network, and opens sockets. So it runs in a process and a program of its own,
 * vmm/backend/net-helper/, which shares one socket with this one and none of the guest's memory;
 * the library is linked there and only there. The helper ends with its guest, however that ends.
 */
#ifndef UMBRA_VMM_BACKEND_NET_H
#define UMBRA_VMM_BACKEND_NET_H

#include "base/err.h"
#include "devices/net_backend.h"
#include "vmm/spec/spec.h"

/* The file, as base/install_path.h finds it. */
#define NET_HELPER "net-helper"

/*
 * *out is to be given to net_close(). Errors name the option. @user: the user that the helper
 * becomes if this is root, as --user has it; @confine: how it confines itself.
 */
int net_open(struct net_backend *out, const struct spec_net *n, enum confine_mode confine,
	     const char *user, struct err *e);
void net_close(struct net_backend *b);

#endif
