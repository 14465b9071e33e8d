/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads files whole, one after the other, on a thread, while the event loop goes on; their storage
 * may not answer, which people are told with the name of the file that is being read: in `vmm info`
 * by held_read_ms(), at a wait for it by a note.
 *
 * Slow storage takes more than MACHINE_HELD_MS for a kernel, and gives it all the same: the note
 * comes after five seconds.
 */
#ifndef UMBRA_VMM_MACHINE_HELD_READ_H
#define UMBRA_VMM_MACHINE_HELD_READ_H

#include "vmm/machine/file_job.h"

struct held_read {
	const char *name;	 /* of the thread, at most 15 bytes */
	void (*run)(void *arg);	 /* reads, on the thread */
	void (*done)(void *arg); /* afterwards, on the main thread; may be NULL */
	void *arg;

	/* Its own. */
	struct file_job job;
	struct machine *m;
	const char *file; /* atomic: the one that is read; NULL: none yet */
	bool noted;
};

/* Begins to read, if it does not. Main thread. -errno, as file_job_start(): nothing is read. */
int held_read_start(struct held_read *r, struct machine *m);
/* Says that @file is read from now on, which outlives the read. From run(). */
void held_read_file(struct held_read *r, const char *file);
/* Is it under way, with done()? Main thread, as all that follow. */
bool held_read_runs(const struct held_read *r);
/* Returns for how many milliseconds it has been, with *file what it reads; 0: it is not. */
s64 held_read_ms(const struct held_read *r, const char **file);
/*
 * Serves the event loop until it has ended, outside of machine_run(). Returns the exit code of @m
 * by then, as machine_wait() does.
 */
int held_read_await(struct held_read *r, struct machine *m);
/* Waits for one that runs, and calls done(); for an end at which no loop runs. */
void held_read_wait(struct held_read *r);

#endif
