/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Describes the host's side of a network device: one descriptor that carries Ethernet frames.
 *
 * read(2) gives one frame, or a train of them, write(2) sends one; both without waiting (EAGAIN). A
 * tap is such a descriptor, and so is a socket of type SOCK_SEQPACKET; the device does not know
 * which it has.
 *
 * A backend with a kernel's network stack behind it (a tap) may offload: frames carry no checksum
 * yet, or TCP data that is still to be cut into segments. Then struct virtio_net_hdr_v1, which
 * describes this, stands before each frame in both directions.
 */
#ifndef UMBRA_DEVICES_NET_BACKEND_H
#define UMBRA_DEVICES_NET_BACKEND_H

#include "base/types.h"

#define NET_FRAME_MIN 14U    /* an Ethernet header */
#define NET_FRAME_MAX 65553U /* the longest IP packet, an Ethernet header and a VLAN tag */
#define NET_MAC	      6U

struct net_backend {
	/*
	 * Non-blocking; borrowed: it outlives the device. Its other end may be another one after
	 * virtio_net_backend_back().
	 */
	int fd;
	/*
	 * Tells the backend which offloads the driver accepts in frames that it gets: the bits
	 * VIRTIO_NET_F_GUEST_* of @features; -errno. For a tap an ioctl (TUNSETOFFLOAD). On the
	 * vCPU thread that starts the device. NULL: no offloads, and no header.
	 */
	int (*offload)(int fd, u64 features);
	/*
	 * Frames from the driver may have TCP data of more than a segment, up to NET_FRAME_MAX, and
	 * the device completes their checksums: for a stack in a process, which takes them as they
	 * are. There is no header before them. Not with @offload.
	 */
	bool long_frames;
	/*
	 * Tells the backend which offloads the driver accepts, as @offload does, but a process: on
	 * the device's own thread, once for each peer; -EAGAIN: once more, when the descriptor is
	 * writable. Such a backend gives trains of frames (net_train.h), whether it was told or
	 * not. NULL: it gives single frames. Not with @offload.
	 */
	int (*tell)(int fd, u64 features);
	u8 mac[NET_MAC];
};

#endif
