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

/* Finds where the functions are. Nothing is written yet. */
static int placement_look(struct placement *p, u64 at, struct err *e)
{
	struct coming c = { .symbols = 0 };
	int ret = coming_find(p->s, p->name, at, &c, e);

	if (!ret && c.n_symbols != p->n_symbols)
		ret = err_set(e, -EINVAL, "its table has %u symbols, the driver has %u",
			      c.n_symbols, p->n_symbols);
	for (size_t i = 0; !ret && i < p->n; i++) {
		struct placement_function *f = &p->list[i];
		u64 where = c.symbols + (u64)f->index * sizeof(Elf64_Sym) +
			    offsetof(Elf64_Sym, st_value);

		if (guest_read_u64(p->s, where, &f->entry.real))
			ret = err_set(e, -EFAULT, "cannot read its table of symbols");
		else if (!(f->in_init = in_text(&c.init, f->entry.real)) &&
			 !in_text(&c.mod, f->entry.real))
			ret = err_set(e, -ERANGE, "%.64s() at 0x%" PRIx64 " is outside of its text",
				      f->symbol, f->entry.real);
	}
	return ret;
}

/* Places the module at @at, of the name that is awaited: all of its entries or none. */
static int placement_do(struct placement *p, u64 at)
{
	struct err e = { "" };
	int ret = placement_look(p, at, &e);

	for (size_t i = 0; !ret && i < p->n; i++)
		if (!gate_inward_entry_lead(&p->list[i].entry))
			ret = err_set(&e, -ERANGE, "%.64s() is out of its entry's reach",
				      p->list[i].symbol);
	/*
	 * What failed may have been another's word for a module of this name: it is not the last
	 * one.
	 */
	p->placed = !ret;
	snprintf(p->why, sizeof(p->why), "%.*s", (int)sizeof(p->why) - 1, ret ? e.text : "");
	return ret;
}

s64 placement_on_module(void *arg, u64 module)
{
	struct sessions *s = arg;
	char name[MODULE_NAME_LEN];
	struct placement *p;
	u32 off = 0;
	s64 ret = 0;

	if (guest_member(s, "module", "name", &off, NULL) ||
	    guest_read(s->m, module + off, name, sizeof(name)))
		return 0; /* nobody's that is awaited */
	name[sizeof(name) - 1] = '\0';
	pthread_mutex_lock(&s->placements_lock);
	for (p = s->placements; p && strcmp(p->name, name) != 0; p = p->next)
		;
	if (p)
		ret = p->placed ? -EEXIST : placement_do(p, module);
	pthread_mutex_unlock(&s->placements_lock);
	return ret;
}
