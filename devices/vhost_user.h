/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Implements the front end of vhost-user (QEMU's docs/interop/vhost-user) for one connection to a
 * back end, another process that serves the virtqueues of a device in the guest's own memory.
 *
 * It knows no device type; vhost_user_blk.h does.
 *
 * Addresses: by the protocol ring addresses are those of the front end's address space, but only
 * the memory table gives them a meaning. So the back end is told guest-physical addresses plus a
 * constant, and does not learn where this process has its memory. QEMU and cloud-hypervisor give
 * their true addresses.
 *
 * Trust: the back end sees and changes all of the guest's memory, so the guest has to trust it.
 * This process need not: replies are checked for their request, size and descriptors, each function
 * ends at the deadline that was set last, and memory is sealed against truncation. After any error
 * the connection is of no use: vhost_user_close().
 *
 * Threads: one at a time. System calls: sendmsg, recvmsg, poll, close, clock_gettime, and socket,
 * connect, fcntl and socketpair to open.
 */
#ifndef UMBRA_DEVICES_VHOST_USER_H
#define UMBRA_DEVICES_VHOST_USER_H

#include "devices/host.h"
#include "devices/vhost_user_msg.h"

/* Protocol features that are used when the back end has them. */
#define VHOST_USER_P_MQ	       0
#define VHOST_USER_P_REPLY_ACK 3
#define VHOST_USER_P_CHANNEL   5 /* the back end may send messages by itself */
#define VHOST_USER_P_CONFIG    9
#define VHOST_USER_P_INFLIGHT  12

struct vhost_user {
	int fd;		 /* -1: closed */
	int channel;	 /* socket for messages that the back end sends by itself, or -1 */
	u64 features;	 /* virtio features that the back end has */
	u64 protocol;	 /* protocol features in force */
	unsigned queues; /* how many it can serve */
	struct vhost_user_limit limit;
};

/* The back end's record of requests in flight, in shared memory; it survives the back end. */
struct vhost_user_inflight {
	int fd; /* -1: none */
	u64 size, offset;
	u16 queues, queue_size;
};

struct vhost_user_ring {
	u16 size, base;	       /* base: the available index to go on at */
	u64 desc, avail, used; /* guest-physical */
	int kick, call;	       /* eventfds, borrowed */
};

/* Connects to the socket @path: a non-blocking descriptor or -errno. */
int vhost_user_dial(const char *path);

/*
 * Negotiates with the back end at @fd, which *u owns from now on, even on failure. -EPROTO: a reply
 * was malformed; -EOPNOTSUPP: it lacks virtio 1 or protocol features; -ETIMEDOUT; -ECONNRESET;
 * -ECANCELED: limit.cancel is readable. The functions below give the same errors.
 */
int vhost_user_open(struct vhost_user *u, int fd, struct vhost_user_limit limit);
void vhost_user_close(struct vhost_user *u);
/* Sets the deadline of all later calls to @ms from now. */
void vhost_user_patience(struct vhost_user *u, unsigned ms);

/* Reads the first @len bytes of the device's configuration; -EOPNOTSUPP: it has fewer. */
int vhost_user_get_config(struct vhost_user *u, void *config, u32 len);

/*
 * Tells the back end the driver's features; the other function, all RAM of @h. -ENOTSUP: there is
 * RAM that is not shared.
 */
int vhost_user_set_features(struct vhost_user *u, u64 features);
int vhost_user_set_memory(struct vhost_user *u, struct host *h);

/*
 * Has the back end make the record *i, whose descriptor the caller owns, and use it. With
 * VHOST_USER_P_INFLIGHT only.
 */
int vhost_user_make_inflight(struct vhost_user *u, struct vhost_user_inflight *i);
int vhost_user_set_inflight(struct vhost_user *u, const struct vhost_user_inflight *i);

/* Has the back end serve queue @index from now on. */
int vhost_user_start_ring(struct vhost_user *u, unsigned index, const struct vhost_user_ring *r);
/* Returns when the back end does not use the ring any more. */
int vhost_user_stop_ring(struct vhost_user *u, unsigned index);

/*
 * Handles one message of the channel, which is readable. 1: the configuration changed; 0: another
 * message, which was refused; -errno.
 */
int vhost_user_on_channel(struct vhost_user *u);

#endif
