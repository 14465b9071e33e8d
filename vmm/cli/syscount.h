/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts the system calls of a start, for --stats: the same command line is started a second time,
 * traced with ptrace(2) from its exec to its first KVM_RUN, which is made to fail with ENOSYS, so
 * that it ends. The figure is exact, the loader's calls included, and the true start is not slowed
 * by the tracing.
 */
#ifndef UMBRA_VMM_CLI_SYSCOUNT_H
#define UMBRA_VMM_CLI_SYSCOUNT_H

#include "base/types.h"

/*
 * Counts the system calls of all threads from exec to the first KVM_RUN of `vmm run` with @argv
 * (argv[0] is "run"); --stats is left out. 0: they cannot be counted (no permission to trace, or
 * the start failed). Disks are opened and released again; nothing is written to them. Not for
 * command lines with sessions, whose start leaves traces (a record, a control socket).
 */
u64 syscount_start(int argc, char **argv);

#endif
