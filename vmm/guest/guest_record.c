// SPDX-License-Identifier: GPL-2.0-only
/* Makes a guest's record, ends it on a thread that may wait, and reports what is held of it. */
#include "vmm/guest/guest_record.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/record.h"
#include "vmm/machine/file_job.h"
#include "vmm/machine/machine.h"
#include "vmm/monitor/monitor.h"

struct guest_record {
	struct machine *m;
	struct record *record;
	const char *path;
	struct file_job job;
	const char *event_kind, *event_text; /* for the job */
	struct wait_hook wait_hook;
	bool held_noted;
};

static json_t *record_section(void *arg)
{
	const struct guest_record *g = arg;

	return monitor_held_section(g->path, g->record ? record_held_ms(g->record) : 0);
}

/* Notes, once, that the guest's end waits for a vCPU's line or for the flush. */
static void note_held_record(void *arg)
{
	struct guest_record *g = arg;

	machine_note_held(g->m, &g->held_noted, record_held_ms(g->record), "--record", g->path);
}

static void record_job(void *arg)
{
	struct guest_record *g = arg;

	record_finish(g->record);
}

int guest_record_create(struct guest_record **out, struct machine *m, struct monitor *mon,
			const char *path, struct err *e)
{
	struct guest_record *g = calloc(1, sizeof(*g));
	int ret;

	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	g->m = m;
	g->path = path;
	/* The file last: a start that fails before makes none. */
	ret = path ? monitor_add_info(mon, "record", record_section, g) : 0;
	ret = ret ? err_set(e, ret, "out of memory") : record_create(&g->record, path, e);
	if (ret) {
		free(g);
		return ret;
	}
	g->wait_hook = (struct wait_hook){ .fn = note_held_record, .arg = g };
	machine_add_wait_hook(m, &g->wait_hook);
	*out = g;
	return 0;
}

struct record *guest_record_of(const struct guest_record *g)
{
	return g->record;
}

static bool record_is_busy(void *arg)
{
	const struct guest_record *g = arg;

	return file_job_ms(&g->job) != 0;
}

static void event_job(void *arg)
{
	struct guest_record *g = arg;

	record_event(g->record, machine_time_ns(g->m), g->event_kind, g->event_text);
}

void guest_record_event(struct guest_record *g, const char *kind, const char *text)
{
	g->event_kind = kind;
	g->event_text = text;
	g->job = (struct file_job){ .name = "record", .run = event_job, .arg = g };
	if (file_job_start(&g->job, g->m)) {
		event_job(g);
		return;
	}
	machine_wait(g->m, record_is_busy, g);
	file_job_wait(&g->job);
}

void guest_record_await(struct guest_record *g)
{
	/* One that nothing was written to is closed, which may wait as a flush does. */
	if (!record_is_open(g->record))
		return;
	g->job = (struct file_job){ .name = "record", .run = record_job, .arg = g };
	/* Without a thread guest_record_end() waits, in this one. */
	if (!file_job_start(&g->job, g->m))
		machine_wait(g->m, record_is_busy, g);
}

int guest_record_end(struct guest_record *g, struct err *e)
{
	int ret;

	if (!g)
		return 0;
	file_job_wait(&g->job);
	machine_remove_wait_hook(g->m, &g->wait_hook);
	ret = record_close(g->record, e);
	free(g);
	return ret;
}
