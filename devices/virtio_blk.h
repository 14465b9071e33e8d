/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio-blk (virtio 1.2, 5.2) on a raw file or a block device.
 *
 * One thread for the queue, started when the driver is ready and joined at a reset, so a reset
 * returns only when no I/O is in flight. A completed write is in the host's page cache, a
 * completed flush on its disk; a driver that does not negotiate flushes gets every write flushed.
 * An error of the host (no space, a file that was truncated, an I/O error) is an I/O error of the
 * request, nothing else.
 */
#ifndef UMBRA_DEVICES_VIRTIO_BLK_H
#define UMBRA_DEVICES_VIRTIO_BLK_H

#include "devices/virtio.h"
#include "shadow/err.h"

struct virtio_blk;

/*
 * Open PATH and lock it: one writer, or any number of readers (-EBUSY). -EINVAL: neither a regular
 * file nor a block device, or less than one sector. @id: at most 20 bytes are told to the guest.
 */
int virtio_blk_create(struct virtio_blk **out, const char *path, bool readonly, const char *id,
		      struct err *e);
/* After the struct virtio that uses it. NULL allowed. */
void virtio_blk_destroy(struct virtio_blk *b);

const struct virtio_type *virtio_blk_type(const struct virtio_blk *b);
/* The struct virtio that was created with @b as its argument. */
void virtio_blk_attach(struct virtio_blk *b, struct virtio *v);

#endif
