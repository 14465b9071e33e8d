/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Says what a critical call is while the shim handles it: shim_gate.c asks about it, shim_carry.c
 * carries the answer out.
 */
#ifndef UMBRA_GUEST_SHIM_SHIM_CALL_H
#define UMBRA_GUEST_SHIM_SHIM_CALL_H

#include "shim.h"

/* One call of a driver, on its stack. */
struct shim_call {
	const struct umbra_fn *fn;
	u32 id;
	bool can_sleep;
	u64 arg[6 + UMBRA_ARGS]; /* as they will be passed: registers, then the driver's stack */
	u64 old;		 /* FIELD_PTR: the field's value before */
	struct shim_place place; /* of the calling task, if the name is a path */
};

/* The VMM's answer, copied out of its slot while the frame was held. */
struct answer {
	u32 verdict, flags, error, resolve;
	s64 value;
	u64 ticket;
	const char *root, *name; /* NULL: none */
	u32 name_len;		 /* with the NUL */
	char small[128];	 /* where root and name lie, if they fit */
	char *big;		 /* else */
};

/* Calls the real function with the arguments of @c. */
u64 call_real(const struct shim_call *c);
/* Returns the value that a refused call returns, in the function's own convention. */
u64 call_refusal(const struct umbra_fn *fn, u32 error);
/* Refuses @c: does to its arguments what the function does when it fails; returns that value. */
u64 call_refuse(const struct shim_call *c, u32 error);
/*
 * Carries out a call that may go ahead, with the answer's name in place of the one asked for, and
 * tells the VMM the result if it wants to know. May sleep as the driver may.
 */
u64 call_carry_out(struct shim_call *c, const struct answer *a);

#endif
