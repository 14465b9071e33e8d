/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Says what a critical call is while the shim handles it: shim_gate.c asks about it, shim_carry.c
 * carries the answer out.
 */
#ifndef UMBRA_GUEST_SHIM_SHIM_CALL_H
#define UMBRA_GUEST_SHIM_SHIM_CALL_H

#include "shim.h"

/*
 * Of what is set field by field: the kernel is compiled so that all that is on the stack is zeroed
 * first, which is a good part of what a call costs.
 */
#if __has_attribute(uninitialized)
#define SHIM_UNSET __attribute__((uninitialized))
#else
#define SHIM_UNSET
#endif

/* One call of a driver, on its stack. */
struct shim_call {
	const struct umbra_fn *fn;
	u32 id;
	bool can_sleep;
	u64 site;		 /* where it returns to */
	u64 arg[6 + UMBRA_ARGS]; /* as they will be passed: registers, then the driver's stack */
	u64 old;		 /* FIELD_PTR: the field's value before */
	u64 given;		 /* UMBRA_HOW_GIVE_NAME: what the real function has returned */
	struct shim_place place; /* of the calling task, if the name is a path */
};

/* The VMM's answer, copied out of its slot while the frame was held. */
struct answer {
	u32 verdict, flags, error, resolve;
	s64 value;
	u64 ticket;
	u64 seen;
	const char *root, *name; /* NULL: none */
	u32 name_len;		 /* with the NUL */
	char small[128];	 /* where root and name lie, if they fit */
	char *big;		 /* else */
};

/* shim_gate.c */

/*
 * Claims a frame; returns its number or -EBUSY. Preemption is off until shim_frame_release(): (G5)
 * of vmm/gate/gate.h.
 */
int shim_frame_claim(void);
void shim_frame_release(int i);
/* Clears a frame that was claimed, and puts the call's arguments and its task into it. */
void shim_frame_begin(struct umbra_frame *f, const struct shim_call *c);

/* shim_see.c: carries out a call that is only seen, and tells it; returns the function's result. */
u64 call_see(struct shim_call *c);
/* Carries out a call that was decided, and puts it, as it was made, into the CPU's ring. */
u64 call_see_decided(struct shim_call *c, const struct answer *a, const struct umbra_regs *regs);
/* Finds each CPU's ring; once, before the hello. */
void shim_see_init(void);

/* shim_watch.c: carries out the kernel's call of a driver; returns what the function does. */
u64 call_watch(const struct shim_call *c);

/* shim_carry.c */

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
