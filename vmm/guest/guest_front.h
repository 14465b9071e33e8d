/* SPDX-License-Identifier: GPL-2.0-only */
/* Declares the callbacks of a guest's front end, for notes and for the moments of a start. */
#ifndef UMBRA_VMM_GUEST_GUEST_FRONT_H
#define UMBRA_VMM_GUEST_GUEST_FRONT_H

#include "base/note.h"

/* Any function may be NULL. */
struct guest_front {
	void *arg;
	/*
	 * Lines for people about the guest: what it does without, what became of a device or a
	 * driver. With an arg of its own, and on any thread (base/note.h): the guest's parts have
	 * no other way to say something, and print nothing. The last one may come in
	 * guest_destroy().
	 */
	struct note_sink notes;

	/* On the main thread. */

	/* Called at the last moment at which files can be opened. */
	void (*before_confinement)(void *arg);
	/* Called when the guest executes, at each start. @name: of its control socket, or NULL. */
	void (*started)(void *arg, const char *name);
	/*
	 * Shows @text, with line ends for a raw terminal, on the terminal of a console on stdio,
	 * whose user asks for its help (Ctrl-a h). It must not wait.
	 */
	void (*console_help)(void *arg, const char *text);
};

#endif
