/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares the machine's inside among the files of this room. Everybody else uses machine.h; what
 * starts a guest, machine_boot.h as well.
 */
#ifndef UMBRA_VMM_MACHINE_MACHINE_INT_H
#define UMBRA_VMM_MACHINE_MACHINE_INT_H

#include "vmm/machine/machine_boot.h"

struct io;

struct io *machine_io(const struct machine *m);
int machine_exit_code(const struct machine *m);
/* Calls the hooks of machine_add_wait_hook(). */
void machine_tell_wait(const struct machine *m);

/* Tells the read-only hook, if there is one. */
void machine_ro_write(struct machine *m, struct vcpu *v, u64 gpa, unsigned len, const void *data);

#endif
