/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a network device needs of its host: one descriptor that carries Ethernet frames. read(2) gives
 * one frame, write(2) sends one; both without waiting (EAGAIN). A tap and a socket of type
 * SOCK_SEQPACKET are such descriptors, so a backend is whatever is at the other end of one: the
 * device knows none.
 *
 * A backend that has a kernel's network stack behind it (a tap) may carry frames that are not
 * finished: checksums to be filled in, segments of TCP to be cut. Then struct virtio_net_hdr_v1, which
 * says so, stands before each frame in both directions.
 */
#ifndef UMBRA_DEVICES_NET_BACKEND_H
#define UMBRA_DEVICES_NET_BACKEND_H

#include "base/types.h"

#define NET_FRAME_MIN 14U    /* an Ethernet header */
#define NET_FRAME_MAX 65553U /* the longest IP packet, an Ethernet header and a VLAN tag */
#define NET_MAC	      6U

struct net_backend {
	int fd; /* non-blocking; belongs to who made it and outlives the device */
	/*
	 * NULL: no header, and only finished frames. Else: tell the backend of what kind they may be
	 * when the driver gets them, as virtio's VIRTIO_NET_F_GUEST_* of @features; -errno. Called
	 * by the vCPU that starts the device; of a tap an ioctl (TUNSETOFFLOAD).
	 */
	int (*offload)(int fd, u64 features);
	u8 mac[NET_MAC];
};

#endif
