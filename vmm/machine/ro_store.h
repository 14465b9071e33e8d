/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells a blocked write to a read-only slot from a true failure of KVM. A store to a read-only
 * memory slot that KVM's emulator does not know (a vector store, FXSAVE, CMPXCHG16B ...) ends in
 * KVM_INTERNAL_ERROR_EMULATION. Here the instruction is decoded.
 */
#ifndef UMBRA_VMM_MACHINE_RO_STORE_H
#define UMBRA_VMM_MACHINE_RO_STORE_H

#include "vmm/machine/machine.h"

/*
 * Returns true if the instruction at the vCPU's RIP refers to memory in a read-only slot. Then *gpa
 * is the first such address and *len the operand's width in bytes (0: unknown).
 */
bool ro_store_find(struct vcpu *v, u64 *gpa, unsigned *len);

#endif
