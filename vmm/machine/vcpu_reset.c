// SPDX-License-Identifier: GPL-2.0-only
/* Writes a vCPU's state, register by register, as it is after a processor's reset. */
#include "vmm/machine/vcpu_reset.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/types.h"

#define APIC_BASE     0xfee00000ULL
#define APIC_ENABLED  0x800ULL
#define APIC_BSP      0x100ULL
#define APIC_MASKED   0x10000U
#define APIC_EXTINT   0x700U
#define NESTED_MAX    16384
#define FCW_RESET     0x37f
#define MXCSR_RESET   0x1f80
#define MXCSR_AT      24 /* in the legacy area (SDM vol. 1, 10.5.1) */
#define CR0_RESET     0x60000010ULL
#define RFLAGS_FIXED  2ULL
#define RESET_RIP     0xfff0ULL
#define RESET_RDX     0x600ULL /* family 6, as KVM has it */
#define DR6_RESET     0xffff0ff0ULL
#define DR7_RESET     0x400ULL
#define PAT_RESET     0x0007040600070406ULL
#define MSR_OLD_CLOCK 0x12 /* MSR_KVM_SYSTEM_TIME, whose name the header has only for old guests */

#define MSRS_MAX 2

/* Sets @n MSRs; returns how many of them KVM took, or -errno. */
static int set_msrs(int fd, const struct kvm_msr_entry *entries, u32 n)
{
	_Alignas(struct kvm_msrs) u8 buf[sizeof(struct kvm_msrs) + MSRS_MAX * sizeof(*entries)];
	struct kvm_msrs *msrs = (struct kvm_msrs *)(void *)buf;
	int ret;

	memset(buf, 0, sizeof(buf));
	msrs->nmsrs = n;
	memcpy(msrs->entries, entries, n * sizeof(*entries));
	ret = ioctl(fd, KVM_SET_MSRS, msrs);
	return ret < 0 ? -errno : ret;
}

static void set_msr(int fd, u32 index, u64 value)
{
	const struct kvm_msr_entry entry = { .index = index, .data = value };

	set_msrs(fd, &entry, 1);
}

void vcpu_firmware_msrs(int fd)
{
	static const struct kvm_msr_entry wanted[MSRS_MAX] = {
		{ .index = 0x1a0, .data = 1 },	   /* MISC_ENABLE: fast strings */
		{ .index = 0x2ff, .data = 0x806 }, /* MTRRdefType: enabled, write-back */
	};

	set_msrs(fd, wanted, MSRS_MAX);
}

/*
 * Sets the MSRs one by one, because KVM stops at the first that it does not know, and no processor
 * has all. Those by which KVM writes to guest memory come first; a KVM without them does not write.
 *
 * KVM takes 0 for the TSC as a request to be in step with the other vCPUs (kvm_synchronize_tsc() in
 * arch/x86/kvm/x86.c), so the counters go on as they were at the start. The write itself is needed:
 * after a triple fault, Linux 6.1 on AMD clears the VMCB with the TSC's offset in it and does not
 * write the offset again (shutdown_interception() in svm.c). The next kernel would read the host's
 * counter, while KVM goes by the guest's for its timers, which would be late by the host's uptime.
 */
static void reset_msrs(int fd)
{
	static const u32 zero[] = {
		MSR_KVM_SYSTEM_TIME_NEW,
		MSR_OLD_CLOCK,
		MSR_KVM_ASYNC_PF_EN,
		MSR_KVM_STEAL_TIME,
		MSR_KVM_PV_EOI_EN,
		0x6e0 /* TSC_DEADLINE */,
		0x3b /* TSC_ADJUST */,
		0x10 /* TSC, see above */,
		0x174 /* SYSENTER_CS */,
		0x175 /* SYSENTER_ESP */,
		0x176 /* SYSENTER_EIP */,
		0xc0000081 /* STAR */,
		0xc0000082 /* LSTAR */,
		0xc0000083 /* CSTAR */,
		0xc0000084 /* FMASK */,
		0xc0000102 /* KERNEL_GS_BASE */,
		0xc0000103 /* TSC_AUX */,
		0x48 /* SPEC_CTRL */,
		0xda0 /* XSS */,
		0x38f /* PERF_GLOBAL_CTRL */,
		0x38d /* FIXED_CTR_CTRL */,
		0x186,
		0x187,
		0x188,
		0x189 /* PERFEVTSEL */,
		0xc0010000,
		0xc0010001,
		0xc0010002,
		0xc0010003 /* AMD's */,
		0xc0010200,
		0xc0010202,
		0xc0010204,
		0xc0010206,
		0xc0010208,
		0xc001020a,
		0x17a /* MCG_STATUS */,
		0xc0010117 /* VM_HSAVE_PA */,
	};

	for (size_t i = 0; i < ARRAY_SIZE(zero); i++)
		set_msr(fd, zero[i], 0);
	set_msr(fd, MSR_KVM_POLL_CONTROL, 1);
	set_msr(fd, 0x277, PAT_RESET);
	vcpu_firmware_msrs(fd);
}

/* Ends nested virtualization (VMX, SVM), before the registers: it forbids some of their values. */
static void leave_nested(int fd)
{
	struct kvm_nested_state *s = calloc(1, NESTED_MAX);

	if (!s)
		return;
	s->size = NESTED_MAX;
	if (!ioctl(fd, KVM_GET_NESTED_STATE, s)) {
		s->size = sizeof(*s);
		s->flags = s->format == KVM_STATE_NESTED_FORMAT_SVM ? KVM_STATE_NESTED_GIF_SET : 0;
		memset(&s->hdr, 0, sizeof(s->hdr));
		if (s->format == KVM_STATE_NESTED_FORMAT_VMX)
			s->hdr.vmx.vmxon_pa = s->hdr.vmx.vmcs12_pa = UINT64_MAX;
		ioctl(fd, KVM_SET_NESTED_STATE, s);
	}
	free(s);
}

static struct kvm_segment reset_segment(u16 selector, u64 base, u8 type, bool system)
{
	return (struct kvm_segment){
		.base = base,
		.limit = 0xffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = !system,
	};
}

struct kvm_sregs vcpu_reset_sregs(unsigned index)
{
	struct kvm_segment data = reset_segment(0, 0, 3, false);

	return (struct kvm_sregs){
		.cs = reset_segment(0xf000, 0xffff0000, 11, false),
		.ds = data,
		.es = data,
		.fs = data,
		.gs = data,
		.ss = data,
		.ldt = reset_segment(0, 0, 2, true),
		.tr = reset_segment(0, 0, 11, true),
		.gdt.limit = 0xffff,
		.idt.limit = 0xffff,
		.cr0 = CR0_RESET,
		.apic_base = APIC_BASE | APIC_ENABLED | (index ? 0 : APIC_BSP),
	};
}

static int reset_registers(int fd, unsigned index)
{
	struct kvm_regs regs = { .rip = RESET_RIP, .rdx = RESET_RDX, .rflags = RFLAGS_FIXED };
	struct kvm_debugregs debug = { .dr6 = DR6_RESET, .dr7 = DR7_RESET };
	struct kvm_sregs s = vcpu_reset_sregs(index);

	if (ioctl(fd, KVM_SET_SREGS, &s) || ioctl(fd, KVM_SET_REGS, &regs))
		return -errno;
	/* A KVM without debug registers has none to reset. */
	ioctl(fd, KVM_SET_DEBUGREGS, &debug);
	return 0;
}

/* Sets an XSAVE area whose header is empty: every component is in its initial state. */
static int reset_fpu(int fd)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs[0].value = 1 };
	struct kvm_fpu fpu = { .fcw = FCW_RESET, .mxcsr = MXCSR_RESET };
	struct kvm_xsave *x = calloc(1, sizeof(*x));
	int ret;

	if (!x)
		return -ENOMEM;
	x->region[0] = FCW_RESET;
	x->region[MXCSR_AT / 4] = MXCSR_RESET;
	ret = ioctl(fd, KVM_SET_XSAVE, x) && ioctl(fd, KVM_SET_FPU, &fpu) ? -errno : 0;
	free(x);
	ioctl(fd, KVM_SET_XCRS, &xcrs); /* refused by a processor without XSAVE */
	return ret;
}

static void put_apic(struct kvm_lapic_state *a, unsigned reg, u32 value)
{
	memcpy(a->regs + reg, &value, sizeof(value));
}

/* Resets the APIC, after the registers, which took it out of x2APIC mode; the version is KVM's. */
static int reset_apic(int fd, unsigned index)
{
	static const u16 masked[] = { 0x2f0, 0x320, 0x330, 0x340, 0x350, 0x360, 0x370 };
	struct kvm_lapic_state a = { .regs = { 0 } };

	put_apic(&a, 0x20, index << 24); /* ID */
	put_apic(&a, 0xe0, UINT32_MAX);	 /* DFR */
	put_apic(&a, 0xf0, 0xff);	 /* SVR */
	for (size_t i = 0; i < ARRAY_SIZE(masked); i++)
		put_apic(&a, masked[i], APIC_MASKED);
	/* KVM's own choice for a boot processor, so that a PIC reaches a firmware. */
	if (!index)
		put_apic(&a, 0x350, APIC_EXTINT);
	return ioctl(fd, KVM_SET_LAPIC, &a) ? -errno : 0;
}

static int reset_events(int fd, unsigned index)
{
	struct kvm_vcpu_events none = {
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
			 KVM_VCPUEVENT_VALID_SHADOW,
	};
	struct kvm_mp_state mp = {
		.mp_state = index ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE,
	};

	return ioctl(fd, KVM_SET_VCPU_EVENTS, &none) || ioctl(fd, KVM_SET_MP_STATE, &mp) ? -errno
											 : 0;
}

int vcpu_reset_state(int fd, unsigned index, struct err *e)
{
	int ret;

	leave_nested(fd);
	reset_msrs(fd);
	ret = reset_events(fd, index);
	if (!ret)
		ret = reset_registers(fd, index);
	if (!ret)
		ret = reset_fpu(fd);
	if (!ret)
		ret = reset_apic(fd, index);
	/*
	 * The events are reset again: leaving a halted state, or setting the APIC's, may have
	 * changed them.
	 */
	if (!ret)
		ret = reset_events(fd, index);
	return ret ? err_set(e, ret, "KVM does not reset vCPU %u: %s", index, strerror(-ret)) : 0;
}
