/* SPDX-License-Identifier: GPL-2.0-only */
/* Shares the inside of the record among its files: rows, and the text forms of a request. */
#ifndef UMBRA_POLICY_RECORD_INT_H
#define UMBRA_POLICY_RECORD_INT_H

#include <pthread.h>

#include "policy/pool.h"
#include "policy/record.h"

/* One request or event as strings; any may be NULL. */
struct record_entry {
	u64 time_ns;
	const char *session;
	const char *driver;
	const char *function; /* or the kind of an event */
	const char *asked;    /* or the text of an event */
	const char *argv;
	const char *used;
	const char *verdict;
	const char *error;
	const char *rule;
	const u64 *args;
	unsigned n_args;
	const struct policy_request *req; /* who called; for a line of the file only */
	bool event;
};

struct record_row {
	struct record_entry entry; /* args and who called are not kept */
	u64 last_ns;
	u64 count;
	u64 hash;
	u32 next; /* 1 + number of the next row of the bucket; 0: none */
};

/* Rows of one session, or of the events. */
struct record_party {
	const char *session; /* NULL: events */
	u32 rows;
	size_t text; /* bytes of names in them */
};

#define RECORD_ROWS_ALL (RECORD_ROWS + RECORD_SESSIONS * RECORD_ROWS_OWN)

struct record {
	pthread_mutex_t lock; /* the rows and their counts; never taken while a thread may wait */
	struct pool pool;
	struct record_row *rows; /* RECORD_ROWS_ALL of them; untouched ones cost no memory */
	u32 *buckets;
	u32 n_rows;
	u64 seed;
	size_t text_used;
	struct record_party parties[RECORD_SESSIONS];
	u32 n_parties;
	u64 others;    /* requests without a row */
	u64 by_policy; /* requests that the policy keeps out of the record */
	/* of a file that was read */
	u64 bad_lines;
	bool cut;
	bool no_memory; /* atomic: for a line of the file */
	/* of a file that is written */
	char *path; /* NULL: there is none */
	pthread_mutex_t
		write_lock; /* fd, error and torn; taken alone, and held while it is written */
	int fd;
	int error;	/* first that happened, positive; 0: none */
	bool torn;	/* the last line is not complete */
	bool written;	/* atomic */
	s64 busy_since; /* atomic: when the system call under way began, in ms; 0: none is */
};

/* Makes an empty record without a file; -ENOMEM. */
int record_new(struct record **out);
void record_free(struct record *r);
/* Counts @entry into its row. Takes no lock. */
void record_count(struct record *r, const struct record_entry *entry);

/* A copy of the rows, ordered by time: printing, which may take long, then needs no lock. */
struct record_view {
	struct record_row *rows;
	size_t n;
	u64 requests; /* sum of all counts */
	u64 others, by_policy, bad_lines;
	bool cut;
};
int record_view(struct record *r, struct record_view *v);

/*
 * Adds to the line. Without memory for it the line is marked as failed, which the caller looks at
 * once, at the end.
 */
void line_add(struct record_line *t, const char *s, size_t len);
void line_printf(struct record_line *t, const char *fmt, ...) __printf(2, 3);
void line_free(struct record_line *t);

/* Writes the entry as one line of JSON without a newline; @count not 0: as a row of the summary. */
void record_json(struct record_line *t, const struct record_entry *e, u64 count, u64 last_ns);
/* Undoes the escape of bytes in a string that came out of JSON, in place. */
void record_json_unescape(char *s);

#endif
