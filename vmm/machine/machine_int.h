/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the machine's inside with the files that make it run: those of vmm/machine/, vmm/boot/ and
 * vmm/guest/, and vmm/cli/stats.c. Everybody else uses machine.h.
 */
#ifndef UMBRA_VMM_MACHINE_MACHINE_INT_H
#define UMBRA_VMM_MACHINE_MACHINE_INT_H

#include "vmm/machine/machine.h"

struct io;
struct memory;
struct threads;

struct memory *machine_memory_map(const struct machine *m);
struct io *machine_io(const struct machine *m);
struct threads *machine_threads(const struct machine *m);
u64 machine_start_ns(const struct machine *m);
int machine_exit_code(const struct machine *m);

/*
 * The placed kernel is read again from its file when a report needs its symbols, since it is large
 * and most guests end without a report; and when the machine is reset. @fd is kept, which is the
 * machine's from now on, because a confined VMM opens no path. Once. Lock it around the use of
 * machine_kernel().
 */
void machine_keep_kernel_file(struct machine *m, const char *path, int fd);
void machine_lock_kernel(struct machine *m);
void machine_unlock_kernel(struct machine *m);
/* A descriptor of its file (the machine's) and the path for messages; -1: there is none. */
int machine_kernel_file(const struct machine *m, const char **path);

/* Tell the read-only hook, if there is one. */
void machine_ro_write(struct machine *m, struct vcpu *v, u64 gpa, unsigned len, const void *data);

/*
 * Asked before a device's power request takes effect, on a vCPU's thread; true: it is dealt with.
 * It exists because a reset may be how a panic ends. One owner at a time; NULL gives it back.
 */
typedef bool machine_power_fn(void *arg, enum host_power what);
void machine_set_power_hook(struct machine *m, machine_power_fn *fn, void *arg);

#endif
