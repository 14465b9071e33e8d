// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares what the host believes of loaded drivers with the guest kernel's list and page tables.
 */
#include "vmm/session/presence.h"

#include <errno.h>

#include "vmm/machine/guest_read.h"
#include "vmm/machine/machine.h"
#include "vmm/session/guest_module.h"

#define PLACE_TRIES 3

/*
 * Returns the state of a driver that is not in the guest kernel's list of modules: REMOVED if its
 * memory is unmapped or a module of the list lies there by now, else HIDDEN.
 */
static enum driver_state state_out_of_list(struct sessions *s, const struct driver *d)
{
	struct guest_module other;
	u64 gpa, left;

	if (!d->base)
		return DRIVER_HIDDEN;
	if (guest_translate(s->m, d->base, &gpa, &left))
		return DRIVER_REMOVED;
	return guest_module_by_address(s, d->base, &other) ? DRIVER_HIDDEN : DRIVER_REMOVED;
}

static enum driver_state driver_state_now(struct sessions *s, const struct driver *d)
{
	struct guest_module m;
	int ret = guest_module_find(s, d->guest_name, &m, NULL);

	/* The list may have changed under the walk: a module is missing if it is missing twice. */
	if (ret == -ENOENT)
		ret = guest_module_find(s, d->guest_name, &m, NULL);
	/*
	 * A module with its name and another place is another one. It says nothing of this driver,
	 * which may have taken itself out of the list and left its name to be used again. Nor does
	 * one that the guest gives no place: 0 is no place, also for a driver of which none is
	 * known.
	 */
	if (ret == -ENOENT || (!ret && (!m.base || m.base != d->base)))
		return state_out_of_list(s, d);
	return ret ? d->state : DRIVER_LOADED;
}

void driver_look(struct sessions *s, struct driver *d)
{
	enum driver_state now;

	if (d->state != DRIVER_LOADED && d->state != DRIVER_HIDDEN)
		return;
	now = driver_state_now(s, d);
	if (now == d->state)
		return;
	d->state = now;
	if (now == DRIVER_REMOVED) {
		gate_exports_dead(s->gate, d->caller);
		note_put(machine_notes(s->m),
			 "driver %s of session %s was removed in the guest, not by vmm; "
			 "`vmm driver unload %s:%s` lets go of what it had",
			 d->name, d->session->name, d->session->name, d->name);
	} else if (now == DRIVER_HIDDEN) {
		note_put(machine_notes(s->m),
			 "driver %s of session %s HIDES ITSELF: its code is in the guest's memory, "
			 "but module %s is not in its kernel's list",
			 d->name, d->session->name, d->guest_name);
	}
}

void drivers_look(struct sessions *s)
{
	struct session *ss;
	struct driver *d;

	for (ss = s->list; ss; ss = ss->next)
		for (d = ss->drivers; d; d = d->next)
			driver_look(s, d);
}

void driver_remember_place(struct sessions *s, struct driver *d)
{
	struct guest_module m;

	for (int i = 0; i < PLACE_TRIES; i++) {
		if (guest_module_find(s, d->guest_name, &m, NULL) || !m.base)
			continue; /* the list may have changed under the walk */
		d->base = m.base;
		return;
	}
}
