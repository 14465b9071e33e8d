/* SPDX-License-Identifier: GPL-2.0-only */
/* Declares the callbacks of a guest's front end, for notes and for the moments of a start. */
#ifndef UMBRA_VMM_GUEST_GUEST_FRONT_H
#define UMBRA_VMM_GUEST_GUEST_FRONT_H

#include "base/types.h"

/* Called on the main thread. Any function may be NULL. */
struct guest_front {
	void *arg;
	/* A line for people about something that the guest does without. */
	void (*note)(void *arg, const char *line);
	/* The last moment at which files can be opened. */
	void (*before_confinement)(void *arg);
	/* The guest executes; at each start. @name of its control socket, or NULL. */
	void (*started)(void *arg, const char *name);
};

/* A line for people, if the front end listens. */
void guest_front_note(const struct guest_front *front, const char *fmt, ...) __printf(2, 3);

#endif
