/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Takes files that clients of the control socket pass for drivers and policies, each as a copy in
 * this process's own memory: what is parsed cannot change any more. Private to vmm/session/.
 *
 * Our own client passes a sealed copy in memory (base/sealed_file.h), of which a read waits for no
 * storage, so it is read at once. Others pass what they have: `virsh qemu-monitor-command
 * --pass-fds` a file that a shell has opened. That is read by a job (vmm/machine/file_job.h), while
 * the event loop goes on, and the command is carried out when all of it is there. Only a regular
 * file is read, up to the size that it says it has (file_read_fd()), so neither a pipe nor a device
 * nor a file of procfs, which has no size, can keep the job; a file system that does not answer
 * can, which `vmm info` and a note tell. The VMM gets no right by that which whoever passes the
 * descriptor has not.
 */
#ifndef UMBRA_VMM_SESSION_PASSED_FILE_H
#define UMBRA_VMM_SESSION_PASSED_FILE_H

#include <jansson.h>

#include "base/types.h"

#define PASSED_FILES_MAX 4 /* that are read by jobs at a time */

struct passed_file;
struct control_request;
struct sessions;

/* What a client has passed, whole. */
struct passed_bytes {
	u8 *data;
	size_t len;
};

/*
 * Carries out the command with what the file held, which is borrowed. Main thread, now or later:
 * what the sessions were may have changed.
 */
typedef void passed_file_fn(struct sessions *s, struct control_request *r, const json_t *args,
			    const struct passed_bytes *file);

/*
 * Has @fn called with the file that @args names by "fd", or answers @r by an error. "path" of @args
 * is the file's name in messages. Main thread.
 */
void passed_file_take(struct sessions *s, struct control_request *r, const json_t *args,
		      passed_file_fn *fn);
/*
 * Returns for how many milliseconds the job has run that began first, *file its file's name, valid
 * until the loop runs; 0: there is none. Main thread.
 */
s64 passed_file_held_ms(const struct sessions *s, const char **file);
/*
 * Takes no more files for a job, and serves the event loop until those that are read are there:
 * before the sessions end. Outside of machine_run().
 */
void passed_file_await(struct sessions *s);
/* Waits for what passed_file_await() has left, for an end at which no loop runs. */
void passed_file_finish(struct sessions *s);

#endif
