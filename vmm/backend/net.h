/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Opens the backends of network devices: a tap that exists already, or a network in user mode,
 * which needs no rights at all.
 *
 * The user-mode network (libslirp: DHCP, DNS, TFTP, the host as 10.0.2.2) parses packets of the
 * guest and of the network, and opens sockets. So it runs in a process and a program of its own,
 * vmm/backend/net-helper/, which shares one socket with this one and none of the guest's memory;
 * the library is linked there and only there. The helper ends with its guest, however that ends.
 *
 * The helper is two processes: the one that moves frames, confined and in front of the guest, and
 * its parent, the keeper, which starts it again when it dies (vmm/confine/keeper.h). The VMM has a
 * socket to each: frames pass over struct net_backend's descriptor; over the keeper's comes only
 * news, which net_news() reads.
 */
#ifndef UMBRA_VMM_BACKEND_NET_H
#define UMBRA_VMM_BACKEND_NET_H

#include "base/err.h"
#include "devices/net_backend.h"
#include "vmm/confine/keeper.h"
#include "vmm/spec/spec.h"

/* The file, as base/install_path.h finds it. */
#define NET_HELPER "net-helper"

/*
 * Opens a network. *out and *keeper are to be given to net_close(); *keeper is -1 for a tap. Errors
 * name the option. @user: the user that the helper becomes if this is root, as --user has it;
 * @confine: how it confines itself.
 */
int net_open(struct net_backend *out, int *keeper, const struct spec_net *n,
	     enum confine_mode confine, const char *user, struct err *e);
void net_close(struct net_backend *b, int keeper);

/*
 * Reads one of the keeper's packets as keeper_read() does. KEEPER_UP gives the descriptor of @b its
 * new end under the old number, so nobody should use it by then.
 */
enum keeper_news net_news(int keeper, struct net_backend *b, struct err *why);

#endif
