/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads modules as the guest's kernel has them, from its memory with the offsets of its BTF.
 * Nothing that the shim or a driver says is used. The guest may change all of it meanwhile: every
 * value is hostile, every walk bounded.
 */
#ifndef UMBRA_VMM_SESSION_GUEST_MODULE_H
#define UMBRA_VMM_SESSION_GUEST_MODULE_H

#include "base/err.h"
#include "base/types.h"
#include "vmm/gate/gate.h"

struct sessions;

struct guest_module {
	u64 at; /* its struct module */
	u64 base, size, text;
};

struct guest_export {
	u64 addr;
	u64 name; /* where its name is, to be read by guest_read_string() */
};

struct guest_call {
	u64 site, func;
};

struct guest_section {
	char name[64];
	u64 addr;
};

/* Gives the offset of a member by the kernel's BTF; -ENOENT and a line. */
int guest_member(struct sessions *s, const char *strct, const char *name, u32 *off, struct err *e);
int guest_read_u64(struct sessions *s, u64 va, u64 *out);

/*
 * Finds a module by its name in the kernel's list. -ENOENT: it is not in there; -EFAULT: the list
 * is not readable.
 */
int guest_module_find(struct sessions *s, const char *name, struct guest_module *out,
		      struct err *e);
/*
 * Gives in base, size and text of @init the part of @m that is freed when its init has ended; all 0
 * then. @m is one that was found.
 */
int guest_module_init_part(struct sessions *s, const struct guest_module *m,
			   struct guest_module *init, struct err *e);
/* Gives the address and length of the symbol table that the kernel has of @m. */
int guest_module_symbols(struct sessions *s, const struct guest_module *m, u64 *table, u32 *n,
			 struct err *e);
/* Finds the module whose text or data hold @va. -ENOENT: there is none. */
int guest_module_by_address(struct sessions *s, u64 va, struct guest_module *out);
/*
 * All modules of the list, at most @max; a list that cannot be read any further ends there. Returns
 * how many.
 */
#define GUEST_MODULES_MAX 4096
size_t guest_module_list(struct sessions *s, struct guest_module *out, size_t max);
/*
 * Lists what @m exports, in the order of its two tables; returns how many, and 0 if they cannot be
 * read. *out is the caller's to free, NULL: out of memory.
 */
size_t guest_module_exports(struct sessions *s, const struct guest_module *m,
			    struct guest_export **out);
/*
 * Lists where the loader put each section, as /sys/module/NAME/sections shows it; *n: at most @max.
 */
int guest_module_sections(struct sessions *s, const struct guest_module *m,
			  struct guest_section *out, size_t max, size_t *n, struct err *e);
/* Does so for the gate, by the module's name; @arg: the sessions. On any thread. */
size_t guest_module_places(void *arg, const char *module,
			   struct gate_section out[GATE_SECTIONS_MAX]);
/*
 * Lists the static calls of @m whose key is one of the kernel image's own, each with the function
 * that the key holds at this moment. Returns how many; *out is the caller's to free, NULL: there
 * are none.
 */
size_t guest_module_static_calls(struct sessions *s, const struct guest_module *m,
				 struct guest_call **out);

#endif
