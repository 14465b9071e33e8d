// SPDX-License-Identifier: GPL-2.0-only
/* Decides whether an instruction that KVM could not emulate is a store to a read-only slot. */
#include "vmm/machine/ro_store.h"

#include <string.h>

#include "base/x86_insn.h"
#include "vmm/machine/machine_int.h"
#include "vmm/machine/memory.h"

#define PAGE 4096U

/* Reads the bytes at RIP, across a page border at most once. Returns how many could be read. */
static size_t fetch_code(struct vcpu *v, u64 rip, u8 *buf)
{
	size_t done = 0;

	while (done < X86_INSN_MAX) {
		size_t n = PAGE - (size_t)((rip + done) % PAGE);
		const void *p;
		u64 gpa;

		if (n > X86_INSN_MAX - done)
			n = X86_INSN_MAX - done;
		if (vcpu_translate(v, rip + done, &gpa))
			break;
		p = machine_gpa(vcpu_machine(v), gpa, n);
		if (!p)
			break;
		memcpy(buf + done, p, n);
		done += n;
	}
	return done;
}

static u64 register_value(const struct kvm_regs *r, u8 number, u64 next_rip)
{
	const u64 values[16] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
				 r->r8,	 r->r9,	 r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };

	if (number == X86_RIP)
		return next_rip;
	return number < ARRAY_SIZE(values) ? values[number] : 0;
}

static u64 effective_address(struct vcpu *v, const struct x86_insn *in)
{
	const struct kvm_regs *r = vcpu_regs(v);
	u64 next = r->rip + in->length;
	u64 ea = (u64)in->disp + register_value(r, in->base, next) +
		 register_value(r, in->index, next) * in->scale;
	const struct kvm_sregs *s;

	if (in->segment != X86_SEG_FLAT) {
		s = vcpu_sregs(v);
		if (s)
			ea += in->segment == X86_SEG_FS ? s->fs.base : s->gs.base;
	}
	return ea;
}

static bool readonly_at(struct vcpu *v, u64 gva, unsigned len, u64 *gpa)
{
	struct memory *mem = machine_memory_map(vcpu_machine(v));
	u64 last;

	if (!len)
		len = 1;
	if (!vcpu_translate(v, gva, gpa) && memory_is_readonly(mem, *gpa, 1))
		return true;
	if (vcpu_translate(v, gva + len - 1, &last) || !memory_is_readonly(mem, last, 1))
		return false;
	*gpa = last & ~(u64)(PAGE - 1);
	return true;
}

bool ro_store_find(struct vcpu *v, u64 *gpa, unsigned *len)
{
	struct x86_insn in;
	u8 code[X86_INSN_MAX];
	size_t n = fetch_code(v, vcpu_regs(v)->rip, code);

	if (x86_decode(code, n, &in))
		return false;
	*len = in.width;
	if (in.has_mem && readonly_at(v, effective_address(v, &in), *len, gpa))
		return true;
	/* A push has no memory operand of its own: its store is at RSP. */
	*len = 8;
	return readonly_at(v, vcpu_regs(v)->rsp - 8, *len, gpa);
}
