/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio-console with several ports (virtio 1.2, 5.3): byte streams between the guest and whoever
 * its owner connects them to. A driver without the multiport feature has port 0.
 *
 * Nothing is lost on the way: what the other side does not take waits, in the guest's own buffers
 * (output) or with who feeds it (input). Input for a port that the guest has not opened waits too,
 * since Linux throws away what arrives before. One thread serves all ports; a port whose output is
 * refused does not hold up the others.
 */
#ifndef UMBRA_DEVICES_VIRTIO_CONSOLE_H
#define UMBRA_DEVICES_VIRTIO_CONSOLE_H

#include "devices/virtio.h"

#define VIRTIO_CONSOLE_PORTS 7 /* two queues each, and two for control */

struct virtio_console;

struct virtio_console_params {
	unsigned ports;
	/* Told to the guest (/dev/virtio-ports/NAME), at most 60 bytes; NULL: a console (hvc). */
	const char *names[VIRTIO_CONSOLE_PORTS];
	/*
	 * The guest sent bytes; returns how many were taken. After a refusal nothing comes until
	 * virtio_console_room(). On the device's thread.
	 */
	size_t (*output)(void *arg, unsigned port, const u8 *buf, size_t len);
	/* virtio_console_input() had refused bytes and would take some now. Any thread. */
	void (*room)(void *arg, unsigned port);
	void *arg;
};

/* The names are copied. -EINVAL: no port, or too many. */
int virtio_console_create(struct virtio_console **out, const struct virtio_console_params *p);
/* After the struct virtio that uses it. NULL allowed. */
void virtio_console_destroy(struct virtio_console *c);

const struct virtio_type *virtio_console_type(const struct virtio_console *c);
/* The struct virtio that was created with @c as its argument. */
void virtio_console_attach(struct virtio_console *c, struct virtio *v);

/* Bytes for the guest; returns how many were taken. Any thread. */
size_t virtio_console_input(struct virtio_console *c, unsigned port, const u8 *buf, size_t len);
/* Output would be taken again. Any thread. */
void virtio_console_room(struct virtio_console *c, unsigned port);
/* Has the guest opened it? Any thread. */
bool virtio_console_is_open(struct virtio_console *c, unsigned port);

#endif
