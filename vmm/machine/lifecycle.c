// SPDX-License-Identifier: GPL-2.0-only
/* Keeps the list of a guest's parts, and calls them in order at each turn of the guest's life. */
#include "vmm/machine/lifecycle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum life {
	LIFE_CREATED,
	LIFE_STARTED,
	LIFE_RESET,
	LIFE_FAILED,
	LIFE_ENDED,
};

struct lifecycle {
	struct {
		const struct lifecycle_ops *ops;
		void *part;
	} parts[LIFECYCLE_MAX_PARTS];
	size_t n;
	enum life life;
	bool quiet;
};

int lifecycle_create(struct lifecycle **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void lifecycle_destroy(struct lifecycle *l)
{
	free(l);
}

void lifecycle_add(struct lifecycle *l, const struct lifecycle_ops *ops, void *part)
{
	assert(l->life == LIFE_CREATED && l->n < LIFECYCLE_MAX_PARTS); /* (L1) */
	for (size_t i = 0; i < l->n; i++)
		assert(l->parts[i].part != part || l->parts[i].ops != ops);
	l->parts[l->n].ops = ops;
	l->parts[l->n].part = part;
	l->n++;
}

int lifecycle_start(struct lifecycle *l, struct err *e)
{
	bool again = l->life == LIFE_RESET;
	int ret = 0;

	assert(again || l->life == LIFE_CREATED); /* (L2) (L6) */
	for (size_t i = 0; i < l->n && !ret; i++)
		if (l->parts[i].ops->start)
			ret = l->parts[i].ops->start(l->parts[i].part, again, e);
	l->life = ret ? LIFE_FAILED : LIFE_STARTED;
	return ret;
}

void lifecycle_quiesce(struct lifecycle *l)
{
	if (l->quiet || l->life != LIFE_STARTED) /* (L3) */
		return;
	l->quiet = true;
	for (size_t i = l->n; i-- > 0;)
		if (l->parts[i].ops->quiesce)
			l->parts[i].ops->quiesce(l->parts[i].part);
}

void lifecycle_resume(struct lifecycle *l)
{
	if (!l->quiet)
		return;
	l->quiet = false;
	for (size_t i = 0; i < l->n; i++)
		if (l->parts[i].ops->resume)
			l->parts[i].ops->resume(l->parts[i].part);
}

int lifecycle_reset(struct lifecycle *l, struct err *e)
{
	int ret = 0;

	assert(l->life == LIFE_STARTED); /* (L4) (L6) */
	for (size_t i = l->n; i-- > 0 && !ret;)
		if (l->parts[i].ops->reset)
			ret = l->parts[i].ops->reset(l->parts[i].part, e);
	l->life = ret ? LIFE_FAILED : LIFE_RESET;
	return ret;
}

int lifecycle_end(struct lifecycle *l, struct err *e)
{
	struct err other;
	int first = 0;

	l->life = LIFE_ENDED;
	while (l->n) { /* (L5) */
		const struct lifecycle_ops *ops = l->parts[--l->n].ops;
		int ret = ops->end ? ops->end(l->parts[l->n].part, first ? &other : e) : 0;

		first = first ? first : ret;
	}
	return first;
}
