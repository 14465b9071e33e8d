/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Collects frames for a driver into a train (net_train.h), and merges TCP segments that follow each
 * other in a connection into one frame of up to 64 KiB, if the driver accepts such frames. For a
 * process whose network stack makes segments one by one.
 *
 * The rules are those of Linux for what it receives (net/ipv4/tcp_offload.c, af_inet.c;
 * net/ipv6/ip6_offload.c), and a little stricter: what was merged can be cut into the same segments
 * again, byte for byte.
 *
 * - Only data with no flag but ACK, or PSH at its end; no options but a timestamp; no IP options,
 *   extension headers, fragments; both checksums right.
 * - Of one connection, with equal Ethernet addresses, type of service, time to live, flow label,
 *   DF; IPv4's identification counts on; the next sequence number, equal acknowledgement, window
 *   and timestamps.
 * - All of the first one's size but the last, which may be shorter; a PSH ends it. At most 65535
 *   bytes of IP.
 *
 * The order of a connection's frames stays as it is: data is merged into the last frame of its
 * connection only. What is no TCP segment, or one that cannot be read, ends all merging into
 * frames before it.
 */
#ifndef UMBRA_DEVICES_NET_MERGE_H
#define UMBRA_DEVICES_NET_MERGE_H

#include <sys/uio.h>

#include "devices/net_train.h"

#define NET_MERGE_FRAMES 256
#define NET_MERGE_PIECES 512
#define NET_MERGE_IOV	 (NET_MERGE_FRAMES + NET_MERGE_PIECES)

/* Private to net_merge.c: a frame of the train, in pieces of @data. */
struct net_merge_frame {
	struct net_train_head head;
	u16 first, last; /* pieces */
	u16 segments;
	u16 size; /* of the first segment's data */
	u32 seq;  /* of the next segment */
	u8 tcp;	  /* where that header begins; 0: it has none */
	u8 body;  /* where its data begins */
	bool ipv6;
	bool open; /* more may be merged into it */
};

struct net_merge_piece {
	u32 at, len; /* in @data */
	u16 next;    /* of the same frame */
};

/* Begins as {0}. */
struct net_merge {
	u64 features; /* that the driver has accepted: VIRTIO_NET_F_GUEST_* */
	unsigned n_frames, n_pieces;
	unsigned barrier; /* no merging into frames before this one */
	size_t used;	  /* of @data */
	struct net_merge_frame frames[NET_MERGE_FRAMES];
	struct net_merge_piece pieces[NET_MERGE_PIECES];
	u8 data[NET_TRAIN_MAX];
};

/* Adds a copy of a frame of at most NET_FRAME_MAX bytes. False: the train is full. */
bool net_merge_add(struct net_merge *m, const void *frame, size_t len);
/*
 * Finishes the train, and returns in how many of the NET_MERGE_IOV entries of @iov it is; 0: it has
 * no frame. They are valid until the next call; more may be added if it could not be sent.
 */
unsigned net_merge_train(struct net_merge *m, struct iovec *iov);
/* Begins the next train. */
void net_merge_clear(struct net_merge *m);

#endif
