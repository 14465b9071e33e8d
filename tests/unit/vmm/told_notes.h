/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the notes that a guest's parts put (base/note.h), a line each, for tests to look at. */
#ifndef UMBRA_TESTS_UNIT_VMM_TOLD_NOTES_H
#define UMBRA_TESTS_UNIT_VMM_TOLD_NOTES_H

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct told_notes {
	pthread_mutex_t lock;
	char text[4000];
};

static inline void told_begin(struct told_notes *n)
{
	pthread_mutex_init(&n->lock, NULL);
	n->text[0] = '\0';
}

static inline void told_end(struct told_notes *n)
{
	pthread_mutex_destroy(&n->lock);
}

/* Is the function of a note_sink whose argument is a struct told_notes. Any thread. */
static inline void told_put(void *arg, const char *line)
{
	struct told_notes *n = arg;
	size_t used;

	pthread_mutex_lock(&n->lock);
	used = strlen(n->text);
	snprintf(n->text + used, sizeof(n->text) - used, "%s\n", line);
	pthread_mutex_unlock(&n->lock);
}

#endif
