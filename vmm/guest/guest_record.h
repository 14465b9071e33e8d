/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps a guest's record (policy/record.h) from its file's creation to its end, and tells people
 * the file's name when this host's kernel holds what is written to it.
 *
 * The file's end is a flush, which takes as long as its storage does: a thread does it, and the
 * event loop goes on. `vmm info` has a section "record" as long as a line or that flush is held.
 */
#ifndef UMBRA_VMM_GUEST_GUEST_RECORD_H
#define UMBRA_VMM_GUEST_GUEST_RECORD_H

#include "base/err.h"

struct guest_record;
struct machine;
struct monitor;
struct record;

/*
 * Makes the record of @m's guest, in the new file @path, which outlives it; NULL: in memory. The
 * errors of record_create(); -ENOMEM.
 */
int guest_record_create(struct guest_record **out, struct machine *m, struct monitor *mon,
			const char *path, struct err *e);
/* Returns the record itself, valid until guest_record_end(). */
struct record *guest_record_of(const struct guest_record *g);
/*
 * Has the event @kind with @text recorded by a thread, and serves the event loop until it is in the
 * file. No vCPU runs.
 */
void guest_record_event(struct guest_record *g, const char *kind, const char *text);
/*
 * Has the file flushed and closed, and serves the event loop until it is. No vCPU runs any more.
 * The monitor is still there.
 */
void guest_record_await(struct guest_record *g);
/* Frees all; the error of record_close(). NULL allowed. */
int guest_record_end(struct guest_record *g, struct err *e);

#endif
