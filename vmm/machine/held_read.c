// SPDX-License-Identifier: GPL-2.0-only
/* Reads files on a thread, and tells the name of the one whose storage does not answer. */
#include "vmm/machine/held_read.h"

#include "vmm/machine/machine.h"

#define READ_HELD_MS 5000

static void held_read_run(void *arg)
{
	struct held_read *r = arg;

	r->run(r->arg);
}

static void held_read_done(void *arg)
{
	struct held_read *r = arg;

	if (r->done)
		r->done(r->arg);
}

int held_read_start(struct held_read *r, struct machine *m)
{
	if (held_read_runs(r))
		return 0;
	r->m = m;
	r->file = NULL;
	r->noted = false;
	r->job = (struct file_job){
		.name = r->name, .run = held_read_run, .done = held_read_done, .arg = r
	};
	return file_job_start(&r->job, m);
}

void held_read_file(struct held_read *r, const char *file)
{
	__atomic_store_n(&r->file, file, __ATOMIC_RELEASE);
}

bool held_read_runs(const struct held_read *r)
{
	return file_job_ms(&r->job);
}

s64 held_read_ms(const struct held_read *r, const char **file)
{
	*file = __atomic_load_n(&r->file, __ATOMIC_ACQUIRE);
	return *file ? file_job_ms(&r->job) : 0;
}

static bool held_read_is_busy(void *arg)
{
	struct held_read *r = arg;
	const char *file;
	s64 ms = held_read_ms(r, &file);

	if (ms >= READ_HELD_MS)
		machine_note_held(r->m, &r->noted, ms, NULL, file);
	return held_read_runs(r);
}

int held_read_await(struct held_read *r, struct machine *m)
{
	return machine_wait(m, held_read_is_busy, r);
}

void held_read_wait(struct held_read *r)
{
	file_job_wait(&r->job);
}
