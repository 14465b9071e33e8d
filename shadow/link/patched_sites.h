/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists the places in a driver's text at which the guest's kernel puts branches into its own text
 * at load: return and indirect branch thunks, static calls, paravirt calls, alternatives, ftrace. A
 * branch that leads into the real kernel is expected there and nowhere else; this is how a check of
 * a loaded driver tells the two apart without trusting names. (Jump labels lead to the driver's own
 * text.)
 */
#ifndef UMBRA_SHADOW_LINK_PATCHED_SITES_H
#define UMBRA_SHADOW_LINK_PATCHED_SITES_H

#include "shadow/link/link.h"

struct module_site {
	const char *section; /* name of the text section; lives as long as the module */
	u64 offset;
};

/*
 * Lists the sites; *out is malloc'ed, sorted by section and offset. -ENOMEM; -EINVAL: a table is
 * forged, which link_plan_create() refuses. @k is the kernel that the driver is for.
 */
int module_patched_sites(const struct kernel *k, const struct module *m, struct module_site **out,
			 size_t *n);
/* Searches the result for a site (binary search). */
bool module_site_find(const struct module_site *sites, size_t n, const char *section, u64 offset);

#endif
