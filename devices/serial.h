/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Emulates a 16550A UART whose transmission takes no time and whose input is not lost.
 *
 * Input waits in a buffer until the guest can take it; when that is full serial_input() refuses
 * more. A kernel resets the FIFOs and reads the data register when it probes and opens a port,
 * which would discard input that a user piped in. So data is only shown (LSR.DR) while the receive
 * interrupt is enabled, as it is once a program has opened the port, and a FIFO reset drops
 * nothing, as if the bytes had arrived just after it. Firmware that polls and never enables the
 * interrupt needs @polled_input.
 */
#ifndef UMBRA_DEVICES_SERIAL_H
#define UMBRA_DEVICES_SERIAL_H

#include "devices/host.h"

struct serial;

struct serial_config {
	u16 port;
	u32 gsi;
	bool polled_input;
	/*
	 * Takes a byte that the guest sent. On a vCPU thread, one call at a time. It may wait:
	 * serial_input() does not wait for it.
	 */
	void (*output)(void *arg, u8 byte);
	/* Called when serial_input() has room again after it refused bytes. On a vCPU thread. */
	void (*room)(void *arg);
	void *arg;
};

/* Makes the UART, at @h's ports. @c is copied. -ENOMEM; -errno of @h's pio_add(). */
int serial_create(struct serial **out, struct host *h, const struct serial_config *c);
void serial_destroy(struct serial *s); /* NULL allowed */
/* Brings all registers to their initial values; input that waits is lost. No vCPU runs. */
void serial_reset(struct serial *s);

/* Gives the guest bytes; returns how many were taken. Any thread. */
size_t serial_input(struct serial *s, const u8 *buf, size_t len);

#endif
