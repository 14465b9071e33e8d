/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates a virtio entropy device (virtio 1.2, 5.4), fed by getrandom(2) at a bounded rate.
 *
 * The guest gets at most VIRTIO_RNG_RATE bytes in each tenth of a second: one that reads without
 * end costs the host no more than that.
 */
#ifndef UMBRA_DEVICES_VIRTIO_RNG_H
#define UMBRA_DEVICES_VIRTIO_RNG_H

#include "devices/virtio.h"

#define VIRTIO_RNG_RATE 65536U

struct virtio_rng;

/* Makes an entropy device. -ENOMEM. */
int virtio_rng_create(struct virtio_rng **out);
/* Frees the device, after the struct virtio that uses it. NULL allowed. */
void virtio_rng_destroy(struct virtio_rng *r);

/* Returns the type to create its struct virtio with (virtio.h). */
const struct virtio_type *virtio_rng_type(void);
/* Tells the device its struct virtio @v, which was created with @r as its argument. */
void virtio_rng_attach(struct virtio_rng *r, struct virtio *v);

#endif
