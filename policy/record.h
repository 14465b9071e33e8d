/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The record: lists and counts the requests of drivers. Every decision goes in; repeats of one call
 * by one driver are one row with a count. With a file (--record) every single request is also a
 * line of JSON there.
 *
 * A file takes as long as its storage does, perhaps for ever, so a thread of its own writes it
 * (record_run()). A vCPU's thread counts the request and makes its line in record_add(), which
 * waits for nobody, and puts it into its session's queue in record_write(), when it holds no lock
 * that the event loop may take. A recorded call so costs a copy of its line, and no system call as
 * long as lines come: the thread lets them gather for RECORD_GATHER_MS, and writes many by one
 * write(2). What that costs is the last moment before a kill of the VMM, whose lines are lost;
 * before, each line was written by the call that it is about. An end of the guest loses none.
 *
 * Queues are bounded, each session has its own, and none takes room from another. When a queue is
 * full, its lines are counted, and a line of its own tells how many are missing, where they would
 * stand. Some lines are kept (record_line.keep): refusals, the first call of each function by each
 * driver, and events. For a line that is kept the caller waits until the queue has room, if its
 * task may sleep, as long as the file takes lines and answers within RECORD_WAIT_MS, and no pause
 * or end of the guest wants the vCPU back (record_owner.stay). Otherwise it gets a part of the
 * queue that other lines cannot have. Only when that is full too, with a file that has stopped to
 * take lines or a flood of refusals from where none may sleep, one that is to be kept is lost, and
 * counted: record_write() then says so. The caller refuses a first call (EIO), so that whatever a
 * driver does for the first time is in the record or does not happen; a refusal stays one. Calls of
 * a kind that the record has go on: a full disk ends nothing.
 *
 * Lines of one session are in the order of their calls, and those of all sessions in the order in
 * which they were put. A file that refuses (disk full, quota, limit, error) is tried again every
 * RECORD_RETRY_MS, from the very byte that it did not take: no line is torn by it. The owner hears
 * of it at once.
 *
 * Without that thread (a start that fails, no memory for one) record_write() writes itself.
 *
 * Memory is bounded though a guest chooses the names: after RECORD_ROWS different rows (or
 * RECORD_TEXT bytes of names) requests that need a new row are only counted, and the count is
 * shown. The file does not know that bound.
 *
 * A line of the file, with all keys always present and null where there is nothing:
 *   {"time_ns":1,"session":"a","driver":"lime","function":"filp_open","vcpu":0,"pid":77,
 *    "command":"insmod","guest_ns":1,"site":"init_module+0x12","args":["0x..."],"asked":"/x",
 *    "argv":null,"used":"/data/a/x","verdict":"rewrite","error":null,"rule":"..."}
 * or {"time_ns":1,"event":"doorbell refused","text":"..."}
 * A call that was seen by a line of `trace` has "call" (its arguments), "result" and "duration_ns"
 * besides, and was over when its line was made. One that was decided, and is seen, too, has two:
 * the first as above, with an "id" besides, before it is made; the second has the same and, by the
 * guest's word, the other three. Of one that was refused the first has all, and no "id".
 * or, for lines of a session that are missing,
 *   {"time_ns":1,"event":"lines lost","session":"a","text":"...","lost":12}
 * "mounts": "caller" stands there if the task has mounts of its own (a container): "asked" and
 * "used" are paths as it sees them.
 * "pid" and "command" are the task's that called, by the guest's word (0 and null: an interrupt's
 * handler did), "guest_ns" its monotonic clock's, "site" where in the driver the call returns to
 * ("tail call": not into the driver); of a call that was seen all but session, driver, function and
 * rule is; the rest is the host's.
 * Names in Linux are bytes and JSON is UTF-8: a byte 0xNN that is no part of valid UTF-8 is written
 * as the private character U+EFNN (\uefNN), and so are the bytes of U+EF80..U+EFFF themselves. That
 * can be undone without a loss, and record_read() does.
 */
#ifndef UMBRA_POLICY_RECORD_H
#define UMBRA_POLICY_RECORD_H

#include <stdio.h>

#include "policy/policy.h"
#include "policy/record_line.h"

#define RECORD_ROWS 16384
#define RECORD_TEXT (32u << 20)
/* Each of the first RECORD_SESSIONS sessions has so much for itself, whatever others ask. */
#define RECORD_ROWS_OWN 64
#define RECORD_TEXT_OWN (64u << 10)

/* A system call that takes longer has the file count as one that takes no line at present. */
#define RECORD_WAIT_MS 1000
/* After this time a file that has refused is tried again. */
#define RECORD_RETRY_MS 1000

struct record;

/*
 * Makes a record in the file @path; NULL: in memory only. A new file has mode 0600. An existing
 * file is not overwritten: -EEXIST; a character device (a terminal) is written to.
 */
int record_create(struct record **out, const char *path, struct err *e);

/*
 * Has a regular file get @size bytes at most, RECORD_SIZE_MIN or more; then lines go on in PATH.1
 * to PATH.@keep and in PATH again, in turn, each of which is emptied first. All are opened here,
 * since a confined VMM opens and renames nothing: they are made, or there already with nothing in
 * them. In a directory of its own a record of so many files could be renamed as logrotate(8) does
 * it, by a descriptor of the directory; then a VMM that is taken over could remove and make what
 * it likes there. @keep: 1 to RECORD_KEEP_MAX. Before the first line. -errno.
 */
#define RECORD_SIZE_MIN (1u << 20)
#define RECORD_KEEP_MAX 9
int record_rotate(struct record *r, u64 size, unsigned keep, struct err *e);

/* Whose record it is; all may be NULL. */
struct record_owner {
	/* May a vCPU's thread wait on for its line? Any thread; takes no lock that is held then. */
	bool (*stay)(void *arg);
	/*
	 * Told when the file takes no line any more, with why (positive), and at 0 when it does
	 * again, with how many lines have been lost so far. On the thread that writes.
	 */
	void (*refused)(void *arg, int error, u64 lost);
	/*
	 * Told now and then that lines are lost, @lost so far, for want of room: the file is slower
	 * than the drivers, or has stopped. On the thread that has had one.
	 */
	void (*lost)(void *arg, u64 lost);
	void *arg;
};

/* Sets the owner, before the first line. */
void record_set_owner(struct record *r, const struct record_owner *o);
/*
 * Says that a thread for record_run() is about to be made, or @yes false: that there is none after
 * all. Before the first line, or when no thread waits for the record.
 */
void record_expect_thread(struct record *r, bool yes);
/* Writes the lines, on a thread of its own, until record_finish(). @arg: the record. */
void record_run(void *arg);
/*
 * Waits until all lines are in the file or it refuses them, as long as the storage takes. Any
 * thread but that of record_run().
 */
void record_sync(struct record *r);
/*
 * Has the lines written, flushes and closes the file, if there is one, and keeps the error for
 * record_close(). It takes as long as the storage does; any thread but that of record_run(), which
 * returns; when nobody adds a line any more.
 */
void record_finish(struct record *r);
/*
 * Frees the record, after record_finish() if that was not called; -errno if lines are missing in
 * the file and it does not tell.
 */
int record_close(struct record *r, struct err *e);

/* How the file is. */
struct record_status {
	u64 lost;  /* lines */
	int error; /* why it takes nothing at present, positive; 0: it does */
};

/* Any thread. */
void record_status(struct record *r, struct record_status *out);

/* One request of a driver, @time_ns after the guest's start, and what was decided. */
struct record_call {
	u64 time_ns;
	const char *session;
	const char *driver;
	const struct policy_request *req;
	const struct decision *d;
	bool first; /* of this function by this driver */
	/*
	 * Where the caller keeps the number of the row in which its last call was counted, 0 at
	 * first, of one session, driver and function for as long as the record is there: most calls
	 * are like the one before and are counted without a search. The record's own, under its
	 * lock. NULL: it keeps none.
	 */
	u32 *row;
};

/*
 * Adds a request, and makes its line: @line->len is 0 if none is to be written, since there is no
 * file or the decision's rule says record = false and the request is only counted. -ENOMEM: there
 * is no memory for a line that is kept; another one counts as lost.
 */
int record_add(struct record *r, const struct record_call *call, struct record_line *line);
/*
 * Puts the line that record_add() made into its queue, and frees it. -errno: it is one that is
 * kept, and is lost; the caller then refuses the request rather than lose it silently.
 */
int record_write(struct record *r, struct record_line *line);
/* Makes the line that record_add() would, in whatever file, and counts nothing. */
void record_call_json(struct record_line *line, const struct record_call *call);
/*
 * Makes of such a line of a call that was decided, before it was made, the one of its end. Without
 * memory the line has no bytes.
 */
void record_call_end_json(struct record_line *line, const char *call, const char *result,
			  u64 duration_ns);
/* Addresses a line that was so made to the queue of @session, for record_write(). */
void record_address(struct record *r, const char *session, u64 time_ns, struct record_line *line);
/* Makes a line that tells of @lost lines of a session. */
void record_loss_json(struct record_line *line, u64 time_ns, const char *session, u64 lost);
/* Makes a line of an event that is no call. */
void record_event_json(struct record_line *line, u64 time_ns, const char *session, const char *kind,
		       const char *text);
/* Counts @n lines of a session as lost, for which its guest had no room. */
void record_lose(struct record *r, u64 time_ns, const char *session, u64 n);
/*
 * Adds an event that is not a call: "doorbell refused", "blocked write", with a text, and puts it
 * as record_write() does, without a wait.
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

#define RECORD_TRACE_ENDED "trace ended" /* the last event of who follows calls by `vmm trace` */

/* Returns true if an event of that kind is in memory. */
bool record_has_event(struct record *r, const char *kind);

/*
 * Prints the table for people (columns are wrapped at @width; 0: no limit; colour if @colour), or
 * JSON. In the table control characters and the like are escaped: names come from the guest and go
 * to a terminal. -ENOMEM; whether @to has taken all is for the caller to see (ferror(3)).
 */
int record_print(struct record *r, FILE *to, unsigned width, bool colour);
int record_print_json(struct record *r, FILE *to);
/* Prints what record_print() says below its rows: how many there are, and what is missing. */
int record_print_sums(struct record *r, FILE *to);

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
 * Does the same with all files of @paths, which NULL ends, but keeps only requests that fit @f.
 * Lines that are no requests are counted and reported.
 */
int record_read_some(struct record **out, const char *const *paths, const struct record_filter *f,
		     struct err *e);

/* What is done with a file that still grows. */
struct record_follow {
	FILE *to;	/* each request is a line here, or with @json an object */
	unsigned width; /* as record_print() has it */
	bool colour, json;
	/*
	 * Called at the end of the file, a regular one, when all that it has is printed: waits for
	 * a moment. False: that was all.
	 */
	bool (*wait)(void *arg);
	void *arg;
};

/*
 * Prints the requests that fit @f, one after the other as they are in the file, and counts them
 * into a memory record, until @what->wait() says so, or of a pipe until that ends. A file that gets
 * shorter is read from its start again. Whether @what->to has taken all is for the caller to see.
 */
int record_follow(struct record **out, const char *const *paths, const struct record_filter *f,
		  const struct record_follow *what, struct err *e);

#endif
