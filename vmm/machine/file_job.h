/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs one function that may wait for the storage of a file, for ever perhaps (a frozen file
 * system, a server that does not answer), on a thread of its own, while the event loop goes on.
 *
 * Such a wait has no time-out and cannot be taken back. So the end of a guest waits for the thread,
 * by machine_wait(), and the owner of the job tells people the file's name after a moment.
 */
#ifndef UMBRA_VMM_MACHINE_FILE_JOB_H
#define UMBRA_VMM_MACHINE_FILE_JOB_H

#include "base/loop.h"
#include "devices/host.h"

struct machine;

struct file_job {
	const char *name;	 /* of the thread, at most 15 bytes */
	void (*run)(void *arg);	 /* on the thread */
	void (*done)(void *arg); /* afterwards, on the main thread; may be NULL */
	void *arg;

	/* The job's own. */
	struct machine *m;
	struct host_thread thread;
	struct loop_call call;
	bool ran;  /* the thread's, until it is joined */
	s64 since; /* when it began, in ms; 0: it does not run */
};

/*
 * Starts the job, which does not run. Main thread. -errno: neither function is called; -EAGAIN: no
 * thread is made yet (threads_set_confine()).
 */
int file_job_start(struct file_job *j, struct machine *m);
/* Returns for how many milliseconds the job has run, with done(); 0: it does not. Main thread. */
s64 file_job_ms(const struct file_job *j);
/* Waits for a job that runs, and calls done(); for an end at which no loop runs. Main thread. */
void file_job_wait(struct file_job *j);

#endif
