// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells where a name leads that a driver gives to __symbol_get() or __symbol_put(): in the guest
 * the exports of a session's driver have names of their own, or those of two sessions would meet.
 *
 * A put says only a name, and must let go of what the get took: of something else it would take a
 * reference away that is not its own, and at a name that nobody exports the kernel stops with
 * BUG(). To count what was taken would not do, because symbol_put_addr() lets go unseen. Instead a
 * name leads to the same export for as long as somebody may hold that:
 *
 *  - What the kernel's image exports is the kernel's, always.
 *  - Of the drivers of a session that export one name, the one loaded first counts (for an import
 *    it is the last). One that is held does not unload, and no other can come before it.
 *  - What was let through to a module outside of the session (a permission) stays that module's,
 *    whatever the session loads, until the asking driver is gone (struct outside_name). That is so
 *    also if the guest had no such module then, since the host does not hear what a get returned.
 *  - No other name can have been taken, and its put is not carried out (call_decide_put()). A name
 *    that an export of a session has in the guest is nobody's to ask for, whatever is permitted: it
 *    could be another session's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

#define EXPORT_NAME_MAX 511 /* KSYM_NAME_LEN of include/linux/kallsyms.h, without the NUL */

/* Names that one caller was let through with; a permission may be a pattern, and names forged. */
#define OUTSIDE_MAX 256

struct outside_name {
	struct outside_name *next;
	char name[];
};

int gate_exports_add(struct gate *g, unsigned caller, const struct gate_export *list, size_t n)
{
	struct gate_export *copy;
	size_t len = 0;
	char *text;

	if (n > GATE_EXPORTS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < n; i++)
		len += strlen(list[i].name) + strlen(list[i].real) + 2;
	copy = malloc(n * sizeof(*copy) + len + 1);
	if (!copy)
		return -ENOMEM;
	text = (char *)(copy + n);
	for (size_t i = 0; i < n; i++) {
		copy[i].name = text;
		text = stpcpy(text, list[i].name) + 1;
		copy[i].real = text;
		text = stpcpy(text, list[i].real) + 1;
	}
	pthread_rwlock_wrlock(&g->callers_lock);
	g->callers[caller]->exports = copy;
	g->callers[caller]->n_exports = n;
	pthread_rwlock_unlock(&g->callers_lock);
	return 0;
}

void gate_exports_live(struct gate *g, unsigned caller)
{
	pthread_rwlock_wrlock(&g->callers_lock);
	g->callers[caller]->exports_live = ++g->exports_live;
	pthread_rwlock_unlock(&g->callers_lock);
}

void gate_exports_dead(struct gate *g, unsigned caller)
{
	pthread_rwlock_wrlock(&g->callers_lock);
	g->callers[caller]->exports_live = 0;
	pthread_rwlock_unlock(&g->callers_lock);
}

void gate_exports_free(struct gate_caller *c)
{
	while (c->outside) {
		struct outside_name *o = c->outside;

		c->outside = o->next;
		free(o);
	}
	free(c->exports);
}

/* Is @name one that @c was let through with? *n: how many came before. outside_lock is held. */
static bool outside_has(const struct gate_caller *c, const char *name, size_t *n)
{
	*n = 0;
	for (const struct outside_name *o = c->outside; o; o = o->next, ++*n)
		if (!strcmp(o->name, name))
			return true;
	return false;
}

int gate_exports_let_through(struct gate *g, struct gate_caller *c, const char *name)
{
	size_t n, len = strlen(name) + 1;
	struct outside_name *o;
	int ret = 0;

	pthread_mutex_lock(&g->outside_lock);
	if (!outside_has(c, name, &n)) {
		o = n < OUTSIDE_MAX ? malloc(sizeof(*o) + len) : NULL;
		if (o) {
			memcpy(o->name, name, len);
			o->next = c->outside;
			c->outside = o;
		} else {
			ret = n < OUTSIDE_MAX ? -ENOMEM : -ENOSPC;
		}
	}
	pthread_mutex_unlock(&g->outside_lock);
	return ret;
}

static bool session_let_through(struct gate *g, const char *session, const char *name)
{
	bool found = false;
	size_t n;

	pthread_mutex_lock(&g->outside_lock);
	for (unsigned i = 1; i < UMBRA_CALLERS && !found; i++) {
		const struct gate_caller *c = g->callers[i];

		found = c && c->outside && !strcmp(c->session, session) && outside_has(c, name, &n);
	}
	pthread_mutex_unlock(&g->outside_lock);
	return found;
}

static const char *session_export(const struct gate *g, const char *session, const char *name)
{
	const char *real = NULL;
	u64 first = UINT64_MAX;

	for (unsigned i = 1; i < UMBRA_CALLERS; i++) {
		const struct gate_caller *c = g->callers[i];

		if (!c || !c->exports_live || c->exports_live > first ||
		    strcmp(c->session, session) != 0)
			continue;
		for (size_t x = 0; x < c->n_exports; x++) {
			if (strcmp(c->exports[x].name, name) != 0)
				continue;
			first = c->exports_live;
			real = c->exports[x].real;
			break;
		}
	}
	return real;
}

/* Returns the catalogue's function that the kernel's image has at @addr, or NULL. */
static const char *critical_at(const struct gate *g, u64 addr)
{
	const struct catalog_fn *all;
	size_t n;

	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		const struct kernel_export *ex = kernel_export(g->k, all[i].name);

		if (ex && ex->addr == addr)
			return all[i].name;
	}
	return NULL;
}

bool gate_exports_find(struct gate *g, const char *session, struct policy_request *r)
{
	const struct kernel_export *ex;

	r->place = EXPORT_PRIVATE;
	r->export = NULL;
	/* No name of C has a dot; those that the linker gives to exports of sessions have one. */
	if (strlen(r->name) > EXPORT_NAME_MAX || strchr(r->name, '.'))
		return false;
	r->place = EXPORT_OUTSIDE;
	ex = kernel_export(g->k, r->name);
	if (ex) {
		r->place = EXPORT_KERNEL;
		r->export = critical_at(g, ex->addr);
		return true;
	}
	if (session_let_through(g, session, r->name))
		return true;
	r->export = session_export(g, session, r->name);
	if (r->export)
		r->place = EXPORT_SESSION;
	return r->export;
}
