/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio-blk whose queues another process serves, over vhost-user (vhost_user.h): how
 * qemu-storage-daemon brings qcow2 and remote disks.
 *
 * The data path does not pass here: the driver kicks the back end's eventfd, and the back end's
 * eventfd is an interrupt. What is left is a thread that waits for the back end's messages (the disk
 * has another size) and for its death.
 *
 * When a back end dies, the guest's requests wait, and once a second a new one is looked for at the
 * same socket; a reset of the device by the guest does not disturb that. The successor goes on where
 * the record of the old one says (protocol feature INFLIGHT_SHMFD), or, without one, where the rings
 * say if they can (virtqueue_resume_at()). If neither is known, requests would be lost or answered
 * twice: then the device says DEVICE_NEEDS_RESET. QEMU goes on at the used index in that case, and
 * trusts that the back end answered in order; qemu-storage-daemon does not.
 *
 * A back end that does not answer within five seconds counts as dead; one that does not leave the queues
 * within 0.4 s of a reset or of the end is hung up on. Until it really is dead, it may still change the
 * guest's memory. No other thread waits for it: a start returns at once, a reset within half a second.
 *
 * System calls of the thread: poll, clock_gettime, read, and what dial() needs, socketpair, sendmsg,
 * recvmsg, write, close, futex. Those of the vCPU that resets or starts the device: futex,
 * clock_gettime, write, eventfd.
 */
#ifndef UMBRA_DEVICES_VHOST_USER_BLK_H
#define UMBRA_DEVICES_VHOST_USER_BLK_H

#include "base/err.h"
#include "devices/virtio.h"

struct vhost_user_blk;

struct vhost_user_blk_params {
	const char *path;      /* of the back end's socket */
	unsigned queues;       /* as many */
	bool fewer;	       /* fewer if the back end has no more; else that is an error */
	unsigned reconnect_ms; /* how often a new back end is looked for; 0: every second */
	/* Connect again: a non-blocking descriptor or -errno. NULL: vhost_user_dial(). */
	int (*dial)(void *arg);
	/* One line for people, when the back end comes or goes. On the device's thread. */
	void (*note)(void *arg, const char *line);
	void *arg;
};

/*
 * Connects, so a back end has to be there. @h's memory must be shared (host_ops.ram_region). Errors
 * are for people. Nothing of @p is kept but dial, note and arg.
 */
int vhost_user_blk_create(struct vhost_user_blk **out, struct host *h,
			  const struct vhost_user_blk_params *p, struct err *e);
/*
 * Before the struct virtio that uses it is destroyed: nothing calls it from then on. Start and stop
 * still work.
 */
void vhost_user_blk_shut(struct vhost_user_blk *b);
/* After the struct virtio. NULL allowed. */
void vhost_user_blk_destroy(struct vhost_user_blk *b);

const struct virtio_type *vhost_user_blk_type(const struct vhost_user_blk *b);
/* The struct virtio that was created with @b as its argument. Starts the thread. */
int vhost_user_blk_attach(struct vhost_user_blk *b, struct virtio *v);

/* Size in bytes, as the back end said last. */
u64 vhost_user_blk_size(struct vhost_user_blk *b);
bool vhost_user_blk_is_readonly(const struct vhost_user_blk *b);

#endif
