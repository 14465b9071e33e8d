/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Emulates the MC146818 clock and CMOS memory at ports 0x70 and 0x71, as far as a PC BIOS uses
 * them.
 *
 * The time is the host's, in UTC, and setting it has no effect. There are the periodic interrupt
 * and 128 bytes, which hold the memory sizes and the number of CPUs where a BIOS looks for them.
 *
 * There is no alarm and no update-ended interrupt: an operating system has better clocks, and the
 * FADT tells Linux that there is no CMOS clock. An update takes no time, so UIP is never set.
 */
#ifndef UMBRA_DEVICES_CMOS_H
#define UMBRA_DEVICES_CMOS_H

#include "devices/host.h"

struct cmos;

struct cmos_config {
	u32 gsi;       /* 8 on a PC */
	u64 low, high; /* bytes of RAM below and above 4 GiB */
	unsigned cpus;
	/*
	 * Has cmos_tick() called every @ns nanoseconds from now on, 0: no longer. On a vCPU thread,
	 * one call at a time; must not call back into this device.
	 */
	void (*periodic)(void *arg, u64 ns);
	void *arg;
};

/* Makes the clock at @h's ports. @c is copied. -ENOMEM; -errno of @h's pio_add(). */
int cmos_create(struct cmos **out, struct host *h, const struct cmos_config *c);
void cmos_destroy(struct cmos *c); /* NULL allowed */
/* Resets the clock's registers; the memory is kept, as by a battery. No vCPU runs. */
void cmos_reset(struct cmos *c);
/* Raises the periodic interrupt, unless the guest has disabled it. Any thread. */
void cmos_tick(struct cmos *c);

#endif
