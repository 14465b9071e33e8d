// SPDX-License-Identifier: GPL-2.0-only
/* Says the linker for a driver's private copy where its calls and its functions' addresses lead. */
#include "vmm/session/driver_copy.h"

#include <string.h>

#include "vmm/session/driver.h"

struct driver_copy {
	const struct driver *driver;
	const struct kernel *kernel;
};

/* Where calls of an import arrive. */
static u64 entry_address(void *arg, const struct import *im)
{
	const struct driver_copy *c = arg;
	const struct driver *d = c->driver;

	if (d->layout == LAYOUT_SAME && !im->critical)
		return shadow_entry(c->kernel, d->session->va, im);
	for (size_t i = 0; i < d->n_entries; i++)
		if (d->entries[i].symbol == im->symbol)
			return driver_entry_va(d, i);
	return 0;
}

/* What stands for the @i-th function of its own. */
static u64 inward_address(void *arg, size_t i)
{
	const struct driver_copy *c = arg;

	return inward_entry_va(c->driver, i);
}

/* What stands for a function of another driver of the session; 0: it has no entry. */
static u64 peer_address(void *arg, const struct import *im)
{
	const struct driver_copy *c = arg;
	const struct driver *o;

	for (o = c->driver->session->drivers; o && strcmp(o->guest_name, im->provider) != 0;
	     o = o->next)
		;
	for (size_t i = 0; o && i < o->n_inward; i++)
		if (o->inward[i].exported && !strcmp(o->inward[i].symbol, im->symbol))
			return inward_entry_va(o, i);
	return 0;
}

int driver_copy_write(struct driver *d, u64 kaslr, const struct kernel *k, struct link_image *out,
		      struct err *e)
{
	struct driver_copy c = { d, k };
	const struct link_addresses a = {
		.kaslr = kaslr,
		.modules = LINK_MODULES_START,
		.modules_end = LINK_MODULES_END,
		.entry = entry_address,
		.inward = inward_address,
		.peer = peer_address,
		.arg = &c,
	};
	const struct link_identity id = { d->guest_name, d->suffix };

	return link_emit(d->plan, &a, &id, out, e);
}
