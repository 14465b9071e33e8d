// SPDX-License-Identifier: GPL-2.0-only
/* Places inward entries: finds the functions of a module that the guest's loader has relocated. */
#include "vmm/session/placement.h"

#include <errno.h>
#include <elf.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/machine/guest_read.h"
#include "vmm/machine/machine.h"
#include "shadow/link/link.h"
#include "vmm/session/guest_module.h"
#include "vmm/session/session.h"

#define FIND_TRIES 3 /* the list may change under the walk */

/* A module that is awaited; while it is in the list all of it is guarded by the sessions' lock. */
struct placement {
	struct placement *next;
	u64 serial;	    /* no other has it, before or after */
	struct sessions *s; /* NULL: it is not in the list any more */
	char name[MODULE_NAME_LEN];
	u32 n_symbols; /* that the module's table must have */
	size_t n;
	struct placement_function *list;
	bool placed;		     /* it is not placed again */
	char why[PLACEMENT_WHY_MAX]; /* of the last try that failed */
};

/* A module while it is looked at. */
struct coming {
	struct guest_module mod, init;
	u64 symbols; /* address of the table */
	u32 n_symbols;
};

int placement_begin(struct placement **out, struct sessions *s, const char *name, u32 n_symbols,
		    struct placement_function *list, size_t n)
{
	struct placement *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->s = s;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->n_symbols = n_symbols;
	p->list = list;
	p->n = n;
	pthread_mutex_lock(&s->placements_lock);
	p->serial = ++s->placements_made;
	p->next = s->placements;
	s->placements = p;
	pthread_mutex_unlock(&s->placements_lock);
	*out = p;
	return 0;
}

static void placement_take_out(struct placement *p)
{
	struct placement **at;

	if (!p->s)
		return;
	pthread_mutex_lock(&p->s->placements_lock);
	for (at = &p->s->placements; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	pthread_mutex_unlock(&p->s->placements_lock);
	p->s = NULL;
}

enum placing placement_end(struct placement *p, char why[PLACEMENT_WHY_MAX])
{
	why[0] = '\0';
	if (!p)
		return NOT_TOLD;
	placement_take_out(p);
	snprintf(why, PLACEMENT_WHY_MAX, "%s", p->why);
	return p->placed ? PLACED : *p->why ? NOT_PLACED : NOT_TOLD;
}

const struct placement_function *placement_functions(const struct placement *p)
{
	return p->list;
}

void placement_free(struct placement *p)
{
	if (!p)
		return;
	placement_take_out(p);
	free(p->list);
	free(p);
}

/* Finds the module at @at by its name in the kernel's own list, and its symbol table. */
static int coming_find(struct sessions *s, const char *name, u64 at, struct coming *c,
		       struct err *e)
{
	int ret = -ENOENT;

	for (int i = 0; ret && i < FIND_TRIES; i++)
		ret = guest_module_find(s, name, &c->mod, e);
	if (ret)
		return ret;
	if (c->mod.at != at)
		return err_set(e, -EINVAL, "another module has the name in the kernel's list");
	ret = guest_module_init_part(s, &c->mod, &c->init, e);
	if (!ret)
		ret = guest_module_symbols(s, &c->mod, &c->symbols, &c->n_symbols, e);
	return ret;
}

static bool in_text(const struct guest_module *m, u64 va)
{
	return m->base >= LINK_MODULES_START && m->base <= LINK_MODULES_END - m->text &&
	       va - m->base < m->text;
}

/*
 * Finds the module, and where each function is of what is @awaited: a copy, whose names may be
 * gone. Nothing is written yet.
 */
static int placement_look(struct sessions *s, const struct placement *awaited, u64 at,
			  struct coming *c, struct err *e)
{
	int ret = coming_find(s, awaited->name, at, c, e);

	if (!ret && c->n_symbols != awaited->n_symbols)
		ret = err_set(e, -EINVAL, "its table has %u symbols, the driver has %u",
			      c->n_symbols, awaited->n_symbols);
	for (size_t i = 0; !ret && i < awaited->n; i++) {
		struct placement_function *f = &awaited->list[i];
		u64 where = c->symbols + (u64)f->index * sizeof(Elf64_Sym) +
			    offsetof(Elf64_Sym, st_value);

		if (guest_read_u64(s, where, &f->entry.real))
			ret = err_set(e, -EFAULT, "cannot read its table of symbols");
	}
	return ret;
}

/*
 * Leads the entries to where the functions were @found in module @c: all of them or none. The lock
 * is held.
 */
static int placement_do(struct placement *p, const struct placement *found, const struct coming *c,
			struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		struct placement_function *f = &p->list[i];

		f->entry.real = found->list[i].entry.real;
		f->in_init = in_text(&c->init, f->entry.real);
		if (!f->in_init && !in_text(&c->mod, f->entry.real))
			return err_set(e, -ERANGE,
				       "%.64s() at 0x%" PRIx64 " is outside of its text", f->symbol,
				       f->entry.real);
	}
	for (size_t i = 0; i < p->n; i++)
		if (!gate_inward_entry_lead(&p->list[i].entry))
			return err_set(e, -ERANGE, "%.64s() is out of its entry's reach",
				       p->list[i].symbol);
	p->placed = true;
	return 0;
}

static struct placement *placement_of(struct sessions *s, const char *name)
{
	struct placement *p;

	for (p = s->placements; p && strcmp(p->name, name) != 0; p = p->next)
		;
	return p;
}

/*
 * Copies to @out, with a list of its own, what is awaited by the name. -ENOENT: nothing is;
 * -EEXIST: it is placed.
 */
static int placement_copy(struct sessions *s, const char *name, struct placement *out)
{
	const struct placement *p;
	int ret = -ENOENT;

	pthread_mutex_lock(&s->placements_lock);
	p = placement_of(s, name);
	if (p)
		ret = p->placed ? -EEXIST : 0;
	if (!ret) {
		*out = *p;
		out->list = malloc((p->n + 1) * sizeof(*p->list));
		if (out->list)
			memcpy(out->list, p->list, p->n * sizeof(*p->list));
		else
			ret = -ENOMEM;
	}
	pthread_mutex_unlock(&s->placements_lock);
	return ret;
}

/* Places what was looked for as @found in @c, if it is awaited still; @ret: how that went. */
static int placement_finish(struct sessions *s, const struct placement *found,
			    const struct coming *c, int ret, struct err *e)
{
	struct placement *p;

	pthread_mutex_lock(&s->placements_lock);
	p = placement_of(s, found->name);
	if (!p || p->serial != found->serial)
		ret = -ENOENT;
	else if (p->placed)
		ret = -EEXIST;
	else if (!ret)
		ret = placement_do(p, found, c, e);
	/*
	 * What failed may have been another's word for a module of this name: it is not the last
	 * one.
	 */
	if (p && p->serial == found->serial && ret != -EEXIST)
		snprintf(p->why, sizeof(p->why), "%.*s", (int)sizeof(p->why) - 1,
			 ret ? e->text : "");
	pthread_mutex_unlock(&s->placements_lock);
	return ret;
}

s64 placement_on_module(void *arg, u64 module)
{
	struct sessions *s = arg;
	char name[MODULE_NAME_LEN];
	struct coming c = { .symbols = 0 };
	struct placement found;
	struct err e = { "" };
	u32 off = 0;
	int ret;

	if (guest_member(s, "module", "name", &off, NULL) ||
	    guest_read(s->m, module + off, name, sizeof(name)))
		return 0; /* nobody's that is awaited */
	name[sizeof(name) - 1] = '\0';
	ret = placement_copy(s, name, &found);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	ret = placement_look(s, &found, module, &c, &e);
	ret = placement_finish(s, &found, &c, ret, &e);
	free(found.list);
	return ret;
}
