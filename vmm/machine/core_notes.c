// SPDX-License-Identifier: GPL-2.0-only
/* Reads a vCPU's registers, and lays out the notes of a core as QEMU's arch_dump.c does. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/machine/core.h"
#include "vmm/machine/core_int.h"
#include "vmm/machine/vcpu.h"

#define MSR_KERNEL_GS_BASE 0xc0000102U

/* arch/x86/include/asm/page_64_types.h */
#define KERNEL_MAP	  0xffffffff80000000ULL
#define KERNEL_TEXT	  0x1000000ULL /* from there, without KASLR */
#define KERNEL_IMAGE_SIZE 0x40000000ULL
#define PAGE_OFFSET_MASK  0xfffULL

/* struct user_regs_struct of x86-64. */
struct prstatus_regs {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
	u64 rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};

/* struct elf_prstatus of x86-64, of which only these members are used. */
struct prstatus {
	u8 signals[32];
	u32 pid;
	u8 times[76];
	struct prstatus_regs regs;
	u8 fpvalid[8];
};
_Static_assert(sizeof(struct prstatus) == 336, "as the kernel's");

struct qemu_segment {
	u32 selector, limit, flags, pad;
	u64 base;
};

/* QEMUCPUState, version 1. */
struct qemu_cpu {
	u32 version, size;
	u64 rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r[8], rip, rflags;
	struct qemu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
	u64 cr[5], kernel_gs_base;
};
_Static_assert(sizeof(struct qemu_cpu) == 440, "as QEMU's");

static const char core_name[] = "CORE", qemu_name[] = "QEMU", linux_name[] = "VMCOREINFO";

int core_read_cpu(struct core_cpu *c, struct vcpu *v)
{
	_Alignas(struct kvm_msrs) u8 buf[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	struct kvm_msrs *msrs = (void *)buf;
	int ret;

	memset(buf, 0, sizeof(buf));
	ret = vcpu_get_regs(v, &c->regs, &c->sregs);
	if (ret)
		return ret;
	msrs->nmsrs = 1;
	msrs->entries[0].index = MSR_KERNEL_GS_BASE;
	if (ioctl(vcpu_fd(v), KVM_GET_MSRS, msrs) == 1)
		c->kernel_gs_base = msrs->entries[0].data;
	return 0;
}

static size_t note_size(size_t name, size_t desc)
{
	return sizeof(Elf64_Nhdr) + ALIGN_UP(name, 4) + ALIGN_UP(desc, 4);
}

size_t core_notes_size(unsigned n_cpus, size_t vmcoreinfo_len)
{
	size_t cpu = note_size(sizeof(core_name), sizeof(struct prstatus)) +
		     note_size(sizeof(qemu_name), sizeof(struct qemu_cpu));

	return n_cpus * cpu + (vmcoreinfo_len ? note_size(sizeof(linux_name), vmcoreinfo_len) : 0);
}

/* Puts a note, and returns where the next one goes; @name has @n bytes with its NUL. */
static u8 *put_note(u8 *to, u32 type, const char *name, size_t n, const void *desc, size_t len)
{
	const Elf64_Nhdr h = { .n_namesz = (u32)n, .n_descsz = (u32)len, .n_type = type };

	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), name, n);
	memcpy(to + sizeof(h) + ALIGN_UP(n, 4), desc, len);
	return to + note_size(n, len);
}

static u8 *put_prstatus(u8 *to, const struct core_cpu *c, unsigned i)
{
	const struct kvm_regs *r = &c->regs;
	const struct kvm_sregs *s = &c->sregs;
	struct prstatus p = {
		.pid = i + 1,
		.regs = { .r15 = r->r15,
			  .r14 = r->r14,
			  .r13 = r->r13,
			  .r12 = r->r12,
			  .rbp = r->rbp,
			  .rbx = r->rbx,
			  .r11 = r->r11,
			  .r10 = r->r10,
			  .r9 = r->r9,
			  .r8 = r->r8,
			  .rax = r->rax,
			  .rcx = r->rcx,
			  .rdx = r->rdx,
			  .rsi = r->rsi,
			  .rdi = r->rdi,
			  .rip = r->rip,
			  .cs = s->cs.selector,
			  .eflags = r->rflags,
			  .rsp = r->rsp,
			  .ss = s->ss.selector,
			  .fs_base = s->fs.base,
			  .gs_base = s->gs.base,
			  .ds = s->ds.selector,
			  .es = s->es.selector,
			  .fs = s->fs.selector,
			  .gs = s->gs.selector },
	};

	return put_note(to, NT_PRSTATUS, core_name, sizeof(core_name), &p, sizeof(p));
}

/* The flags are the upper half of a descriptor (SDM vol. 3, 3.4.5), without base and limit. */
static struct qemu_segment segment(const struct kvm_segment *s)
{
	return (struct qemu_segment){
		.selector = s->selector,
		.limit = s->limit,
		.flags = (u32)s->type << 8 | (u32)s->s << 12 | (u32)s->dpl << 13 |
			 (u32)s->present << 15 | (u32)s->avl << 20 | (u32)s->l << 21 |
			 (u32)s->db << 22 | (u32)s->g << 23,
		.base = s->base,
	};
}

static u8 *put_qemu(u8 *to, const struct core_cpu *c)
{
	const struct kvm_regs *r = &c->regs;
	const struct kvm_sregs *s = &c->sregs;
	struct qemu_cpu q = {
		.version = 1,
		.size = sizeof(q),
		.rax = r->rax,
		.rbx = r->rbx,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.rsp = r->rsp,
		.rbp = r->rbp,
		.r = { r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 },
		.rip = r->rip,
		.rflags = r->rflags,
		.cs = segment(&s->cs),
		.ds = segment(&s->ds),
		.es = segment(&s->es),
		.fs = segment(&s->fs),
		.gs = segment(&s->gs),
		.ss = segment(&s->ss),
		.ldt = segment(&s->ldt),
		.tr = segment(&s->tr),
		.gdt = { .limit = s->gdt.limit, .base = s->gdt.base },
		.idt = { .limit = s->idt.limit, .base = s->idt.base },
		.cr = { s->cr0, 0, s->cr2, s->cr3, s->cr4 },
		.kernel_gs_base = c->kernel_gs_base,
	};

	return put_note(to, 0, qemu_name, sizeof(qemu_name), &q, sizeof(q));
}

void core_put_notes(u8 *to, const struct core_cpu *cpus, unsigned n_cpus, const char *vmcoreinfo,
		    size_t vmcoreinfo_len)
{
	for (unsigned i = 0; i < n_cpus; i++)
		to = put_prstatus(to, &cpus[i], i);
	for (unsigned i = 0; i < n_cpus; i++)
		to = put_qemu(to, &cpus[i]);
	if (vmcoreinfo_len)
		put_note(to, 0, linux_name, sizeof(linux_name), vmcoreinfo, vmcoreinfo_len);
}

/* --- the guest's own note -------------------------------------------------------------------- */

size_t core_take_vmcoreinfo(const u8 *note, u64 len, char *text)
{
	static const char first[] = "OSRELEASE=";
	const size_t name = ALIGN_UP(sizeof(linux_name), 4);
	Elf64_Nhdr h;

	if (len < sizeof(h) + name)
		return 0;
	memcpy(&h, note, sizeof(h));
	if (h.n_namesz != sizeof(linux_name) || h.n_type ||
	    memcmp(note + sizeof(h), linux_name, sizeof(linux_name)) != 0)
		return 0;
	len -= sizeof(h) + name;
	if (h.n_descsz < sizeof(first) || h.n_descsz > CORE_NOTE_MAX || h.n_descsz > len)
		return 0;
	memcpy(text, note + sizeof(h) + name, h.n_descsz);
	return memcmp(text, first, sizeof(first) - 1) ? 0 : h.n_descsz;
}

bool core_text_has(const char *text, size_t len, const char *line)
{
	return memmem(text, len, line, strlen(line));
}

/* Reads the number behind @key, which begins a line; false: there is none. */
static bool text_number(const char *text, size_t len, const char *key, int base, u64 *out)
{
	const char *at = memmem(text, len, key, strlen(key));
	char digits[24], *end;
	size_t n;

	if (!at)
		return false;
	at += strlen(key);
	n = len - (size_t)(at - text);
	n = n < sizeof(digits) - 1 ? n : sizeof(digits) - 1;
	memcpy(digits, at, n);
	digits[n] = '\0';
	*out = (u64)strtoll(digits, &end, base);
	return end > digits && *end == '\n';
}

bool core_kernel_place(const char *text, size_t len, u64 *va, u64 *pa)
{
	u64 offset, base;

	if (!text_number(text, len, "\nKERNELOFFSET=", 16, &offset) ||
	    !text_number(text, len, "\nNUMBER(phys_base)=", 10, &base) ||
	    offset >= KERNEL_IMAGE_SIZE - KERNEL_TEXT || (offset | base) & PAGE_OFFSET_MASK)
		return false;
	*va = KERNEL_MAP + KERNEL_TEXT + offset;
	*pa = KERNEL_TEXT + offset + base;
	return true;
}
