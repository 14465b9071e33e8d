/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the machine the host of its devices: devices/host.h's operations by the modules of this
 * room.
 */
#ifndef UMBRA_VMM_MACHINE_HOST_OPS_H
#define UMBRA_VMM_MACHINE_HOST_OPS_H

#include "devices/host.h"

struct io;
struct irqs;
struct memory;
struct threads;

/* All is borrowed; the machine fills it in before the first device is created. */
struct machine_host {
	struct host host; /* .ops = &machine_host_ops */
	int vm;		  /* KVM's descriptor of the virtual machine */
	struct memory *memory;
	struct irqs *irqs;
	struct io *io;
	struct threads *threads;
	/*
	 * Called when a device switches off, resets or reports a panic, @why for people; on a
	 * vCPU's thread.
	 */
	void (*power)(void *arg, enum host_power what, const char *why);
	void *power_arg;
};

extern const struct host_ops machine_host_ops;

#endif
