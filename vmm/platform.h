/* SPDX-License-Identifier: GPL-2.0-only */
/* The devices of a directly booted guest, but for its console. */
#ifndef UMBRA_VMM_PLATFORM_H
#define UMBRA_VMM_PLATFORM_H

#include "vmm/machine.h"
#include "vmm/options.h"

struct platform;

int platform_create(struct platform **out, struct machine *m, const struct run_options *o,
		    struct err *e);
/* After the vCPUs have ended, before the machine. Stops all I/O. NULL allowed. */
void platform_destroy(struct platform *p);

#endif
