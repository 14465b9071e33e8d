// SPDX-License-Identifier: GPL-2.0-only
/*
 * hold_keys: keeps KVM's static keys as they are for as long as the lab's machine lives.
 *
 * When the first VM starts and when the last one ends, Linux patches its own text under the other
 * CPU: preempt_notifier_key in __schedule() and, with a vCPU's local APIC, kvm's apic_sw_disabled,
 * apic_hw_disabled and kvm_has_noapic_vcpu. QEMU 7.2 can keep a translation with the INT3 that
 * stood there for a moment, and the machine stands still (docs/lab.md). With these VMs, which never
 * run, no key ever goes from 0 to 1 or back: there is no first VM and no last one.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define APIC_BASE 0xfee00000ULL /* enable bit (11) clear: the local APIC is off */

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR), with, without, on, off;
	struct kvm_sregs sregs;

	if (kvm < 0)
		goto fail;
	with = ioctl(kvm, KVM_CREATE_VM, 0);
	without = ioctl(kvm, KVM_CREATE_VM, 0);
	if (with < 0 || without < 0 || ioctl(with, KVM_CREATE_IRQCHIP, 0))
		goto fail;
	/* A vCPU as it is created has an APIC that is disabled by software. */
	on = ioctl(with, KVM_CREATE_VCPU, 0);
	off = ioctl(with, KVM_CREATE_VCPU, 1);
	if (on < 0 || off < 0 || ioctl(off, KVM_GET_SREGS, &sregs))
		goto fail;
	sregs.apic_base = APIC_BASE;
	if (ioctl(off, KVM_SET_SREGS, &sregs))
		goto fail;
	/* A vCPU of a VM without interrupt controllers has no APIC. */
	if (ioctl(without, KVM_CREATE_VCPU, 0) < 0)
		goto fail;
	for (;;)
		pause();
fail:
	perror("hold_keys");
	return 1;
}
