/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Emulates the registers by which a guest powers off, resets or reports a panic, and the power
 * button.
 *
 *	0x64 <- 0xfe		keyboard controller's reset line ("reboot=k")
 *	RESET <- 1		the FADT's reset register; the stub at 0xffff0 writes it, too
 *	SLEEP <- SLP_EN | 5	hardware-reduced ACPI's S5
 *	PVPANIC <- bit 0	the guest's kernel panicked (QEMU's pvpanic)
 *	GED			generic event device: tells which event its interrupt is for
 *
 * 0xcf9 is in pci.c, because it lies inside the configuration address register.
 */
#ifndef UMBRA_DEVICES_POWER_H
#define UMBRA_DEVICES_POWER_H

#include "devices/host.h"

struct power;

struct power_config {
	u16 sleep_port; /* control; status is the port behind it */
	u16 reset_port, pvpanic_port, ged_port;
	u32 ged_gsi;
	u8 sleep_type_off; /* SLP_TYP of S5 */
};

/* Makes the registers, at @h's ports. @c is copied. -ENOMEM; -errno of @h's pio_add(). */
int power_create(struct power **out, struct host *h, const struct power_config *c);
void power_destroy(struct power *p); /* NULL allowed */
/* Forgets a press of the power button that the guest has not read. */
void power_reset(struct power *p);
/* Presses the power button; the guest may ignore it. Any thread. */
void power_button(struct power *p);

#endif
