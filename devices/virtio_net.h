/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio-net (virtio 1.2, 5.1): one queue in each direction, on any backend (net.h); with checksums
 * and segmentation left to who does them best, if the backend can do that, which makes one request
 * of some forty.
 *
 * Frames for which the driver has no buffer wait in the backend; one that is longer than the
 * driver's buffer, or than all its buffers together where frames may use several, is dropped, as on
 * a wire. A frame that the backend cannot take yet waits in the
 * driver's buffer. A backend that is gone is a link that is down.
 */
#ifndef UMBRA_DEVICES_VIRTIO_NET_H
#define UMBRA_DEVICES_VIRTIO_NET_H

#include "devices/net_backend.h"
#include "devices/virtio.h"

struct virtio_net;

int virtio_net_create(struct virtio_net **out, const struct net_backend *b);
/* After the struct virtio that uses it. NULL allowed. */
void virtio_net_destroy(struct virtio_net *n);

const struct virtio_type *virtio_net_type(const struct virtio_net *n);
/* The struct virtio that was created with @n as its argument. */
void virtio_net_attach(struct virtio_net *n, struct virtio *v);

/* Nobody is at the other end of the backend any more: the link goes down. Any thread. */
void virtio_net_backend_gone(struct virtio_net *n);

#endif
