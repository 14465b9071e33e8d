// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/machine/ro_store.h"

#include <capstone/capstone.h>
#include <string.h>

#include "vmm/machine/machine_int.h"
#include "vmm/machine/memory.h"

#define MAX_INSN 15
#define PAGE	 4096U

/* The bytes at RIP, across a page border at most once. Returns how many could be read. */
static size_t fetch(struct vcpu *v, u64 rip, u8 *buf)
{
	size_t done = 0;

	while (done < MAX_INSN) {
		size_t n = PAGE - (size_t)((rip + done) % PAGE);
		const void *p;
		u64 gpa;

		if (n > MAX_INSN - done)
			n = MAX_INSN - done;
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

static u64 register_value(const struct kvm_regs *r, x86_reg reg, u64 next_rip)
{
	switch (reg) {
	case X86_REG_RAX:
		return r->rax;
	case X86_REG_RBX:
		return r->rbx;
	case X86_REG_RCX:
		return r->rcx;
	case X86_REG_RDX:
		return r->rdx;
	case X86_REG_RSI:
		return r->rsi;
	case X86_REG_RDI:
		return r->rdi;
	case X86_REG_RSP:
		return r->rsp;
	case X86_REG_RBP:
		return r->rbp;
	case X86_REG_R8:
		return r->r8;
	case X86_REG_R9:
		return r->r9;
	case X86_REG_R10:
		return r->r10;
	case X86_REG_R11:
		return r->r11;
	case X86_REG_R12:
		return r->r12;
	case X86_REG_R13:
		return r->r13;
	case X86_REG_R14:
		return r->r14;
	case X86_REG_R15:
		return r->r15;
	case X86_REG_RIP:
		return next_rip;
	default: /* 32-bit forms and none: kernels in long mode do not store with them */
		return 0;
	}
}

static u64 effective_address(struct vcpu *v, const cs_insn *insn, const x86_op_mem *mem)
{
	const struct kvm_regs *r = vcpu_regs(v);
	u64 next = r->rip + insn->size;
	u64 ea = (u64)mem->disp + register_value(r, mem->base, next) +
		 register_value(r, mem->index, next) * (u64)(unsigned)mem->scale;
	const struct kvm_sregs *s;

	if (mem->segment == X86_REG_FS || mem->segment == X86_REG_GS) {
		s = vcpu_sregs(v);
		if (s)
			ea += mem->segment == X86_REG_FS ? s->fs.base : s->gs.base;
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

bool emulation_hits_readonly(struct vcpu *v, u64 *gpa, unsigned *len)
{
	u64 rip = vcpu_regs(v)->rip;
	u8 code[MAX_INSN];
	size_t n = fetch(v, rip, code);
	cs_insn *insn = NULL;
	bool hit = false;
	csh cs;

	if (!n || cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK)
		return false;
	cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
	if (cs_disasm(cs, code, n, rip, 1, &insn) == 1) {
		const cs_x86 *x = &insn->detail->x86;

		for (u8 i = 0; i < x->op_count && !hit; i++) {
			if (x->operands[i].type != X86_OP_MEM)
				continue;
			*len = x->operands[i].size;
			hit = readonly_at(v, effective_address(v, insn, &x->operands[i].mem), *len,
					  gpa);
		}
		/* What pushes has no memory operand of its own. */
		if (!hit && readonly_at(v, vcpu_regs(v)->rsp - 8, 8, gpa)) {
			*len = 8;
			hit = true;
		}
		cs_free(insn, 1);
	}
	cs_close(&cs);
	return hit;
}
