/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keeper: starts the process that moves a user-mode network's frames (slirp_server.h), starts
 * it again when it dies, and tells it the host's name server (name_server.h).
 *
 * Both need what that process has given up: the rights to make namespaces and to listen on the
 * host's ports, and the file system. The VMM can neither fork nor exec by then. Its supervisor
 * could, but would have to learn of networks and take orders from the VMM. So the keeper keeps its
 * rights (root's, or CAP_SYS_ADMIN in the VMM's user namespace) as the supervisor does, and is out
 * of the guest's reach as well: it sees no frame; of the process in front of the guest it learns
 * that a byte has come, whatever its value, and that it has ended; from the VMM it reads nothing.
 * The only file that it opens later on is /etc/resolv.conf. Another start is a fork, so what was
 * loaded at first is what runs.
 *
 * Connections do not outlive the process that holds them. So the guest's link goes down and comes
 * up again, as with a cable. A process that dies more than KEEPER_RESTARTS times within
 * KEEPER_PERIOD_MS has a cause that another start does not mend: the keeper ends then.
 */
#ifndef UMBRA_VMM_BACKEND_NET_HELPER_KEEPER_H
#define UMBRA_VMM_BACKEND_NET_HELPER_KEEPER_H

#include "vmm/spec/spec.h"

#define KEEPER_RESTARTS	 3 /* within KEEPER_PERIOD_MS */
#define KEEPER_PERIOD_MS 60000
#define KEEPER_PAUSE_MS	 1000 /* between an end and the next start */

/*
 * Keeps the network running until the VMM, at the other end of HELPER_FD (vmm/confine/helper.h), is
 * gone. It sends packets to the VMM: with a descriptor, the network runs and frames pass there;
 * without one, a line that says why it does not. @confine, @user: as net_open() has them. 0 or
 * -errno.
 */
int keeper_run(const struct spec_net *n, enum confine_mode confine, const char *user);

#endif
