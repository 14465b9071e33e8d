/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Offers what placing a kernel or a firmware needs of a machine, and what a report of the kernel's
 * end needs: the map of its memory, the kernel's file, its power requests. For vmm/boot/ and
 * vmm/guest/guest_boot.c; everybody else uses machine.h.
 */
#ifndef UMBRA_VMM_MACHINE_MACHINE_BOOT_H
#define UMBRA_VMM_MACHINE_MACHINE_BOOT_H

#include "vmm/machine/machine.h"

struct memory;

/* Returns the map of the guest's memory (memory.h), which is the machine's. */
struct memory *machine_memory_map(const struct machine *m);

/*
 * Keeps the file of the placed kernel, once. The kernel is read from it again when a report needs
 * its symbols (it is large, and most guests end without a report), and when the machine is reset.
 * @fd is the machine's from now on: a confined VMM opens no path. The lock is held around the use
 * of machine_kernel().
 */
void machine_keep_kernel_file(struct machine *m, const char *path, int fd);
void machine_lock_kernel(struct machine *m);
void machine_unlock_kernel(struct machine *m);
/*
 * Returns the descriptor of the kernel's file (the machine's) and its path for messages; -1: there
 * is none.
 */
int machine_kernel_file(const struct machine *m, const char **path);
/*
 * Gives it to the caller, to be closed at the end without waiting for it (closer.h); the path
 * stays. -1: there is none.
 */
int machine_take_kernel_file(struct machine *m);

/*
 * Called before a device's power request takes effect, on a vCPU's thread; true: it is dealt with.
 * The hook exists because a reset may be how a panic ends. One owner at a time; NULL gives it back.
 */
typedef bool machine_power_fn(void *arg, enum host_power what);
void machine_set_power_hook(struct machine *m, machine_power_fn *fn, void *arg);

#endif
