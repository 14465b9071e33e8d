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

struct slirp_server {
	const struct spec_net *net; /* of which tftp is a real path */
	enum confine_mode confine;  /* this and the next: as net_open() has them */
	const char *user;
	int frames; /* a socket, SEQPACKET: one frame a packet; does not block */
	int keeper; /* a socket, SEQPACKET: any byte asks for a line of name_server.h */
};

/*
 * Serves the guest at the other end of @s->frames until it is gone. The first frame is one byte
 * when all is set up, else an error for the user. 0 or -errno.
 */
int slirp_server_run(const struct slirp_server *s, struct err *e);

#endif
