/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks the tables of a driver by which the guest's kernel changes code: where returns, indirect
 * branches and static calls are rewritten, alternatives, jump labels, ftrace, fixups of faults.
 *
 * The kernel believes these tables. A forged entry would make it write a branch to anywhere, write
 * into its own code, or let a check of the loaded driver take a branch for one of the kernel's. So
 * each entry must be filled in by relocations alone, lead to code of the driver itself, and stand
 * where the instruction is that the kernel looks for there.
 */
#ifndef UMBRA_SHADOW_LINK_PATCH_TABLES_H
#define UMBRA_SHADOW_LINK_PATCH_TABLES_H

#include "base/err.h"
#include "base/types.h"

struct kernel;
struct module;
struct module_section;

/*
 * Called for a place in @section of the module that the kernel rewrites to a branch into its own
 * text.
 */
typedef int patch_site_fn(void *arg, const struct module_section *section, u64 offset);

/*
 * Checks all tables of @m, and calls @site, if it is not NULL, for each site; its result, if not 0,
 * ends the walk. Sizes of entries are those of @k. -EINVAL and a line: a table that is not as a
 * compiler makes it.
 */
int patch_tables_walk(const struct kernel *k, const struct module *m, patch_site_fn *site,
		      void *arg, struct err *e);

#endif
