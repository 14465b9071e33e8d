// SPDX-License-Identifier: GPL-2.0-only
/* Keeps the callers that the host can tell apart, by the number that their gate ids hold. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

/*
 * Makes the lock, which prefers writers: calls hold it for reading nearly always, and a change of
 * the callers must get its turn all the same.
 */
void gate_callers_init(struct gate *g)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&g->callers_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&g->outside_lock, NULL);
}

static void caller_free(struct gate *g, struct gate_caller *c)
{
	if (!c)
		return;
	gate_sights_free(g, c);
	gate_text_free(c->text);
	free(c->session);
	free(c->driver);
	gate_exports_free(c);
	pthread_mutex_destroy(&c->refusal_lock);
	free(c);
}

void gate_callers_forget(struct gate *g)
{
	pthread_rwlock_wrlock(&g->callers_lock);
	for (unsigned i = 0; i < UMBRA_CALLERS; i++) {
		caller_free(g, g->callers[i]);
		free(g->left_by[i]);
		g->callers[i] = NULL;
		g->left_by[i] = NULL;
	}
	pthread_rwlock_unlock(&g->callers_lock);
}

void gate_callers_destroy(struct gate *g)
{
	gate_callers_forget(g);
	pthread_rwlock_destroy(&g->callers_lock);
	pthread_mutex_destroy(&g->outside_lock);
}

/*
 * Returns a number for a caller of @session; 0: there is none. One that counts what a driver of
 * this session has left comes first, and one with what another session's has left comes last: so no
 * session gets more room by loading anew, or takes it from others.
 */
static unsigned caller_choose_number(struct gate *g, const char *session)
{
	unsigned clean = 0, others = 0;

	for (unsigned i = 1; i < UMBRA_CALLERS; i++) {
		if (g->callers[i])
			continue;
		if (!g->left_by[i] || !ledger_has_any(g->ledger, i))
			clean = clean ? clean : i;
		else if (!strcmp(g->left_by[i], session))
			return i;
		else
			others = others ? others : i;
	}
	return clean ? clean : others;
}

int gate_caller_add(struct gate *g, const struct policy_session *s, const char *session,
		    const char *driver)
{
	struct gate_caller *c = calloc(1, sizeof(*c));
	unsigned i;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->refusal_lock, NULL);
	c->policy = s;
	c->session = strdup(session);
	c->driver = strdup(driver);
	if (!c->session || !c->driver) {
		caller_free(g, c);
		return -ENOMEM;
	}
	pthread_rwlock_wrlock(&g->callers_lock);
	i = caller_choose_number(g, session);
	c->serial = ++g->callers_made;
	if (i)
		g->callers[i] = c;
	pthread_rwlock_unlock(&g->callers_lock);
	if (i)
		return (int)i;
	caller_free(g, c);
	return -ENOSPC;
}

void gate_caller_remove(struct gate *g, unsigned caller)
{
	struct gate_caller *c;

	if (!caller || caller >= UMBRA_CALLERS)
		return;
	gate_drain(g); /* its number may become another's */
	pthread_rwlock_wrlock(&g->callers_lock);
	ledger_drop(g->ledger, caller);
	c = g->callers[caller];
	g->callers[caller] = NULL; /* from here on the number may be another's (G11) */
	free(g->left_by[caller]);
	g->left_by[caller] = NULL;
	if (c && ledger_has_any(g->ledger, caller)) {
		g->left_by[caller] = c->session;
		c->session = NULL;
	}
	pthread_rwlock_unlock(&g->callers_lock);
	caller_free(g, c);
	gate_drain_arm(g);
}

void gate_caller_set_policy(struct gate *g, unsigned caller, const struct policy_session *s)
{
	pthread_rwlock_wrlock(&g->callers_lock);
	if (caller < UMBRA_CALLERS && g->callers[caller])
		g->callers[caller]->policy = s;
	pthread_rwlock_unlock(&g->callers_lock);
}

size_t gate_caller_objects(struct gate *g, unsigned caller)
{
	return caller < UMBRA_CALLERS ? ledger_registered(g->ledger, caller) : 0;
}

void gate_caller_refusal(struct gate *g, unsigned caller, char out[GATE_REFUSAL_MAX])
{
	struct gate_caller *c;

	out[0] = '\0';
	pthread_rwlock_rdlock(&g->callers_lock);
	c = caller < UMBRA_CALLERS ? g->callers[caller] : NULL;
	if (c) {
		pthread_mutex_lock(&c->refusal_lock);
		memcpy(out, c->refusal, GATE_REFUSAL_MAX);
		pthread_mutex_unlock(&c->refusal_lock);
	}
	pthread_rwlock_unlock(&g->callers_lock);
}

u64 gate_caller_calls(struct gate *g, unsigned caller)
{
	u64 n = 0;

	pthread_rwlock_rdlock(&g->callers_lock);
	if (caller < UMBRA_CALLERS && g->callers[caller])
		n = atomic_load(&g->callers[caller]->calls);
	pthread_rwlock_unlock(&g->callers_lock);
	return n;
}
