/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A 16550A UART. Transmission takes no time.
 *
 * Input is not lost: bytes wait here, and beyond this buffer with whoever feeds it, until the guest
 * can take them. A kernel resets the FIFOs and reads the data register idly when it probes and
 * opens a port, which would eat what a user piped in. So data is only shown (LSR.DR) while the
 * receive interrupt is enabled, which is when somebody has opened the port, and a FIFO reset drops
 * nothing, as if the bytes had arrived just after it. Firmware that polls without ever enabling
 * the interrupt needs @polled_input.
 */
#ifndef UMBRA_DEVICES_SERIAL_H
#define UMBRA_DEVICES_SERIAL_H

#include "devices/host.h"

struct serial;

struct serial_config {
	u16 port;
	u32 gsi;
	bool polled_input;
	/* The guest sent a byte. On a vCPU thread, one call at a time. */
	void (*output)(void *arg, u8 byte);
	/* serial_input() had refused bytes and would take some now. On a vCPU thread. */
	void (*room)(void *arg);
	void *arg;
};

int serial_create(struct serial **out, struct host *h, const struct serial_config *c);
void serial_destroy(struct serial *s); /* NULL allowed */
/* As it was created; what was typed ahead is lost. No vCPU runs. */
void serial_reset(struct serial *s);

/* Bytes for the guest; returns how many were taken. Any thread. */
size_t serial_input(struct serial *s, const u8 *buf, size_t len);

#endif
