/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creates a virtio-console device with several ports (virtio 1.2, 5.3), byte streams between the
 * guest and the owner.
 *
 * A driver without the multiport feature has port 0 only. No byte is lost: output that the owner
 * refuses waits in the guest's own buffers, input for which there is no room is refused. Input for
 * a port that the guest has not opened waits, too, since Linux discards it. One thread serves all
 * ports in turns; a port whose output is refused, or has no end, does not hold up the others.
 */
#ifndef UMBRA_DEVICES_VIRTIO_CONSOLE_H
#define UMBRA_DEVICES_VIRTIO_CONSOLE_H

#include "devices/virtio.h"

#define VIRTIO_CONSOLE_PORTS 7 /* two queues each, and two for control */

struct virtio_console;

struct virtio_console_params {
	unsigned ports;
	/*
	 * Their names in the guest (/dev/virtio-ports/NAME), at most 60 bytes; NULL: a console
	 * (hvc).
	 */
	const char *names[VIRTIO_CONSOLE_PORTS];
	/*
	 * Takes bytes from the guest; returns how many. If that is not all, it is not called again
	 * for this port until virtio_console_room(). On the device's thread.
	 */
	size_t (*output)(void *arg, unsigned port, const u8 *buf, size_t len);
	/* Called when virtio_console_input() has room again after it refused bytes. Any thread. */
	void (*room)(void *arg, unsigned port);
	/*
	 * Called when the guest has opened @port or closed it, or a reset has. Any thread, which
	 * must not wait. May be NULL.
	 */
	void (*opened)(void *arg, unsigned port, bool open);
	void *arg;
};

/* Makes a console. The ports' names are copied. -EINVAL: no port, or too many; -ENOMEM. */
int virtio_console_create(struct virtio_console **out, const struct virtio_console_params *p);
/* Frees the console, after the struct virtio that uses it. NULL allowed. */
void virtio_console_destroy(struct virtio_console *c);

/* Returns the type to create its struct virtio with (virtio.h). */
const struct virtio_type *virtio_console_type(const struct virtio_console *c);
/* Tells the console its struct virtio @v, which was created with @c as its argument. */
void virtio_console_attach(struct virtio_console *c, struct virtio *v);

/* Gives the guest bytes; returns how many were taken. Any thread. */
size_t virtio_console_input(struct virtio_console *c, unsigned port, const u8 *buf, size_t len);
/* Has output() called for @port again after it refused bytes. Any thread. */
void virtio_console_room(struct virtio_console *c, unsigned port);
/* Returns true if the guest has opened @port. Any thread. */
bool virtio_console_is_open(struct virtio_console *c, unsigned port);

#endif
