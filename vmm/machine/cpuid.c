// SPDX-License-Identifier: GPL-2.0-only
/* Builds the guest's CPUID table from what KVM supports, and sets it for each vCPU. */
#include "vmm/machine/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define MAX_ENTRIES	256
#define LEAF_HYPERVISOR 0x40000000U
#define LEAF_KVM_TIMING 0x40000010U
#define APIC_BUS_KHZ	1000000U /* KVM's local APIC counts nanoseconds */

#define LEAF1_ECX_VMX	       (1U << 5)
#define LEAF1_ECX_X2APIC       (1U << 21)
#define LEAF1_ECX_TSC_DEADLINE (1U << 24)
#define LEAF1_ECX_HYPERVISOR   (1U << 31)
#define LEAF1_EDX_HTT	       (1U << 28)
#define EXT1_ECX_SVM	       (1U << 2)
#define TOPOLOGY_SMT	       (1U << 8)
#define TOPOLOGY_CORE	       (2U << 8)

struct cpuid {
	struct kvm_cpuid2 *base; /* room for MAX_ENTRIES */
};

static size_t table_size(void)
{
	return sizeof(struct kvm_cpuid2) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2);
}

int cpuid_create(struct cpuid **out, int kvm, struct err *e)
{
	struct cpuid *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->base = calloc(1, table_size());
	if (!c->base) {
		ret = err_set(e, -ENOMEM, "out of memory");
		goto fail;
	}
	c->base->nent = MAX_ENTRIES;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c->base)) {
		ret = err_set(e, -errno, "/dev/kvm: does not say which CPUID it supports: %s",
			      strerror(errno));
		goto fail;
	}
	*out = c;
	return 0;
fail:
	cpuid_destroy(c);
	return ret;
}

void cpuid_destroy(struct cpuid *c)
{
	if (!c)
		return;
	free(c->base);
	free(c);
}

static unsigned topology_bits_for(unsigned n)
{
	unsigned bits = 0;

	while ((1U << bits) < n)
		bits++;
	return bits;
}

static void cpuid_adjust_leaf(struct kvm_cpuid_entry2 *x, unsigned index, unsigned cpus)
{
	unsigned bits = topology_bits_for(cpus);

	switch (x->function) {
	case 1:
		x->ebx = (x->ebx & 0xffff) | index << 24 | (1U << bits) << 16;
		x->ecx &= ~LEAF1_ECX_VMX;
		/*
		 * KVM's local APIC has the timer, but KVM_GET_SUPPORTED_CPUID does not tell (see
		 * kvm_check()).
		 */
		x->ecx |= LEAF1_ECX_HYPERVISOR | LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE;
		x->edx &= ~LEAF1_EDX_HTT;
		if (cpus > 1)
			x->edx |= LEAF1_EDX_HTT;
		break;
	case 4: /* Intel's caches: how many CPUs share them; bits 7:5 are the level */
		if (!(x->eax & 0x1f))
			break;
		x->eax &= 0x3fff;
		x->eax |= ((1U << bits) - 1) << 26;
		if ((x->eax >> 5 & 7) >= 3)
			x->eax |= ((1U << bits) - 1) << 14;
		break;
	case 0x80000001:
		x->ecx &= ~EXT1_ECX_SVM;
		break;
	case 0x80000008: /* AMD: number of cores, bits of the APIC id that count them */
		x->ecx = (x->ecx & ~0xf0ffU) | (cpus - 1) | bits << 12;
		break;
	case 0x8000001d: /* AMD's caches, as leaf 4 */
		if (!(x->eax & 0x1f))
			break;
		x->eax &= 0x3fff;
		if ((x->eax >> 5 & 7) >= 3)
			x->eax |= (cpus - 1) << 14;
		break;
	case 0x8000001e:
		x->eax = index;
		x->ebx = index; /* one thread for each core */
		x->ecx = 0;
		break;
	case LEAF_HYPERVISOR:
		x->eax = LEAF_KVM_TIMING;
		break;
	default:
		break;
	}
}

static struct kvm_cpuid_entry2 *cpuid_append_leaf(struct kvm_cpuid2 *t, u32 leaf)
{
	struct kvm_cpuid_entry2 *x;

	if (t->nent >= MAX_ENTRIES)
		return NULL;
	x = &t->entries[t->nent++];
	memset(x, 0, sizeof(*x));
	x->function = leaf;
	return x;
}

/* Appends leaf 0xb: a level of threads (one in each core), a level of cores, the end. */
static void append_topology(struct kvm_cpuid2 *t, unsigned index, unsigned cpus)
{
	for (u32 level = 0; level < 3; level++) {
		struct kvm_cpuid_entry2 *x = cpuid_append_leaf(t, 0xb);

		if (!x)
			return;
		x->index = level;
		x->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		x->ecx = level;
		x->edx = index;
		if (level == 0) {
			x->ebx = 1;
			x->ecx |= TOPOLOGY_SMT;
		} else if (level == 1) {
			x->eax = topology_bits_for(cpus);
			x->ebx = cpus;
			x->ecx |= TOPOLOGY_CORE;
		}
	}
}

static bool leaf_is_replaced(u32 leaf)
{
	return leaf == 0xb || leaf == 0x1f || leaf == LEAF_KVM_TIMING;
}

int cpuid_apply(const struct cpuid *c, int vcpu, unsigned index, unsigned cpus, struct err *e)
{
	struct kvm_cpuid2 *t = calloc(1, table_size());
	struct kvm_cpuid_entry2 *x;
	u32 max_leaf = 0;
	int khz, ret = 0;

	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	for (u32 i = 0; i < c->base->nent; i++) {
		const struct kvm_cpuid_entry2 *from = &c->base->entries[i];

		if (from->function == 0)
			max_leaf = from->eax;
		if (leaf_is_replaced(from->function))
			continue;
		t->entries[t->nent] = *from;
		cpuid_adjust_leaf(&t->entries[t->nent++], index, cpus);
	}
	if (max_leaf >= 0xb)
		append_topology(t, index, cpus);
	khz = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	x = cpuid_append_leaf(t, LEAF_KVM_TIMING);
	if (x && khz > 0) {
		x->eax = (u32)khz;
		x->ebx = APIC_BUS_KHZ;
	}
	if (ioctl(vcpu, KVM_SET_CPUID2, t))
		ret = err_set(e, -errno, "KVM refuses the CPUID of vCPU %u: %s", index,
			      strerror(errno));
	free(t);
	return ret;
}
