// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers QMP's commands that dump the guest's memory (QEMU's qapi/dump.json): dump-guest-memory,
 * query-dump, query-dump-guest-memory-capability, with the event DUMP_COMPLETED; and
 * umbra-dump-cancel.
 *
 * A guest that runs is paused for it, by STOP, and goes on afterwards, by RESUME. A thread writes
 * the core (vmm/machine/core.h), to a descriptor that the client has passed: the VMM opens no file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "vmm/machine/core.h"
#include "vmm/machine/file_job.h"
#include "vmm/monitor/monitor_int.h"

enum dump_state {
	DUMP_PAUSES, /* waits for the vCPUs */
	DUMP_WRITES,
	DUMP_COMPLETED,
	DUMP_FAILED,
};

struct dump {
	struct monitor *mon;
	enum dump_state state;
	struct control_request *r; /* to be answered at the end, or NULL */
	int fd;			   /* -1: closed */
	bool append;
	bool resume;	   /* the guest ran before */
	bool discard;	   /* what is incomplete is taken back; else that is for the client to do */
	bool cancel;	   /* asked for before there was a core */
	struct core *core; /* or NULL */
	struct file_job job;
	struct wait_hook wait_hook;
	const char *file; /* for messages */
	s64 since;	  /* atomic: it is taken back, or closed, since then; 0: not yet */
	bool held_noted, has_vmcoreinfo;
	int ret;
	u64 done, total;
	char why[300]; /* DUMP_FAILED */
};

bool monitor_is_dumping(const struct monitor *mon)
{
	return mon->dump && mon->dump->state <= DUMP_WRITES;
}

/* Has a file closed that nothing was written to: a client may have passed anything. */
static void dump_drop_fd(struct dump *d)
{
	if (d->fd >= 0)
		monitor_close_file(d->mon, d->fd, d->file);
	d->fd = -1;
}

static void dump_free(struct dump *d)
{
	if (!d)
		return;
	core_destroy(d->core);
	dump_drop_fd(d);
	free(d);
}

/*
 * Returns for how long this host's kernel has held the file; not for how long all of the dump has
 * taken.
 */
static s64 dump_held_ms(const struct dump *d)
{
	s64 since = __atomic_load_n(&d->since, __ATOMIC_ACQUIRE);

	if (!file_job_ms(&d->job))
		return 0;
	if (since)
		return now_ms() - since + 1;
	return d->core ? core_held_ms(d->core) : 0;
}

s64 monitor_dump_held_ms(const struct monitor *mon, const char **file)
{
	*file = mon->dump ? mon->dump->file : NULL;
	return mon->dump ? dump_held_ms(mon->dump) : 0;
}

/* Returns DumpQueryResult. */
static json_t *dump_result(const struct dump *d)
{
	static const char *const names[] = {
		[DUMP_PAUSES] = "active",
		[DUMP_WRITES] = "active",
		[DUMP_COMPLETED] = "completed",
		[DUMP_FAILED] = "failed",
	};
	u64 done = 0, total = 0;

	if (d && d->core) {
		core_progress(d->core, &done, &total);
	} else if (d) {
		done = d->done;
		total = d->total;
	}
	return json_pack("{s:s, s:I, s:I}", "status", d ? names[d->state] : "none", "completed",
			 (json_int_t)done, "total", (json_int_t)total);
}

/* --- one dump -------------------------------------------------------------------------------- */

/* Writes and closes the file, on the thread: its storage may hold any of these calls. */
static void dump_run(void *arg)
{
	struct dump *d = arg;

	d->ret = core_write(d->core, d->fd, d->append);
	__atomic_store_n(&d->since, now_ms(), __ATOMIC_RELEASE);
	if (d->ret && d->discard && ftruncate(d->fd, 0))
		d->discard = false;
	if (close(d->fd) && !d->ret)
		d->ret = -errno;
	d->fd = -1;
}

/* Ends a dump, that of a guest which goes on or has ended, and tells whoever waits. */
static void dump_finish(struct dump *d, const char *why)
{
	struct monitor *mon = d->mon;
	json_t *data;

	if (d->core) {
		core_progress(d->core, &d->done, &d->total);
		d->has_vmcoreinfo = core_has_vmcoreinfo(d->core);
		core_destroy(d->core);
		d->core = NULL;
	}
	dump_drop_fd(d);
	machine_remove_wait_hook(mon->m, &d->wait_hook);
	d->state = why ? DUMP_FAILED : DUMP_COMPLETED;
	snprintf(d->why, sizeof(d->why), "%s", why ? why : "");
	/* At a reset, too, which the pause would outlast. */
	if (d->resume && mon->state == MONITOR_PAUSED)
		monitor_resume(mon);
	if (!why && !d->has_vmcoreinfo)
		note_put(machine_notes(mon->m),
			 "dump: the guest's kernel has no VMCOREINFO (yet), without which crash(8) "
			 "may not find its way in it");
	data = json_pack("{s:o}", "result", dump_result(d));
	if (why)
		json_object_set_new(data, "error", json_string(why));
	control_event(mon->control, "DUMP_COMPLETED", data);
	if (d->r && why)
		control_fail(d->r, why);
	else if (d->r)
		control_reply(d->r, NULL);
	d->r = NULL;
}

static void dump_done(void *arg)
{
	struct dump *d = arg;

	dump_finish(d, d->ret == -ECANCELED ? "the dump was ended"
		       : d->ret		    ? strerror(-d->ret)
					    : NULL);
}

/* Notes, once, that the guest's end waits for the file. */
static void note_held_dump(void *arg)
{
	struct dump *d = arg;

	machine_note_held(d->mon->m, &d->held_noted, dump_held_ms(d), "dump", d->file);
}

/* Begins to write, now that no vCPU is in the guest. */
static void dump_begin(struct dump *d)
{
	struct err e;
	int ret = core_create(&d->core, d->mon->m, &e);

	if (ret) {
		dump_finish(d, e.text);
		return;
	}
	d->state = DUMP_WRITES;
	if (d->cancel)
		core_cancel(d->core);
	d->job = (struct file_job){ .name = "dump", .run = dump_run, .done = dump_done, .arg = d };
	d->wait_hook = (struct wait_hook){ .fn = note_held_dump, .arg = d };
	machine_add_wait_hook(d->mon->m, &d->wait_hook);
	ret = file_job_start(&d->job, d->mon->m);
	if (ret)
		dump_finish(d, strerror(-ret));
}

void monitor_dump_paused(struct monitor *mon)
{
	if (mon->dump && mon->dump->state == DUMP_PAUSES)
		dump_begin(mon->dump);
}

/* Makes a dump in place of the last one, which has ended. Returns NULL: out of memory. */
static struct dump *dump_new(struct monitor *mon, int fd, int flags)
{
	struct dump *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->mon = mon;
	d->fd = fd;
	d->file = "a client's descriptor";
	d->append = flags & O_APPEND;
	dump_free(mon->dump);
	mon->dump = d;
	return d;
}

void monitor_cancel_dump(struct monitor *mon)
{
	if (!mon || !monitor_is_dumping(mon))
		return;
	if (mon->dump->state == DUMP_WRITES)
		core_cancel(mon->dump->core);
}

/* A dump of a panic is given up for Ctrl-a x, a signal or quit, even if those lost by (W1). */
static bool dump_is_busy(void *arg)
{
	struct monitor *mon = arg;

	if (machine_end_asked(mon->m))
		monitor_cancel_dump(mon);
	return file_job_ms(&mon->dump->job) != 0;
}

void monitor_await_dump(struct monitor *mon)
{
	mon->no_dumps = true;
	if (!monitor_is_dumping(mon))
		return;
	monitor_cancel_dump(mon);
	/* At a reset the pause, which outlasts it, is still to come. */
	if (mon->dump->state == DUMP_PAUSES && mon->state == MONITOR_ENDED)
		dump_finish(mon->dump, "the guest has ended");
	else if (mon->dump->state == DUMP_WRITES)
		machine_wait(mon->m, dump_is_busy, mon);
}

void monitor_free_dump(struct monitor *mon)
{
	monitor_cancel_dump(mon);
	if (monitor_is_dumping(mon) && mon->dump->state == DUMP_PAUSES)
		dump_finish(mon->dump, "the guest has ended");
	else if (monitor_is_dumping(mon))
		file_job_wait(&mon->dump->job);
	dump_free(mon->dump);
	mon->dump = NULL;
}

void monitor_dump_ended(struct monitor *mon, int fd, const char *file)
{
	struct dump *d;

	monitor_await_dump(mon);
	d = dump_new(mon, fd, 0);
	if (!d) {
		mon->no_dumps = !mon->rests;
		monitor_close_file(mon, fd, file);
		note_put(machine_notes(mon->m), "%s: out of memory", file);
		return;
	}
	d->file = file;
	d->discard = true;
	dump_begin(d);
	machine_wait(mon->m, dump_is_busy, mon);
	/* Until here a client's dump would have taken the place of this one. */
	mon->no_dumps = !mon->rests;
	if (d->state == DUMP_COMPLETED)
		note_put(machine_notes(mon->m), "the guest's memory is in %s", file);
	else
		note_put(machine_notes(mon->m), "%s: cannot write: %s", file, d->why);
}

/* --- commands -------------------------------------------------------------------------------- */

/* Returns what is wrong with the request, or NULL. */
static const char *dump_refusal(const struct monitor *mon, const json_t *args)
{
	const json_t *format = json_object_get(args, "format");

	if (monitor_is_dumping(mon))
		return "There is a dump in process, please wait.";
	/* One that rests by --no-shutdown has all of it still: it may have panicked. */
	if (mon->state == MONITOR_ENDED && !mon->rests)
		return "The guest has ended; its memory is not dumped any more";
	/* monitor_await_dump() has been, or is about to be: nobody would wait for this one. */
	if (mon->no_dumps || (machine_exiting(mon->m) && !mon->rests))
		return "The guest ends or starts anew just now";
	if (!json_is_false(json_object_get(args, "paging")))
		return "\"paging\" must be false: a dump has guest-physical addresses here";
	if (json_object_get(args, "begin") || json_object_get(args, "length"))
		return "\"begin\" and \"length\" are not known here: a dump has all memory";
	if (format &&
	    strcmp(json_string_value(format) ? json_string_value(format) : "", "elf") != 0)
		return "the format is \"elf\" here";
	return NULL;
}

/* Returns the descriptor that the request names, or -1 and it is answered; its flags to *flags. */
static int take_dump_fd(struct control_request *r, const json_t *args, int *flags)
{
	const char *protocol = json_string_value(json_object_get(args, "protocol"));
	struct err e;
	int fd;

	if (!protocol || strncmp(protocol, "fd:", 3) != 0) {
		control_fail(r,
			     "\"protocol\" is \"fd:NAME\" here: pass an open file by getfd; this "
			     "VMM opens none itself");
		return -1;
	}
	fd = control_take_fd(r, protocol + 3, &e);
	if (fd < 0) {
		control_fail(r, e.text);
		return -1;
	}
	*flags = fcntl(fd, F_GETFL);
	if (*flags >= 0 && !(*flags & O_PATH) && (*flags & O_ACCMODE) != O_RDONLY)
		return fd;
	control_drop_fd(r, fd);
	control_fail(r, "the descriptor is not open for writing");
	return -1;
}

static void dump_guest_memory(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;
	const char *why = dump_refusal(mon, args);
	struct dump *d;
	int flags, fd;

	if (why) {
		control_fail(r, why);
		return;
	}
	fd = take_dump_fd(r, args, &flags);
	if (fd < 0)
		return;
	d = dump_new(mon, fd, flags);
	if (!d || (mon->state == MONITOR_RUNNING && machine_pause(mon->m))) {
		if (d) {
			d->state = DUMP_FAILED;
			dump_drop_fd(d);
		} else {
			control_drop_fd(r, fd);
		}
		control_fail(r, "out of memory or descriptors");
		return;
	}
	/* A request to pause that came before has the guest stay so. */
	d->resume = mon->state == MONITOR_RUNNING && !mon->pausing;
	if (mon->state == MONITOR_RUNNING)
		mon->pausing = true;
	if (json_is_true(json_object_get(args, "detach")))
		control_reply(r, NULL);
	else
		d->r = r;
	/* No vCPU executes, and none will: a guest that rests is not paused. */
	if (mon->rests || (machine_paused(mon->m) && !mon->pausing))
		dump_begin(d);
}

static void query_dump(void *arg, struct control_request *r, const json_t *args)
{
	const struct monitor *mon = arg;

	(void)args;
	control_reply(r, dump_result(mon->dump));
}

static void query_dump_capability(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_reply(r, json_pack("{s:[s]}", "formats", "elf"));
}

/* Ends the dump; one that still waits for the pause is ended when that has come. */
static void cancel_dump(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;

	(void)args;
	if (!monitor_is_dumping(mon)) {
		control_fail(r, "there is no dump in process");
		return;
	}
	mon->dump->cancel = true;
	monitor_cancel_dump(mon);
	control_reply(r, NULL);
}

const struct control_command monitor_dump_commands[] = {
	{ "dump-guest-memory", dump_guest_memory },
	{ "query-dump", query_dump },
	{ "query-dump-guest-memory-capability", query_dump_capability },
	{ "umbra-dump-cancel", cancel_dump },
	{ NULL, NULL },
};
