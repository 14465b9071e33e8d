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
/* Returns true for the code of a request to end the process, rather than of a guest's own end. */
bool machine_code_ends_process(int code);
/*
 * Forgets the request that ended the machine, so that another can come. One that lost and that ends
 * the process takes its place.
 */
void machine_forget_exit(struct machine *m);
/* Calls the hooks of machine_add_wait_hook(). */
void machine_tell_wait(const struct machine *m);

/* Tells the read-only hook, if there is one. */
void machine_ro_write(struct machine *m, struct vcpu *v, u64 gpa, unsigned len, const void *data);

#endif
