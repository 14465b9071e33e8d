/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The record: lists and counts the requests of drivers. Every decision goes in; repeats of one call
 * by one driver are one row with a count. With a file (--record) every single request is also a
 * line of JSON there, written before the answer reaches the guest, so that the file survives the
 * guest's and the VMM's death. record_add() may be called from any vCPU thread.
 *
 * Memory is bounded though a guest chooses the names: after RECORD_ROWS different rows (or
 * RECORD_TEXT bytes of names) requests that need a new row are only counted, and the count is
 * shown. The file keeps all of them.
 *
 * A line of the file, with all keys always present and null where there is nothing:
 *   {"time_ns":1,"session":"a","driver":"lime","function":"filp_open","args":["0x..."],
 *    "asked":"/x","argv":null,"used":"/data/a/x","verdict":"rewrite","error":null,"rule":"..."}
 * or {"time_ns":1,"event":"doorbell refused","text":"..."}
 * Names in Linux are bytes and JSON is UTF-8: a byte 0xNN that is no part of valid UTF-8 is written
 * as the private character U+EFNN (\uefNN), and so are the bytes of U+EF80..U+EFFF themselves. That
 * can be undone without a loss, and record_read() does.
 */
#ifndef UMBRA_POLICY_RECORD_H
#define UMBRA_POLICY_RECORD_H

#include <stdio.h>

#include "policy/policy.h"

#define RECORD_ROWS 16384
#define RECORD_TEXT (32u << 20)
/* Each of the first RECORD_SESSIONS sessions has so much for itself, whatever the others ask. */
#define RECORD_SESSIONS 64
#define RECORD_ROWS_OWN 64
#define RECORD_TEXT_OWN (64u << 10)

struct record;

/*
 * Makes a record in the file @path; NULL: in memory only. A new file has mode 0600. An existing
 * file is not overwritten: -EEXIST; a character device (a terminal) is written to.
 */
int record_create(struct record **out, const char *path, struct err *e);
/*
 * Flushes, closes and frees the record; -errno if something could not be written at any time (disk
 * full).
 */
int record_close(struct record *r, struct err *e);

/*
 * Adds a request, @time_ns after the guest's start. -errno if the file could not be written: the
 * caller then refuses the request rather than lose it silently. A decision whose rule says record =
 * false is only counted.
 */
int record_add(struct record *r, u64 time_ns, const char *session, const char *driver,
	       const struct policy_request *req, const struct decision *d);
/* Adds an event that is not a call: "doorbell refused", "blocked write", with a text. */
int record_event(struct record *r, u64 time_ns, const char *kind, const char *text);

/*
 * Prints the table for people (columns fit @width; 0: no limit; colour if @colour), or JSON. In the
 * table control characters and the like are escaped: names come from the guest and go to a
 * terminal. -ENOMEM; whether @to has taken all is for the caller to see (ferror(3)).
 */
int record_print(struct record *r, FILE *to, unsigned width, bool colour);
int record_print_json(struct record *r, FILE *to);

/* The entries to keep of a file; each a pattern as of fnmatch(3), or NULL for everything. */
struct record_filter {
	const char *session;
	const char *driver;
	const char *function; /* or the kind of an event */
	const char *verdict;
};

/*
 * Reads back a --record file (hostile, perhaps cut in the middle of a line) into a memory record.
 */
int record_read(struct record **out, const char *path, struct err *e);
/*
 * Does the same, but keeps only requests that fit @f. Lines that are no requests are counted and
 * reported.
 */
int record_read_some(struct record **out, const char *path, const struct record_filter *f,
		     struct err *e);

#endif
