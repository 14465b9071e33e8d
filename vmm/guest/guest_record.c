// SPDX-License-Identifier: GPL-2.0-only
/* Makes a guest's record and its thread, ends both, and reports what becomes of the file. */
#include "vmm/guest/guest_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/socket_file.h"
#include "policy/record.h"
#include "vmm/machine/file_job.h"
#include "vmm/machine/machine.h"
#include "vmm/monitor/monitor.h"
#include "vmm/spec/spec.h"

_Static_assert(SPEC_MIN_RECORD_SIZE == RECORD_SIZE_MIN && SPEC_MAX_RECORD_KEEP == RECORD_KEEP_MAX,
	       "a spec may ask for what a record has");

struct guest_record {
	struct machine *m;
	struct record *record;
	const char *path;
	struct host_thread writer;
	struct file_job job;
	const char *event_kind, *event_text; /* for the job */
	struct wait_hook wait_hook;
	bool held_noted;
};

/* Returns NULL as long as there is nothing to tell. */
static json_t *record_section(void *arg)
{
	const struct guest_record *g = arg;
	struct record_status now = { .lost = 0 };
	json_t *one;
	s64 held;

	if (!g->record)
		return NULL;
	record_status(g->record, &now);
	held = record_held_ms(g->record);
	if (!now.error && !now.lost)
		return monitor_held_section(g->path, held);
	one = json_pack("{s:s*}", "file", g->path);
	if (now.error)
		json_object_set_new(one, "error", json_string(strerror(now.error)));
	monitor_tell_held(one, g->path, held);
	json_object_set_new(one, "lost", json_integer((json_int_t)now.lost));
	return json_pack("[o]", one);
}

/* Tells people what the file does; on the record's thread. */
static void record_refused(void *arg, int error, u64 lost)
{
	const struct guest_record *g = arg;
	const struct note_sink *notes = machine_notes(g->m);

	if (error)
		note_put(notes,
			 "--record %s: takes no lines: %s; the guest goes on, and what is lost is "
			 "counted",
			 g->path, strerror(error));
	else
		note_put(notes, "--record %s: takes lines again; %" PRIu64 " are lost", g->path,
			 lost);
}

static void record_lost(void *arg, u64 lost)
{
	const struct guest_record *g = arg;

	note_put(machine_notes(g->m),
		 "--record %s: takes fewer lines than the drivers ask for; %" PRIu64
		 " are lost so far",
		 g->path, lost);
}

static bool record_may_wait(void *arg)
{
	const struct guest_record *g = arg;

	return !machine_wants_vcpus(g->m);
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

/* Opens the other files; one that is refused takes the first, which is empty yet, along. */
static int record_rotate_new(struct record *r, const struct guest_spec *spec, struct err *e)
{
	struct socket_id id;
	bool made = !unused_file_id(spec->record, &id);
	int ret = record_rotate(r, spec->record_size, spec->record_keep, e);

	if (!ret)
		return 0;
	record_close(r, NULL);
	if (made)
		unused_file_remove(spec->record, &id);
	return ret;
}

int guest_record_create(struct guest_record **out, struct machine *m, struct monitor *mon,
			const struct guest_spec *spec, struct err *e)
{
	struct guest_record *g = calloc(1, sizeof(*g));
	int ret;

	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	g->m = m;
	g->path = spec->record;
	/* The file last: a start that fails before makes none. */
	ret = g->path ? monitor_add_info(mon, "record", record_section, g) : 0;
	ret = ret ? err_set(e, ret, "out of memory") : record_create(&g->record, g->path, e);
	if (!ret && g->path && spec->record_size)
		ret = record_rotate_new(g->record, spec, e);
	if (ret) {
		free(g);
		return ret;
	}
	record_set_owner(g->record, &(struct record_owner){ .stay = record_may_wait,
							    .refused = record_refused,
							    .lost = record_lost,
							    .arg = g });
	g->wait_hook = (struct wait_hook){ .fn = note_held_record, .arg = g };
	machine_add_wait_hook(m, &g->wait_hook);
	*out = g;
	return 0;
}

/* Each thread that has a line writes it then. */
static void record_without_thread(void *arg)
{
	record_expect_thread(arg, false);
}

int guest_record_start(struct guest_record *g, struct err *e)
{
	int ret;

	if (!record_is_open(g->record))
		return 0;
	g->writer = (struct host_thread){ .kind = HOST_THREAD_FILE,
					  .name = "record",
					  .run = record_run,
					  .failed = record_without_thread,
					  .arg = g->record };
	record_expect_thread(g->record, true);
	ret = host_thread_start(machine_host(g->m), &g->writer);
	if (ret)
		record_expect_thread(g->record, false);
	return ret ? err_set(e, ret, "--record %s: cannot make a thread: %s", g->path,
			     strerror(-ret))
		   : 0;
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
	record_sync(g->record);
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
	/* Without a thread for the wait guest_record_end() waits, in this one. */
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
	record_finish(g->record);
	host_thread_stop(machine_host(g->m), &g->writer);
	ret = record_close(g->record, e);
	free(g);
	return ret;
}
