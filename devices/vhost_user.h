/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The front end of vhost-user (QEMU's docs/interop/vhost-user): another process, the back end,
 * serves the virtqueues of a device in the guest's own memory. This is the conversation about it,
 * for one connection; what is behind the queues, a device knows (vhost_user_blk.h).
 *
 * Addresses: vhost-user names ring addresses in the front end's address space. Nothing but the memory
 * table says what those are, so we give guest-physical addresses plus a constant: the back end learns
 * nothing of where this process has its memory. QEMU and cloud-hypervisor give their true addresses.
 *
 * Trust: the back end sees and changes all of the guest's memory, so the guest has to trust it. This
 * process need not: replies are checked for what was asked, sizes and descriptors, each function ends
 * at the deadline that was set last, and memory is sealed against truncation. After any error the
 * connection is of no use: vhost_user_close().
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
	int channel;	 /* our end of what the back end sends by itself, or -1 */
	u64 features;	 /* virtio features that the back end has */
	u64 protocol;	 /* protocol features in force */
	unsigned queues; /* how many it can serve */
	struct vhost_user_limit limit;
};

/* The back end's record of requests that it has begun; survives the back end. */
struct vhost_user_inflight {
	int fd; /* -1: none */
	u64 size, offset;
	u16 queues, queue_size;
};

struct vhost_user_ring {
	u16 size, base;	       /* base: where in the available ring to go on */
	u64 desc, avail, used; /* guest-physical */
	int kick, call;	       /* eventfds, borrowed */
};

/* Connect to @path: a non-blocking descriptor or -errno. */
int vhost_user_dial(const char *path);

/*
 * Greet the back end at @fd, which is taken over, also on failure. -EPROTO: it answered nonsense;
 * -EOPNOTSUPP: it lacks virtio 1 or the protocol's extensions; -ETIMEDOUT; -ECONNRESET; -ECANCELED:
 * limit.cancel is readable, which holds for all that follows, too.
 */
int vhost_user_open(struct vhost_user *u, int fd, struct vhost_user_limit limit);
void vhost_user_close(struct vhost_user *u);
/* All that follows ends @ms from now at the latest. */
void vhost_user_patience(struct vhost_user *u, unsigned ms);

/* The first @len bytes of the device's configuration; -EOPNOTSUPP: it has none so long. */
int vhost_user_get_config(struct vhost_user *u, void *config, u32 len);

/* Virtio features of the driver, and all RAM of @h; -ENOTSUP: RAM that is not shared. */
int vhost_user_set_features(struct vhost_user *u, u64 features);
int vhost_user_set_memory(struct vhost_user *u, struct host *h);

/* Have *i made by the back end; with VHOST_USER_P_INFLIGHT only. The descriptor is the caller's. */
int vhost_user_make_inflight(struct vhost_user *u, struct vhost_user_inflight *i);
int vhost_user_set_inflight(struct vhost_user *u, const struct vhost_user_inflight *i);

/* Serve queue @index from now on. */
int vhost_user_start_ring(struct vhost_user *u, unsigned index, const struct vhost_user_ring *r);
/* Returns when the back end does not use the ring any more. */
int vhost_user_stop_ring(struct vhost_user *u, unsigned index);

/*
 * The channel is readable: one message of it. 1: the configuration changed; 0: something else, which
 * was refused; -errno.
 */
int vhost_user_on_channel(struct vhost_user *u);

#endif
