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
	/*
	 * Called with the line of a guest_create() that fails, before the parts end: the end of the
	 * control socket is that of the process for libvirt, which takes what stderr says by then
	 * for the reason, and kills the process.
	 */
	void (*start_failed)(void *arg, const char *line);
	/* Called when the guest executes, at each start. @name: of its control socket, or NULL. */
	void (*started)(void *arg, const char *name);
	/*
	 * Shows @text, with line ends for a raw terminal, on the terminal of a console on stdio,
	 * whose user asks for its help (Ctrl-a h). It must not wait.
	 */
	void (*console_help)(void *arg, const char *text);
	/*
	 * Returns true as long as lines are on their way to a file, which takes as long as its
	 * storage does. The guest's end asks it again and again, as the last of its waits, and
	 * serves the control socket meanwhile. It must not wait.
	 */
	bool (*notes_busy)(void *arg);
	/*
	 * Returns for how many milliseconds this host's kernel has had lines for that file, with
	 * *file what people call it; 0: it has none.
	 */
	s64 (*notes_held_ms)(void *arg, const char **file);
};

#endif
