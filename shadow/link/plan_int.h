/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the inside of struct link_plan among link.c (makes it), references.c (counts and checks
 * the relocations), handed_out.c (finds what the
 * kernel may call), emit.c, privatize.c and
 * shadow_page.c (use it). Everybody else uses link.h.
 */
#ifndef UMBRA_SHADOW_LINK_PLAN_INT_H
#define UMBRA_SHADOW_LINK_PLAN_INT_H

#include "shadow/link/link.h"
#include "shadow/link/module_int.h"

#define NO_IMPORT UINT32_MAX

/* A branch to an import: which, and where its relocation stands in the file. */
struct branch_site {
	u32 import;
	u64 rela_at;
};

/*
 * A reference by address that goes to an entry in the copy: of an own function (@target counts
 * plan.inward), or with @peer of an import from another driver of the session (plan.imports).
 */
struct address_site {
	u64 rela_at;
	u32 target;
	bool peer;
};

/*
 * A symbol of the module, by its index in the symbol table, and the name that the copy has for it.
 */
struct link_rename {
	u32 symbol;
	char name[MODULE_NAME_LEN];
};

struct link_plan {
	const struct kernel *kernel;
	const struct module *module;
	struct import *imports;
	size_t n_imports;
	u32 *import_of;		   /* by symbol index; NO_IMPORT */
	struct branch_site *sites; /* those whose import is TARGET_SHADOW, in the file's order */
	size_t n_sites, max_sites;
	struct link_inward *inward;
	size_t n_inward;
	struct address_site *addresses;
	size_t n_addresses;
	unsigned left[INWARD_LEFT_REASONS];
	struct link_rename *renames;
	size_t n_renames;
	char *provider_names; /* n * MODULE_NAME_LEN */
	u32 name_off;	      /* of struct module.name */
};

/*
 * Counts each import's branches and address-taken references; lists the branch sites (of all
 * imports: link.c drops those that stay). -EINVAL: a form that is not known.
 */
int plan_references(struct link_plan *p, struct err *e);

/*
 * handed_out.c: lists the own functions whose addresses the driver hands out, and the references by
 * which it does. After plan_references(), which has checked all of them.
 */
int plan_inward(struct link_plan *p, struct err *e);

/*
 * module_types.c: sets the results of @in by the driver's BTF, if it has one; those of functions
 * that it does not name stay RESULT_UNKNOWN. -ENOMEM.
 */
int module_read_results(const struct kernel *k, const struct module *m, struct link_inward *in,
			size_t n);

/* A driver's copy while it is made. */
struct copy {
	u8 *data;
	size_t len;
};

/*
 * privatize.c: gives the copy @c of p->module its own module name and export names, and the names
 * of its imports from the session's drivers.
 */
int privatize(struct copy *c, const struct link_plan *p, const struct link_identity *id,
	      struct err *e);

#endif
