/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Emulates the single ports of the chip set that a PC firmware expects, and ACPI's PM1 blocks.
 *
 *	0x92		A20 (kept, without effect: KVM masks no address line) and fast reset
 *	0x402		SeaBIOS's log, if the owner wants one: a read says so by 0xe9
 *	PM1 .. PM1 + 5	ACPI's PM1 event and control blocks (ACPI 6.4, 4.8.3.1 and .2)
 *
 * The PM1 blocks make the guest's ACPI a full one. It must not be hardware-reduced under a BIOS:
 * such a kernel never touches the PIC, which the BIOS has left open, and the timer's next tick
 * arrives there as vector 8, a double fault. PM1 never raises an event (the power button uses the
 * generic event device, power.h), so only S5 has an effect.
 */
#ifndef UMBRA_DEVICES_PORTS_H
#define UMBRA_DEVICES_PORTS_H

#include "devices/host.h"

struct ports;

struct ports_config {
	u16 pm1_port;
	u8 sleep_type_off; /* SLP_TYP of S5 */
	/*
	 * Takes one byte of the firmware's log, on a vCPU thread, one call at a time; NULL: no log.
	 */
	void (*log)(void *arg, u8 byte);
	void *arg;
};

/* Makes the ports, at @h's ports. @c is copied. -ENOMEM; -errno of @h's pio_add(). */
int ports_create(struct ports **out, struct host *h, const struct ports_config *c);
void ports_destroy(struct ports *p); /* NULL allowed */
/* Brings all registers to their initial values. */
void ports_reset(struct ports *p);

#endif
