// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

static struct object **bucket(struct gate *p, u64 addr)
{
	return &p->objects[(addr >> 4 ^ addr >> 16) % OBJECT_BUCKETS];
}

static void unlink_object(struct gate *p, struct object **at)
{
	struct object *o = *at;

	*at = o->next;
	if (p->instances[o->inst])
		p->instances[o->inst]->objects--;
}

void gate_object_insert(struct gate *p, struct object *o)
{
	struct object **b = bucket(p, o->addr), **at, *old;

	/* The same object again: the kernel let go of it by itself (a link that was deleted). */
	for (at = b; *at; at = &(*at)->next) {
		old = *at;
		if (old->addr == o->addr && old->inst == o->inst &&
		    old->fn->space == o->fn->space) {
			unlink_object(p, at);
			gate_object_free(p, old);
			break;
		}
	}
	o->next = *b;
	*b = o;
	if (p->instances[o->inst])
		p->instances[o->inst]->objects++;
}

/*
 * May @undo take back what @fn did? An unregister has several spellings for one register
 * (unregister_netdev, unregister_netdevice_queue), so the name space decides.
 */
static bool undoes(const struct catalog_fn *fn, const struct catalog_fn *undo)
{
	const struct catalog_fn *all;
	size_t i, n;

	all = catalog_all(&n);
	for (i = 0; i < n; i++)
		if (all[i].undo && !strcmp(all[i].undo, undo->name) && all[i].space == fn->space)
			return true;
	return false;
}

struct object *gate_object_take(struct gate *p, unsigned inst, u64 addr,
				const struct catalog_fn *undo)
{
	struct object **at;

	for (at = bucket(p, addr); *at; at = &(*at)->next) {
		struct object *o = *at;

		if (o->addr == addr && o->inst == inst && undoes(o->fn, undo)) {
			unlink_object(p, at);
			return o;
		}
	}
	return NULL;
}

void gate_object_free(struct gate *p, struct object *o)
{
	if (!o)
		return;
	lent_names_put(p->names, o->inst, o->name);
	free(o->asked);
	free(o->used);
	free(o);
}

void gate_objects_drop(struct gate *p, unsigned inst)
{
	size_t i;

	for (i = 0; i < OBJECT_BUCKETS; i++) {
		struct object **at = &p->objects[i];

		while (*at) {
			struct object *o = *at;

			if (o->inst != inst) {
				at = &o->next;
				continue;
			}
			unlink_object(p, at);
			gate_object_free(p, o);
		}
	}
	for (i = 0; i < UMBRA_FRAMES; i++) {
		struct pending *w = &p->pending[i];

		if (w->active && w->inst == inst) {
			gate_object_free(p, w->object);
			memset(w, 0, sizeof(*w));
		}
	}
	lent_names_drop(p->names, inst);
}
