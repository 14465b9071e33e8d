// SPDX-License-Identifier: GPL-2.0-only
/*
 * Carries out the kernel's call of a driver's function that is watched: calls it as the kernel did,
 * then tells the VMM, by one exit without a frame. In any context, so nothing is taken or kept.
 * What comes after the call touches nothing of the driver, which may be gone by then.
 */
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>

#include "shim_call.h"

u64 call_watch(const struct shim_call *c)
{
	u64 (*real)(u64, u64, u64, u64, u64, u64) = (void *)c->fn->real;
	const u64 *arg = c->arg;
	u64 from = ktime_get_mono_fast_ns(), ret;

	ret = real(arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	umbra.doorbell(UMBRA_OP_WATCHED, c->id, ret, ktime_get_mono_fast_ns() - from, arg[0],
		       in_task() ? task_pid_nr(current) : 0);
	return ret;
}
