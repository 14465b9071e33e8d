// SPDX-License-Identifier: GPL-2.0-only
/* Closes descriptors one after the other, each by a job that may wait. */
#include "vmm/machine/closer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/machine/file_job.h"
#include "vmm/machine/machine.h"

struct closing {
	struct closing *next;
	int fd;
	char what[];
};

struct closer {
	struct machine *m;
	struct file_job job;	      /* closes the first one of the list */
	struct closing *first, **end; /* in order */
	struct wait_hook wait_hook;
	bool held_noted; /* there was a note about the first one */
	unsigned more;	 /* how many are taken before closer_limit() is reached */
};

/* On the job's thread. */
static void closer_run(void *arg)
{
	const struct closer *c = arg;

	close(c->first->fd);
}

static void closer_remove_first(struct closer *c)
{
	struct closing *first = c->first;

	c->first = first->next;
	if (!c->first)
		c->end = &c->first;
	c->held_noted = false;
	free(first);
}

/* Has the next one closed; if there is no memory for a thread, the next call tries again. */
static void closer_go_on(struct closer *c)
{
	if (c->first && !file_job_ms(&c->job))
		file_job_start(&c->job, c->m);
}

static void closer_done(void *arg)
{
	struct closer *c = arg;

	closer_remove_first(c);
	closer_go_on(c);
}

static void closer_note_held(void *arg)
{
	struct closer *c = arg;
	const char *what;

	s64 ms = closer_held_ms(c, &what);

	machine_note_held(c->m, &c->held_noted, ms, NULL, what);
}

int closer_create(struct closer **out, struct machine *m)
{
	struct closer *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->m = m;
	c->end = &c->first;
	c->more = UINT_MAX;
	c->job = (struct file_job){
		.name = "close", .run = closer_run, .done = closer_done, .arg = c
	};
	c->wait_hook = (struct wait_hook){ .fn = closer_note_held, .arg = c };
	machine_add_wait_hook(m, &c->wait_hook);
	*out = c;
	return 0;
}

void closer_close(struct closer *c, int fd, const char *what)
{
	size_t len = strlen(what) + 1;
	struct closing *n;

	if (!c) {
		close(fd);
		return;
	}
	n = c->more ? malloc(sizeof(*n) + len) : NULL;
	/* Without memory it stays open, since a close here might never return. */
	if (n) {
		n->next = NULL;
		n->fd = fd;
		memcpy(n->what, what, len);
		*c->end = n;
		c->end = &n->next;
		c->more -= c->more != UINT_MAX;
	}
	closer_go_on(c);
}

s64 closer_held_ms(const struct closer *c, const char **what)
{
	s64 ms = file_job_ms(&c->job);

	*what = ms ? c->first->what : NULL;
	return ms;
}

void closer_limit(struct closer *c, unsigned more)
{
	c->more = more;
}

bool closer_is_busy(struct closer *c)
{
	closer_go_on(c);
	return file_job_ms(&c->job);
}

void closer_destroy(struct closer *c)
{
	if (!c)
		return;
	machine_remove_wait_hook(c->m, &c->wait_hook);
	while (c->first) {
		closer_go_on(c);
		if (file_job_ms(&c->job)) {
			file_job_wait(&c->job); /* which begins the next one */
		} else {
			close(c->first->fd);
			closer_remove_first(c);
		}
	}
	free(c);
}
