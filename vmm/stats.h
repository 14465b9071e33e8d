/* SPDX-License-Identifier: GPL-2.0-only */
/* The figures of `vmm run --stats`. */
#ifndef UMBRA_VMM_STATS_H
#define UMBRA_VMM_STATS_H

#include <stdio.h>

#include "vmm/machine.h"

/*
 * When this process was exec'ed, as CLOCK_MONOTONIC: now less the processor time that it has used,
 * which before main() is the loader's. To be called before the process has waited for anything.
 */
u64 stats_exec_ns(void);
u64 stats_now_ns(void); /* CLOCK_MONOTONIC */

/*
 * After machine_run(), before machine_destroy(): exits by kind, time to the first KVM_RUN, memory
 * outside guest RAM. @syscalls: system calls from exec to the first KVM_RUN, 0: unknown.
 */
void stats_print(struct machine *m, u64 syscalls, FILE *to);

#endif
