/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Describes a line of the record on its way to the file, and what waits of each session. record.h
 * has the manual.
 *
 * A queue has RECORD_QUEUE bytes for any line: some 2,500 of the usual 400 bytes, more than a
 * driver asks within RECORD_GATHER_MS and the time that a busy host takes to let the thread run.
 * Another RECORD_RESERVE bytes are for lines that are kept: two of the longest (names of 4 KiB, six
 * bytes for each of theirs), or some 600 refusals. Memory that a queue has not used yet is not
 * there, and one that has become empty begins at its start again: a session that asks little has a
 * page or two. All that there can be, full, take 83 MiB.
 */
#ifndef UMBRA_POLICY_RECORD_LINE_H
#define UMBRA_POLICY_RECORD_LINE_H

#include <stddef.h>

#include "base/types.h"

/* So many sessions have a queue, and rows, of their own; those beyond share one. */
#define RECORD_SESSIONS 64
#define RECORD_QUEUE	(1u << 20)
#define RECORD_RESERVE	(256u << 10)
/* How long the thread lets lines gather. */
#define RECORD_GATHER_MS 10

/* A line. Zeroed by its owner; the rest is the record's. */
struct record_line {
	char *buf;
	size_t len, size;
	bool failed; /* memory ran out */
	bool keep;   /* it is not lost for want of room */
	bool may_wait;
	u32 ring; /* which session's */
	u64 time_ns;
};

/* Frees one that was not written. */
void line_free(struct record_line *t);

#endif
