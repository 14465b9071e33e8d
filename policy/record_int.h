/* SPDX-License-Identifier: GPL-2.0-only */
/* Shares the inside of the record among its files: rows, and the file. */
#ifndef UMBRA_POLICY_RECORD_INT_H
#define UMBRA_POLICY_RECORD_INT_H

#include <pthread.h>

#include "policy/pool.h"
#include "policy/record.h"
#include "policy/record_json.h"
#include "policy/record_queue.h"

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
	u64 lost; /* lines that it says are missing */
	/* of a file that is written (record_file.c) */
	char *path; /* NULL: there is none */
	struct record_queue queue;
	struct record_owner owner;
	pthread_mutex_t write_lock; /* fd and batch; held while it is written */
	int fd;			    /* of the file that is written: fds[at] */
	int fds[RECORD_KEEP_MAX + 1];
	unsigned n_files, at;
	u64 size, size_max; /* of the file that is written; @size_max 0: any */
	u8 *batch;	    /* lines that were taken: those from batch_at on are not in the file */
	size_t batch_at, batch_len;
	int error;	   /* of the flush or the close, positive; 0: none */
	bool written;	   /* atomic */
	s64 busy_since;	   /* atomic: when the system call under way began, in ms; 0: none is */
	s64 noted_ms;	   /* when the owner was told of a refusal last; 0: never */
	bool noted;	   /* that it refuses */
	s64 loss_noted_ms; /* atomic: when it was told of lost lines last; 0: never */
};

/* Makes an empty record without a file; -ENOMEM. */
int record_new(struct record **out);
void record_free(struct record *r);
/* Counts @entry into its row; returns its number, from 1 on; 0: it has none. Takes no lock. */
u32 record_count(struct record *r, const struct record_entry *entry);

/*
 * Counts @entry, @row as that of struct record_call, and makes the line of the file, if there is
 * one. -ENOMEM: there is no line, and it is one that is kept.
 */
int record_add_entry(struct record *r, const struct record_entry *entry, u32 *row,
		     struct record_line *line);

/* Prints the head of the lines that record_print_line() prints; nothing as JSON. */
int record_print_head(const struct record_follow *what);
/* Prints an entry as one line, or more where it wraps. -ENOMEM. */
int record_print_line(const struct record_entry *e, const struct record_follow *what);

/* A copy of the rows, ordered by time: printing, which may take long, then needs no lock. */
struct record_view {
	struct record_row *rows;
	size_t n;
	u64 requests; /* sum of all counts */
	u64 others, by_policy, bad_lines, lost;
	bool cut;
};
int record_view(struct record *r, struct record_view *v);

#endif
