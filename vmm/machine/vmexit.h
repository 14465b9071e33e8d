/* SPDX-License-Identifier: GPL-2.0-only */
/* Handles VM exits, and names them for reports. */
#ifndef UMBRA_VMM_MACHINE_VMEXIT_H
#define UMBRA_VMM_MACHINE_VMEXIT_H

#include "vmm/machine/vcpu.h"

/* Handles an exit; it is the vcpu_exit_fn of every machine. */
bool vmexit_handle(struct vcpu *v, struct kvm_run *run, int error);
/* Returns "io", "mmio", ...; NULL if the number has no name here. */
const char *vmexit_name(unsigned reason);

#endif
