// SPDX-License-Identifier: GPL-2.0-only
/* Changes what is to be seen of a caller, for the sessions. */
#include <errno.h>
#include <stdlib.h>

#include "vmm/gate/gate_int.h"

int gate_caller_see(struct gate *g, unsigned caller, const struct gate_sight *list, size_t n)
{
	struct sight *sights = n ? calloc(n, sizeof(*sights)) : NULL;
	struct gate_caller *c;

	if (n && !sights)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sights[i].as = list[i];
	gate_drain(g);
	pthread_rwlock_wrlock(&g->callers_lock);
	c = gate_caller_of(g, UMBRA_ID(caller, 0));
	if (c) {
		gate_sights_set(g, c, sights, n);
		sights = NULL;
	}
	pthread_rwlock_unlock(&g->callers_lock);
	free(sights);
	gate_drain_arm(g);
	return 0;
}

void gate_caller_see_anew(struct gate *g, unsigned caller, const struct gate_sight *as)
{
	struct gate_caller *c;

	pthread_rwlock_wrlock(&g->callers_lock);
	c = gate_caller_of(g, UMBRA_ID(caller, 0));
	if (c)
		gate_sight_change(g, c, as);
	pthread_rwlock_unlock(&g->callers_lock);
	gate_drain_arm(g);
}

size_t gate_caller_followed(struct gate *g, unsigned caller)
{
	const struct gate_caller *c;
	size_t n = 0;

	pthread_rwlock_rdlock(&g->callers_lock);
	c = gate_caller_of(g, UMBRA_ID(caller, 0));
	for (size_t i = 0; c && i < c->n_sights; i++)
		n += c->sights[i].traces != 0;
	pthread_rwlock_unlock(&g->callers_lock);
	return n;
}
