// SPDX-License-Identifier: GPL-2.0-only
/* Takes files of clients, read by a job unless they are sealed copies. */
#include "vmm/session/passed_file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sealed_file.h"
#include "vmm/control/control.h"
#include "vmm/machine/file_job.h"
#include "vmm/machine/machine.h"
#include "vmm/session/session.h"

struct passed_file {
	struct passed_file *next; /* that began later */
	struct sessions *s;
	struct control_request *r;
	json_t *args; /* a reference */
	passed_file_fn *fn;
	const char *name; /* in @args */
	int fd;		  /* -1: closed */
	int ret;	  /* 0 and @bytes, or -errno and @e */
	struct passed_bytes bytes;
	struct err e;
	struct file_job job;
	struct wait_hook wait_hook;
	bool held_noted;
};

/* --- one that is read by a job ---------------------------------------------------------------- */

/* Reads and closes the file, on the thread: its storage may hold any of these calls. */
static void read_run(void *arg)
{
	struct passed_file *f = arg;

	f->ret = file_read_fd(f->fd, f->name, UMBRA_MAIL_PAYLOAD_MAX, &f->bytes.data, &f->bytes.len,
			      &f->e);
	close(f->fd);
	f->fd = -1;
}

static void passed_file_free(struct passed_file *f)
{
	struct sessions *s = f->s;
	struct passed_file **at = &s->files;

	while (*at && *at != f)
		at = &(*at)->next;
	if (*at)
		*at = f->next;
	machine_remove_wait_hook(s->m, &f->wait_hook);
	json_decref(f->args);
	free(f->bytes.data);
	free(f);
}

static void read_done(void *arg)
{
	struct passed_file *f = arg;

	if (f->ret)
		control_fail(f->r, f->e.text);
	else
		f->fn(f->s, f->r, f->args, &f->bytes);
	passed_file_free(f);
}

static void note_held_file(void *arg)
{
	struct passed_file *f = arg;

	machine_note_held(f->s->m, &f->held_noted, file_job_ms(&f->job), NULL, f->name);
}

/* Has @fd read, which is taken over. On -errno it is still the caller's. */
static int read_start(struct sessions *s, struct control_request *r, const json_t *args,
		      passed_file_fn *fn, int fd)
{
	struct passed_file *f = calloc(1, sizeof(*f)), **end = &s->files;
	int ret;

	if (!f)
		return -ENOMEM;
	*f = (struct passed_file){ .s = s, .r = r, .fn = fn, .fd = fd };
	f->args = json_incref((json_t *)(uintptr_t)args);
	f->name = json_string_value(json_object_get(args, "path"));
	f->job = (struct file_job){
		.name = "client-file", .run = read_run, .done = read_done, .arg = f
	};
	f->wait_hook = (struct wait_hook){ .fn = note_held_file, .arg = f };
	machine_add_wait_hook(s->m, &f->wait_hook);
	while (*end)
		end = &(*end)->next;
	*end = f;
	ret = file_job_start(&f->job, s->m);
	if (ret)
		passed_file_free(f);
	return ret;
}

/* --- all of them ---------------------------------------------------------------------------- */

static const char *why_not_read(const struct sessions *s)
{
	size_t n = 0;

	if (s->no_files)
		return "the guest ends just now";
	for (const struct passed_file *f = s->files; f; f = f->next)
		n++;
	return n < PASSED_FILES_MAX ? NULL
				    : "other files of clients are still being read; try again";
}

/* Reads a sealed copy, for whose storage nobody waits. */
static void take_sealed(struct sessions *s, struct control_request *r, const json_t *args,
			passed_file_fn *fn, int fd)
{
	const char *name = json_string_value(json_object_get(args, "path"));
	struct passed_bytes bytes;
	struct err e;
	int ret = file_read_fd(fd, name, UMBRA_MAIL_PAYLOAD_MAX, &bytes.data, &bytes.len, &e);

	close(fd);
	if (ret) {
		control_fail(r, e.text);
		return;
	}
	fn(s, r, args, &bytes);
	free(bytes.data);
}

void passed_file_take(struct sessions *s, struct control_request *r, const json_t *args,
		      passed_file_fn *fn)
{
	const char *why;
	struct err e;
	int fd = control_take_fd(r, json_string_value(json_object_get(args, "fd")), &e);

	if (fd < 0) {
		control_fail(r, e.text);
		return;
	}
	if (sealed_file_is(fd)) {
		take_sealed(s, r, args, fn, fd);
		return;
	}
	why = why_not_read(s);
	if (!why && read_start(s, r, args, fn, fd))
		why = "out of memory";
	if (!why)
		return;
	control_drop_fd(r, fd);
	control_fail(r, why);
}

s64 passed_file_held_ms(const struct sessions *s, const char **file)
{
	*file = s->files ? s->files->name : NULL;
	return s->files ? file_job_ms(&s->files->job) : 0;
}

static bool is_reading(void *arg)
{
	const struct sessions *s = arg;

	return s->files;
}

void passed_file_await(struct sessions *s)
{
	s->no_files = true;
	if (s->files)
		machine_wait(s->m, is_reading, s);
}

void passed_file_finish(struct sessions *s)
{
	while (s->files)
		file_job_wait(&s->files->job);
}
