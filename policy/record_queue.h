/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holds the lines of a record that wait for its file, each session's in a ring of its own; private
 * to the room. record.h says what is kept and what may be lost, record_line.h how long a ring is.
 *
 * Lines leave in the order in which they came, whichever session's they are.
 */
#ifndef UMBRA_POLICY_RECORD_QUEUE_H
#define UMBRA_POLICY_RECORD_QUEUE_H

#include <pthread.h>

#include "policy/record_line.h"

#define RECORD_LINE_MAX (RECORD_RESERVE / 2)
/* Events have ring 0, and sessions beyond RECORD_SESSIONS share the last one. */
#define RECORD_RINGS (RECORD_SESSIONS + 2)

struct record_ring {
	char *session; /* NULL: events */
	u8 *bytes;     /* NULL: no line yet */
	u64 head, tail;
	/* since the last line that told it: lines that there was no room for */
	u64 lost, lost_kept, lost_ns;
	unsigned waiters; /* threads that wait for room */
};

/* What the thread waits for. */
enum record_sleep {
	RECORD_AWAKE,	/* nothing: it looks at the rings before it waits */
	RECORD_GATHERS, /* for a moment, or many lines */
	RECORD_SLEEPS,	/* for a line */
	RECORD_REFUSED, /* for a while: the file takes no line */
};

struct record_queue {
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the thread */
	pthread_cond_t room; /* lines were taken, the file refuses or the thread has ended */
	struct record_ring rings[RECORD_RINGS];
	u32 n_rings; /* atomic, grows */
	u64 seq;
	enum record_sleep sleep;
	bool threaded; /* a thread writes; else whoever puts a line */
	bool ending, ended;
	bool writing;	/* lines that were taken are not in the file */
	int error;	/* atomic: why the file takes nothing at present, positive; 0: it does */
	u64 lost;	/* of all time */
	unsigned hurry; /* threads that wait for all lines */
};

void record_queue_init(struct record_queue *q);
void record_queue_free(struct record_queue *q);
/* Returns the number of the session's ring; any thread, without a lock. NULL: that of events. */
u32 record_queue_ring(struct record_queue *q, const char *session);

/*
 * Puts the line into its ring, as record_write() says. @stay says whether the thread may wait on;
 * it takes no lock of this module. *threaded: a thread will take it. Returns 0; 1: it is lost, as
 * it may be; -ENOSPC: it is lost though it is to be kept.
 */
int record_queue_put(struct record_queue *q, const struct record_line *line,
		     bool (*stay)(void *arg), void *arg, bool *threaded);
/* Counts a line of the ring as lost, for which there is no memory. */
void record_queue_lose(struct record_queue *q, const struct record_line *line);
/* Counts @n lines of ring @ring as lost, which never came here. */
void record_queue_lose_many(struct record_queue *q, u32 ring, u64 time_ns, u64 n);
/*
 * Takes the oldest lines, as many as @size has room for, and of a ring that is empty the count of
 * its losses. Returns how many bytes. @size is RECORD_LINE_MAX at least.
 */
size_t record_queue_take(struct record_queue *q, u8 *buf, size_t size);
/* Returns true if lines or counts wait; the lock is held. */
bool record_queue_has_any(const struct record_queue *q);
/* Waits on @c up to @ms; the lock is held. False: the time is over. */
bool record_queue_wait(struct record_queue *q, pthread_cond_t *c, s64 ms);

#endif
