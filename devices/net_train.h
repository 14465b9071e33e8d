/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads trains: the frames that a back end in another process has at a time, in one packet, so that
 * they cost it and the device one system call each. Before each frame stands a struct
 * net_train_head, whose virtio_net_hdr_v1 describes TCP data of many segments as a tap's does
 * (virtio 1.2, 5.1.6.4); net_merge.h makes them.
 *
 * The process parses what the network sends, and is trusted as little: lengths and headers are
 * checked, and the driver gets only what it has accepted.
 *
 * What the driver accepts the device tells the process in a packet of sizeof(u64) bytes, the bits
 * VIRTIO_NET_F_GUEST_* in the host's byte order, which is too short for a frame.
 */
#ifndef UMBRA_DEVICES_NET_TRAIN_H
#define UMBRA_DEVICES_NET_TRAIN_H

#include <linux/virtio_net.h>

#include "devices/net_backend.h"

/* What a process behind a socket can be told of; see above. */
#define NET_TRAIN_FEATURES                                                   \
	(1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4 | \
	 1ULL << VIRTIO_NET_F_GUEST_TSO6)

struct net_train_head {
	u32 len; /* of the frame, which follows */
	struct virtio_net_hdr_v1 h;
};

#define NET_TRAIN_MAX (sizeof(struct net_train_head) + NET_FRAME_MAX)

struct net_train {
	size_t at, len; /* those from @at on were not taken yet */
	u8 bytes[NET_TRAIN_MAX];
};

static inline bool net_train_has_more(const struct net_train *t)
{
	return t->at < t->len;
}

/*
 * Takes the next frame off, where net_train_has_more(). Returns its virtio_net_hdr_v1, of any
 * alignment, with the frame behind it; *len is the length of both. It keeps what @features, the
 * driver's, allow. NULL: the frame was dropped, or the rest of the train, because no frame is so
 * long, or its header is wrong or asks for what the driver has not accepted.
 */
u8 *net_train_next(struct net_train *t, u64 features, size_t *len);

#endif
