/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/kvm: opening it, and what it must be able to do. KVM itself is asked, never CPUID: there are
 * KVMs on processors without VMX or SVM.
 */
#ifndef UMBRA_VMM_KVM_H
#define UMBRA_VMM_KVM_H

#include "shadow/err.h"
#include "shadow/types.h"

/* A descriptor, or -errno with the line for the user (-ENODEV: there is no KVM here). */
int kvm_open(struct err *e);
/* Are all capabilities there that a machine needs? -EOPNOTSUPP names the first that is not. */
int kvm_check(int kvm, struct err *e);
/* Size of a vCPU's shared area, or -errno. */
int kvm_run_size(int kvm);

#endif
