/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hands notes, lines for people, to the front end that runs the guest.
 *
 * An error ends what its caller asked for, and goes to that caller (base/err.h). A note is about
 * something that has no caller any more, or goes on all the same: a device's back end is gone, a
 * driver was removed, the guest does without something. The front end gives the guest one sink at
 * the start, and decides what becomes of the lines; nothing below prints. The sink belongs to the
 * guest, as libvirt's error function belongs to a connection, rather than to the process: one
 * process may have several guests.
 */
#ifndef UMBRA_BASE_NOTE_H
#define UMBRA_BASE_NOTE_H

#include "base/types.h"

struct note_sink {
	/*
	 * Takes one line without a newline or a prefix; borrowed. Called on any thread (a vCPU's, a
	 * device's), on several at once, perhaps with a lock that the main thread takes: it must
	 * not wait, and calls no function of the guest. NULL: notes are dropped.
	 */
	void (*line)(void *arg, const char *line);
	void *arg;
};

/* Hands a line to @s, if somebody listens; without memory for it the line is lost. */
void note_put(const struct note_sink *s, const char *fmt, ...) __printf(2, 3);

#endif
