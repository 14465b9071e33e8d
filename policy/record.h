/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The record: lists and counts the requests of drivers. Every decision goes in; repeats of one call
 * by one driver are one row with a count. With a file (--record) every single request is also a
 * line of JSON there, written before the answer reaches the guest, so that the file survives the
 * guest's and the VMM's death.
 *
 * That takes as long as the file's storage does, perhaps for ever. So it has two halves, both for
 * any vCPU's thread: record_add() counts and makes the line, and waits for nobody; record_write()
 * writes it, and is called by the same thread when that holds no lock that the event loop may take.
 * The thread that made a line writes it, rather than one for all lines: a recorded call costs no
 * change of threads, a failure is its own, and there are at most as many lines as vCPUs. Printing
 * and counting do not wait for a write.
 *
 * Memory is bounded though a guest chooses the names: after RECORD_ROWS different rows (or
 * RECORD_TEXT bytes of names) requests that need a new row are only counted, and the count is
 * shown. The file keeps all of them.
 *
 * A line of the file, with all keys always present and null where there is nothing:
 *   {"time_ns":1,"session":"a","driver":"lime","function":"filp_open","vcpu":0,"pid":77,
 *    "command":"insmod","args":["0x..."],"asked":"/x","argv":null,"used":"/data/a/x",
 *    "verdict":"rewrite","error":null,"rule":"..."}
 * or {"time_ns":1,"event":"doorbell refused","text":"..."}
 * A call that was seen by a line of `trace` has "call" (its arguments), "result" and "duration_ns"
 * besides, and was over when its line was made.
 * "pid" and "command" are the task's that called, by the guest's word (0 and null: an interrupt's
 * handler did); the rest is the host's.
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
 * Flushes and closes the file, if there is one, and keeps the error for record_close(). It takes as
 * long as the storage does; any thread, when nobody writes any more.
 */
void record_finish(struct record *r);
/*
 * Frees the record, after record_finish() if that was not called; -errno if something could not be
 * written at any time (disk full).
 */
int record_close(struct record *r, struct err *e);

/* One request of a driver, @time_ns after the guest's start, and what was decided. */
struct record_call {
	u64 time_ns;
	const char *session;
	const char *driver;
	const struct policy_request *req;
	const struct decision *d;
};

/* A line that is to be written. Zeroed by its owner; the rest is the record's. */
struct record_line {
	char *buf;
	size_t len, size;
	bool failed; /* memory ran out */
};

/*
 * Adds a request, and makes its line: @line->len is 0 if none is to be written, since there is no
 * file or the decision's rule says record = false and the request is only counted. -ENOMEM.
 */
int record_add(struct record *r, const struct record_call *call, struct record_line *line);
/*
 * Writes the line that record_add() made, and frees it. -errno if that failed: the caller then
 * refuses the request rather than lose it silently.
 */
int record_write(struct record *r, struct record_line *line);
/*
 * Adds an event that is not a call: "doorbell refused", "blocked write", with a text, and writes it
 * as record_write() does.
 */
int record_event(struct record *r, u64 time_ns, const char *kind, const char *text);

/*
 * Returns for how many milliseconds the file's storage has not answered the system call that is
 * under way; 0: none is. Any thread.
 */
s64 record_held_ms(const struct record *r);
/* Returns true if requests become lines of a file. Any thread. */
bool record_has_lines(const struct record *r);
/* Returns true if there is a file that record_finish() is to close, which may wait. Main thread. */
bool record_is_open(const struct record *r);
/* Returns true if record_finish() has nothing to flush. */
bool record_is_unwritten(const struct record *r);

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
 * Reads back a --record file (hostile, perhaps cut in the middle of a line) into a memory record;
 * "-" is stdin.
 */
int record_read(struct record **out, const char *path, struct err *e);
/*
 * Does the same, but keeps only requests that fit @f. Lines that are no requests are counted and
 * reported.
 */
int record_read_some(struct record **out, const char *path, const struct record_filter *f,
		     struct err *e);

#endif
