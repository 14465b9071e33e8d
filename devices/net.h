/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a network device needs of its host: one descriptor that carries Ethernet frames. read(2) gives
 * one frame, write(2) sends one; both without waiting (EAGAIN), and without any header of the
 * kernel's or of virtio. A tap and a socket of type SOCK_SEQPACKET are such descriptors, so a
 * backend is whatever is at the other end of one: the device knows none.
 */
#ifndef UMBRA_DEVICES_NET_H
#define UMBRA_DEVICES_NET_H

#include "shadow/types.h"

#define NET_FRAME_MIN 14U /* an Ethernet header */
#define NET_FRAME_MAX 65535U
#define NET_MAC	      6U

struct net_backend {
	int fd; /* non-blocking; belongs to who made it and outlives the device */
	u8 mac[NET_MAC];
};

#endif
