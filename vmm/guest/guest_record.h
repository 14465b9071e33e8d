/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps a guest's record (policy/record.h) from its file's creation to its end: it makes the thread
 * that writes it, and tells people what becomes of the file.
 *
 * A file that takes no more lines (disk full) is told at once, by a note, and so is that it does
 * again, or that lines are lost. `vmm info` has a section "record" as long as one of these holds,
 * and as long as this host's kernel holds what is done to the file.
 *
 * The file's end is a flush, which takes as long as its storage does: the thread does it, and the
 * event loop goes on.
 */
#ifndef UMBRA_VMM_GUEST_GUEST_RECORD_H
#define UMBRA_VMM_GUEST_GUEST_RECORD_H

#include "base/err.h"

struct guest_record;
struct guest_spec;
struct machine;
struct monitor;
struct record;

/*
 * Makes the record of @m's guest, in the new files that @spec asks for and which it outlives, or in
 * memory. The errors of record_create() and record_rotate(); -ENOMEM.
 */
int guest_record_create(struct guest_record **out, struct machine *m, struct monitor *mon,
			const struct guest_spec *spec, struct err *e);
/*
 * Makes the thread that writes, when the VMM is confined. -errno: there is none, and each vCPU's
 * thread would wait for the file. Main thread.
 */
int guest_record_start(struct guest_record *g, struct err *e);
/* Returns the record itself, valid until guest_record_end(). */
struct record *guest_record_of(const struct guest_record *g);
/*
 * Has the event @kind with @text recorded, and serves the event loop until it and all lines before
 * it are in the file, or the file refuses them. No vCPU runs.
 */
void guest_record_event(struct guest_record *g, const char *kind, const char *text);
/*
 * Has all lines written and the file flushed and closed, and serves the event loop until it is. No
 * vCPU runs any more. The monitor is still there.
 */
void guest_record_await(struct guest_record *g);
/* Frees all; the error of record_close(). NULL allowed. */
int guest_record_end(struct guest_record *g, struct err *e);

#endif
