// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says how an entry of a driver is closed: what stands in the place of the function.
 *
 * Outward it is what a policy's refusal would be, so a row of the catalogue must say how. A
 * function without a row stays open, although the kernel's types say what it returns: an int is no
 * proof of -errno (snprintf(), mutex_trylock(), del_timer_sync()), and a void function that is not
 * called may be the unlock or the free of what was done before.
 *
 * Inward the caller is the kernel, which takes -errno from nearly all that return int; and what
 * returns nothing can be left out. The exit stays open, or the driver could never be unloaded.
 */
#include "policy/catalog.h"
#include "vmm/session/driver.h"

bool entry_closes(const struct driver *d, size_t i, enum gate_closed *how)
{
	const struct catalog_fn *fn = d->entries[i].fn;

	/* The last two leave something initialized behind them, which a gate page does not. */
	if (!fn || fn->undoes || fn->clears || fn->how == CARRY_OUT_INIT_DEVICE ||
	    fn->how == CARRY_OUT_INIT_KOBJECT)
		return false;
	switch (fn->refusal) {
	case REFUSE_ERRNO:
	case REFUSE_ERR_PTR:
		*how = GATE_REFUSES;
		return true;
	case REFUSE_NULL:
	case REFUSE_VOID:
		*how = GATE_NOTHING;
		return true;
	case REFUSE_NEVER:
	case REFUSE_CREDS:
	default:
		return false;
	}
}

bool inward_entry_closes(const struct driver *d, size_t i, enum gate_closed *how)
{
	const struct inward_entry *in = &d->inward[i];

	if (in->is_exit || !in->target)
		return false;
	*how = in->result == RESULT_INT ? GATE_REFUSES : GATE_NOTHING;
	return in->result == RESULT_INT || in->result == RESULT_VOID;
}
