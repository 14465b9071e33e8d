/* SPDX-License-Identifier: GPL-2.0-only */
/* Names how much of its rights the VMM gives up. confine.h has the layers. */
#ifndef UMBRA_VMM_CONFINE_MODE_H
#define UMBRA_VMM_CONFINE_MODE_H

/* --confine on|off|strict|managed */
enum confine_mode {
	CONFINE_ON,	/* each layer that the host offers */
	CONFINE_OFF,	/* none */
	CONFINE_STRICT, /* all layers, or an error */
	/*
	 * As CONFINE_ON, but for a manager of virtual machines, which takes the process that it has
	 * started for the VMM: it reads the times of its vCPUs' threads, pins them, signals it and
	 * waits for its end. So that process is the VMM: there is no supervisor and no process
	 * namespace.
	 */
	CONFINE_MANAGED,
};

/* Returns "on", "off", "strict" or "managed". */
const char *confine_mode_name(enum confine_mode mode);
/* Finds the mode that is called @name; -EINVAL: there is none. */
int confine_mode_find(const char *name, enum confine_mode *out);

#endif
