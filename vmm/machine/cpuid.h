/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sets the guest's CPUID: the features that KVM supports, with a topology of one socket of
 * single-threaded cores, the TSC-deadline timer and the TSC's frequency. Nested virtualization is
 * hidden: it is a large attack surface that an isolated guest has no use for.
 */
#ifndef UMBRA_VMM_MACHINE_CPUID_H
#define UMBRA_VMM_MACHINE_CPUID_H

#include "base/err.h"
#include "base/types.h"

struct cpuid;

/* Asks KVM, by @kvm, a descriptor of /dev/kvm, what it supports. -errno with a line. */
int cpuid_create(struct cpuid **out, int kvm, struct err *e);
void cpuid_destroy(struct cpuid *c); /* NULL allowed */
/* Sets the table for vCPU @index of @cpus. */
int cpuid_apply(const struct cpuid *c, int vcpu, unsigned index, unsigned cpus, struct err *e);

#endif
