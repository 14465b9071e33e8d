/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts the instructions of this thread: the processor stops after each, so that the figure
 * depends on no clock, no cache and no other program. What the kernel does is not counted.
 */
#ifndef UMBRA_TESTS_UNIT_BASE_STEPS_H
#define UMBRA_TESTS_UNIT_BASE_STEPS_H

#include <signal.h>
#include <stddef.h>

#define STEPS_TRAP_FLAG 0x100 /* of EFLAGS: an exception after each instruction (SDM 3, 18.3.1.4) */

static volatile unsigned long steps_counted;
static struct sigaction steps_old;

static void steps_on_trap(int sig)
{
	(void)sig;
	steps_counted++;
}

static inline void steps_begin(void)
{
	const struct sigaction step = { .sa_handler = steps_on_trap };

	sigaction(SIGTRAP, &step, &steps_old);
	steps_counted = 0;
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | STEPS_TRAP_FLAG);
}

/* Returns how many there were since steps_begin(). */
static inline unsigned long steps_end(void)
{
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~STEPS_TRAP_FLAG);
	sigaction(SIGTRAP, &steps_old, NULL);
	return steps_counted;
}

#endif
