/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Resets a vCPU's registers to the values that a processor has after a reset (SDM vol. 3, 10.1.1;
 * 11.4.7 for the local APIC), for a machine that starts anew.
 *
 * KVM has no call for that: it gives the reset state to a new vCPU, and a vCPU cannot be destroyed
 * without its VM. So every piece of state that KVM lets us write is written. Most of all that ends
 * kvm-clock, steal time and asynchronous page faults, by which KVM would go on writing to memory
 * where the previous kernel wanted it. The time stamp counters go on, in step with each other as
 * they were.
 */
#ifndef UMBRA_VMM_MACHINE_VCPU_RESET_H
#define UMBRA_VMM_MACHINE_VCPU_RESET_H

#include <linux/kvm.h>

#include "base/err.h"

/*
 * Returns segments, control registers and APIC base of vCPU number @index, as KVM gives them to a
 * new one.
 */
struct kvm_sregs vcpu_reset_sregs(unsigned index);

/*
 * Resets vCPU number @index, by its descriptor @fd. It is not in KVM_RUN, and has no access of a
 * last exit to complete. Number 0 can run from the reset vector on, all others wait for it to start
 * them. -errno.
 */
int vcpu_reset_state(int fd, unsigned index, struct err *e);

/*
 * Sets the MSRs that firmware would have set. They only make the guest faster, and a KVM in
 * software may not know them, so a refusal is no error.
 */
void vcpu_firmware_msrs(int fd);

#endif
