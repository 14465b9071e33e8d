/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates a virtio-net device (virtio 1.2, 5.1) with one queue in each direction, on any backend
 * (net_backend.h).
 *
 * With a backend that offloads, checksums and segmentation are left to the host's stack or its
 * hardware: one large frame stands for some forty.
 *
 * Frames for which the driver has no buffer wait in the backend. A frame that is longer than the
 * driver's buffer, or than 64 of its buffers if they may be merged, is dropped, as on a wire. A
 * frame that the backend cannot take yet waits in the driver's buffer. When the backend is gone the
 * link is down, until there is another one.
 */
#ifndef UMBRA_DEVICES_VIRTIO_NET_H
#define UMBRA_DEVICES_VIRTIO_NET_H

#include "devices/net_backend.h"
#include "devices/virtio.h"

struct virtio_net;

/* Makes a network card. @b is copied. -ENOMEM. */
int virtio_net_create(struct virtio_net **out, const struct net_backend *b);
/* Frees the network card, after the struct virtio that uses it. NULL allowed. */
void virtio_net_destroy(struct virtio_net *n);

/* Returns the type to create its struct virtio with (virtio.h). */
const struct virtio_type *virtio_net_type(const struct virtio_net *n);
/* Tells the network card its struct virtio @v, which was created with @n as its argument. */
void virtio_net_attach(struct virtio_net *n, struct virtio *v);

/* Takes the link down: the other end of the backend is gone. Any thread. */
void virtio_net_backend_gone(struct virtio_net *n);
/*
 * Takes the link up again: by now the backend's descriptor, whose number stays as it was, leads to
 * another end. On the thread that calls virtio_net_backend_gone().
 */
void virtio_net_backend_back(struct virtio_net *n);

#endif
