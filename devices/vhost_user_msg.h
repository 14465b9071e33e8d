/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages of vhost-user (QEMU's docs/interop/vhost-user), with descriptors beside them, over a
 * UNIX socket. The peer is another process that may be wrong: sizes, numbers of descriptors and
 * time are bounded here, what a message means is checked by who asked for it.
 */
#ifndef UMBRA_DEVICES_VHOST_USER_MSG_H
#define UMBRA_DEVICES_VHOST_USER_MSG_H

#include "devices/host.h"

#define VHOST_USER_PAYLOAD 512U
#define VHOST_USER_FDS	   8U

#define VHOST_USER_VERSION    0x1U /* low two bits of flags */
#define VHOST_USER_REPLY      0x4U
#define VHOST_USER_NEED_REPLY 0x8U

struct vhost_user_msg {
	u32 request, flags;
	u32 size; /* of the payload */
	unsigned n_fds;
	int fds[VHOST_USER_FDS];
	u8 payload[VHOST_USER_PAYLOAD];
};

/* When to give up waiting for the peer. */
struct vhost_user_limit {
	u64 at;	    /* nanoseconds of CLOCK_MONOTONIC */
	int cancel; /* an eventfd, borrowed: once it is readable, at once; -1: none */
};

/* @ms from now, without a cancel. */
struct vhost_user_limit vhost_user_deadline(unsigned ms);

/*
 * @fd is non-blocking. All of it, or -ETIMEDOUT or -ECANCELED at @limit, -ECONNRESET when the peer is
 * gone, other -errno. The descriptors of a sent message stay the caller's.
 */
int vhost_user_send(int fd, const struct vhost_user_msg *m, struct vhost_user_limit limit);
/* -EPROTO: not a message of this protocol. On success its descriptors are the caller's. */
int vhost_user_receive(int fd, struct vhost_user_msg *m, struct vhost_user_limit limit);
/* Close the descriptors of a received message. */
void vhost_user_drop_fds(struct vhost_user_msg *m);

#endif
