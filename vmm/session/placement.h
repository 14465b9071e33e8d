/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Leads a driver's inward entries to its functions. Private to vmm/session/.
 *
 * The entries are written before the load, and the copy's relocations lead to them, but where the
 * guest's loader puts the driver is known only when it has. So the shim tells the host of each
 * module that is relocated and of which nothing has run, and the host reads where its functions are
 * from the symbol table that the loader has made of the copy's own: struct module has it until the
 * init has ended (kallsyms, as kernel/module/kallsyms.c sets it up), in the copy's order. The shim
 * says nothing but the address of struct module.
 *
 *   loop's thread                            a vCPU's thread
 *   placement_begin()  entries are traps
 *   gate_command(LOAD) ──▶ guest ──────────▶ placement_on_module() reads, leads all or none
 *   placement_end()    ◀── guest ◀────────── 0, or -errno: the guest's loader refuses the module
 *
 * The guest's list of modules may be long, and a driver may ring that doorbell by itself as often
 * as it likes: so the vCPU's thread looks through a copy of what is awaited, and holds no lock that
 * the loop takes meanwhile.
 *
 * All that is read is hostile. An awaited module is placed once, each function lies in the text of
 * the module that the kernel's list has under the name, and a place that fits nothing refuses the
 * load.
 */
#ifndef UMBRA_VMM_SESSION_PLACEMENT_H
#define UMBRA_VMM_SESSION_PLACEMENT_H

#include "base/err.h"
#include "vmm/gate/gate.h"

struct sessions;

/* A function that is looked for. */
struct placement_function {
	const char *symbol;	/* borrowed, for messages */
	u32 index;		/* in the module's symbol table */
	struct own_entry entry; /* to be led to it; its real: where it was found */
	bool in_init;		/* found in the part that is freed when the init has ended */
};

struct placement;

/*
 * Awaits module @name, whose table has @n_symbols symbols, and takes over @list of @n, which is
 * malloc'ed. -ENOMEM: it is still the caller's.
 */
int placement_begin(struct placement **out, struct sessions *s, const char *name, u32 n_symbols,
		    struct placement_function *list, size_t n);

enum placing {
	PLACED,
	NOT_PLACED, /* the load was refused for it */
	NOT_TOLD,   /* the guest's loader did not get so far */
};

#define PLACEMENT_WHY_MAX 200

/* Ends the waiting; @why says why it was NOT_PLACED. NULL was not told. */
enum placing placement_end(struct placement *p, char why[PLACEMENT_WHY_MAX]);
/* Gives the functions of one that has ended. */
const struct placement_function *placement_functions(const struct placement *p);
/* Frees it, ending it if that is not done. NULL is allowed. */
void placement_free(struct placement *p);

/* Handles the module whose struct module is at @module: gate_coming_fn, on a vCPU's thread. */
s64 placement_on_module(void *arg, u64 module);

#endif
