// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab_kvm: works around, in the lab's own kernel, a fault of QEMU's SVM emulation and one of KVM.
 *
 * QEMU's VMRUN, when it injects an interrupt (EVENTINJ), leaves the vector in its field for a
 * pending exception, where it stays until the guest's next exception or exit. A kick by another
 * thread that falls between QEMU's two looks (at interrupt_request, then at exit_request) makes
 * QEMU deliver the vector in that field: the interrupt comes a second time, with interrupts off. A
 * guest then spins in a sequence counter's read loop, or dies of a doubled entry from user mode.
 *
 * After each injection this makes the CPU leave the guest at once, by the IPI to itself that KVM
 * uses for the same purpose: the exit clears the field before anything else can happen, since QEMU
 * looks at the interrupt first. The injected interrupt has been delivered then, and KVM goes on.
 *
 * KVM asks for no injection when a guest unmasks LVT0, behind which the PIC's line may be high since
 * an edge of the PIT. The vCPU then never sleeps at HLT, because it has an interrupt, and never gets
 * it. A guest with noapic, as kvmtool starts it, masks LVT0 for some fifty exits at its start: here
 * these take longer than the PIT's period of 4 ms. So this asks for an injection at every HLT.
 */
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/smp.h>

static DEFINE_PER_CPU(bool, injected);

static int note_injection(struct kprobe *probe, struct pt_regs *regs)
{
	this_cpu_write(injected, true);
	return 0;
}

/* Interrupts are off here until VMRUN, so the IPI is pending when the guest is entered. */
static int leave_guest_at_once(struct kprobe *probe, struct pt_regs *regs)
{
	if (this_cpu_read(injected)) {
		this_cpu_write(injected, false);
		smp_send_reschedule(smp_processor_id());
	}
	return 0;
}

static int look_for_interrupts(struct kprobe *probe, struct pt_regs *regs)
{
	kvm_make_request(KVM_REQ_EVENT, (struct kvm_vcpu *)regs->di);
	return 0;
}

static struct kprobe on_inject = { .symbol_name = "svm_inject_irq", .pre_handler = note_injection };
static struct kprobe on_run = { .symbol_name = "svm_vcpu_run", .pre_handler = leave_guest_at_once };
static struct kprobe on_halt = { .symbol_name = "kvm_emulate_halt",
				 .pre_handler = look_for_interrupts };
static struct kprobe *probes[] = { &on_inject, &on_run, &on_halt };

static int __init lab_kvm_init(void)
{
	return register_kprobes(probes, ARRAY_SIZE(probes));
}

static void __exit lab_kvm_exit(void)
{
	unregister_kprobes(probes, ARRAY_SIZE(probes));
}

module_init(lab_kvm_init);
module_exit(lab_kvm_exit);
MODULE_DESCRIPTION(
	"Leaves a guest at once after an injected interrupt, for QEMU's emulation of SVM");
MODULE_LICENSE("GPL");
