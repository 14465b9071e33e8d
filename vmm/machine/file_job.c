// SPDX-License-Identifier: GPL-2.0-only
/* Runs a function that may wait for a file on a thread of its own, and tells the loop. */
#include "vmm/machine/file_job.h"

#include <errno.h>

#include "base/clock.h"
#include "vmm/machine/machine.h"

static void file_job_thread(void *arg)
{
	struct file_job *j = arg;

	j->ran = true;
	j->run(j->arg);
	loop_call(machine_loop(j->m), &j->call);
}

/* Takes note of the end, once: by the call of the loop, or by file_job_wait() before that. */
static void file_job_finish(void *arg)
{
	struct file_job *j = arg;

	if (!j->since)
		return;
	host_thread_stop(machine_host(j->m), &j->thread);
	/*
	 * The thread that the loop was to make for another one was not made: no loop runs any more,
	 * so the wait can be here.
	 */
	if (!j->ran)
		j->run(j->arg);
	/* At file_job_wait() it may be listed still, and @j is freed or started anew after that. */
	loop_call_cancel(machine_loop(j->m), &j->call);
	j->since = 0;
	if (j->done)
		j->done(j->arg);
}

int file_job_start(struct file_job *j, struct machine *m)
{
	int ret;

	j->m = m;
	j->thread = (struct host_thread){ .kind = HOST_THREAD_FILE,
					  .name = j->name,
					  .run = file_job_thread,
					  .failed = file_job_thread, /* without one: here */
					  .arg = j };
	j->call = (struct loop_call){ .fn = file_job_finish, .arg = j };
	j->ran = false;
	j->since = now_ms();
	ret = host_thread_start(machine_host(m), &j->thread);
	/* A start that fails before it could confine a thread: the caller does it itself. */
	if (!ret && !machine_can_make_threads(m)) {
		host_thread_stop(machine_host(m), &j->thread);
		ret = -EAGAIN;
	}
	if (ret)
		j->since = 0;
	return ret;
}

s64 file_job_ms(const struct file_job *j)
{
	return j->since ? now_ms() - j->since + 1 : 0;
}

void file_job_wait(struct file_job *j)
{
	file_job_finish(j);
}
