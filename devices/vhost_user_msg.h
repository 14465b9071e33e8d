/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries messages of vhost-user (QEMU's docs/interop/vhost-user) with their descriptors over a
 * UNIX socket.
 *
 * The peer is another process and may misbehave: sizes, numbers of descriptors and time are bounded
 * here; the meaning of a message is checked in vhost_user.c.
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

/* The deadline of a call, and a way to cancel it. */
struct vhost_user_limit {
	u64 at;	    /* nanoseconds of CLOCK_MONOTONIC */
	int cancel; /* a borrowed eventfd: the call fails at once when it is readable; -1: none */
};

/* Returns a deadline @ms from now, without a cancel. */
struct vhost_user_limit vhost_user_deadline(unsigned ms);

/*
 * Sends or receives all of a message by @fd, which may block or not. -ETIMEDOUT or -ECANCELED by
 * @limit; -ECONNRESET: the peer is gone; other -errno. The descriptors of a sent message stay the
 * caller's.
 */
int vhost_user_send(int fd, const struct vhost_user_msg *m, struct vhost_user_limit limit);
/*
 * Receives a message, whose descriptors are the caller's. -EPROTO: not a message of this protocol;
 * other errors as above.
 */
int vhost_user_receive(int fd, struct vhost_user_msg *m, struct vhost_user_limit limit);
/* Closes the descriptors of a received message. */
void vhost_user_drop_fds(struct vhost_user_msg *m);

#endif
