/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Opens /dev/kvm and checks what it is able to do. KVM itself is asked, never CPUID: there are KVMs
 * on processors without VMX or SVM.
 */
#ifndef UMBRA_VMM_MACHINE_KVM_H
#define UMBRA_VMM_MACHINE_KVM_H

#include "base/err.h"
#include "base/types.h"

/*
 * Opens /dev/kvm; returns a descriptor, or -errno with the line for the user (-ENODEV: there is no
 * KVM here).
 */
int kvm_open(struct err *e);
/*
 * Checks that @kvm is KVM and has the capability that a machine needs; if not, -ENODEV or
 * -EOPNOTSUPP, and a line. One capability is asked for: on x86, version 12 of the API, the irqchip,
 * irqfd, ioeventfd, routing, read-only slots, immediate exit and the timer by TSC deadline are all
 * older than the synchronized registers and depend on nothing else; each question is a system call
 * of the start.
 */
int kvm_check(int kvm, struct err *e);

#endif
