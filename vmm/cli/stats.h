/* SPDX-License-Identifier: GPL-2.0-only */
/* Measures and prints the figures of `vmm run --stats`. */
#ifndef UMBRA_VMM_CLI_STATS_H
#define UMBRA_VMM_CLI_STATS_H

#include <stdio.h>

#include "vmm/machine/machine.h"

/*
 * Returns when this process was exec'ed, as CLOCK_MONOTONIC in ns: now less the processor time that
 * it has used, which before main() is the loader's. To be called before the process has waited for
 * anything.
 */
u64 stats_exec_ns(void);

struct stats;

/*
 * Opens the files of /proc that measuring memory needs, before the VMM is confined: stats_create()
 * in the process that becomes the supervisor (@supervised: if there is to be one), stats_open() in
 * the VMM. NULL: out of memory; the other functions take that.
 */
struct stats *stats_create(bool supervised);
void stats_open(struct stats *s);
void stats_close(struct stats *s);

/*
 * Prints, after machine_run() and before machine_destroy(), exits by kind, time to the first
 * KVM_RUN, and memory outside guest RAM: the VMM's and its supervisor's own. @syscalls: system
 * calls from exec to the first KVM_RUN, 0: unknown.
 */
void stats_print(struct stats *s, struct machine *m, u64 syscalls, FILE *to);

#endif
