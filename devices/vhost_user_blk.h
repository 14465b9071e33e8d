/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates a virtio-blk device whose queues another process serves, over vhost-user (vhost_user.h):
 * qemu-storage-daemon can serve qcow2 images and remote disks.
 *
 * Requests do not pass through this process: the driver's notifications signal an eventfd of the
 * back end's, and the back end's eventfd raises the interrupt. One thread waits for the back end's
 * messages (the disk has another size) and for its death.
 *
 * When a back end dies, the guest's requests wait, and once a second the thread connects to the
 * same socket again; a reset of the device by the guest does not disturb that. The successor goes
 * on by the record of requests in flight (protocol feature INFLIGHT_SHMFD) or, without one, where
 * the rings show for certain which requests are unanswered (vq_history.h): all that were made after
 * the death of a back end that had answered everything, and most at light load. If that is not
 * known, requests would be lost or answered twice: then the device says DEVICE_NEEDS_RESET. QEMU
 * goes on at the used index in that case, and relies on answers in order; qemu-storage-daemon does
 * not give them so, and keeps no record.
 *
 * A back end that does not answer within five seconds counts as dead; the connection to one that
 * does not leave the queues within 0.4 s of a reset or of the end is closed. Until it really is
 * dead, it may still change the guest's memory. No other thread waits for it: a start returns at
 * once, a reset within half a second.
 *
 * System calls of the thread: poll, clock_gettime, read, those of dial(), socketpair, sendmsg,
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
	unsigned queues;       /* of the device */
	bool fewer;	       /* as many as the back end has, if these are fewer; else an error */
	unsigned reconnect_ms; /* time between attempts to connect again; 0: a second */
	/*
	 * Connects again: a non-blocking descriptor or -errno. It ends when the eventfd @cancel
	 * becomes readable, which is left so. NULL: vhost_user_dial().
	 */
	int (*dial)(void *arg, int cancel);
	/* Gets one line for people when the back end comes or goes. On the device's thread. */
	void (*note)(void *arg, const char *line);
	void *arg;
};

/*
 * Connects to the back end, which has to be there. @h's memory must be shared
 * (host_ops.ram_region). *e is for people. Nothing of @p is kept but dial, note and arg.
 */
int vhost_user_blk_create(struct vhost_user_blk **out, struct host *h,
			  const struct vhost_user_blk_params *p, struct err *e);
/*
 * Ends the thread, before the struct virtio that it calls is destroyed. The type's start() and
 * stop() still work.
 */
void vhost_user_blk_shut(struct vhost_user_blk *b);
/* Frees the disk, after the struct virtio that uses it. NULL allowed. */
void vhost_user_blk_destroy(struct vhost_user_blk *b);

/* Returns the type to create its struct virtio with (virtio.h). */
const struct virtio_type *vhost_user_blk_type(const struct vhost_user_blk *b);
/* Starts the thread. @v is the struct virtio that was created with @b as its argument. -errno. */
int vhost_user_blk_attach(struct vhost_user_blk *b, struct virtio *v);

/* Returns the size in bytes that the back end told last. */
u64 vhost_user_blk_size(struct vhost_user_blk *b);
bool vhost_user_blk_is_readonly(const struct vhost_user_blk *b);

#endif
