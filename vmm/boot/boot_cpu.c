// SPDX-License-Identifier: GPL-2.0-only
/* Puts vCPU 0 into long mode, with page tables and a GDT in low guest RAM. */
#include "vmm/boot/boot_cpu.h"

#include <errno.h>
#include <string.h>

#include "vmm/machine/layout.h"
#include "vmm/machine/vcpu_reset.h"

#define PTE_PRESENT  1ULL
#define PTE_WRITE    2ULL
#define PTE_LARGE    0x80ULL
#define TABLE_SIZE   4096ULL
#define LARGE_PAGE   0x200000ULL
#define DIRECTORIES  4 /* 1 GiB each */
#define CR0_PE	     (1ULL << 0)
#define CR0_ET	     (1ULL << 4)
#define CR0_PG	     (1ULL << 31)
#define CR4_PAE	     (1ULL << 5)
#define EFER_LME     (1ULL << 8)
#define EFER_LMA     (1ULL << 10)
#define RFLAGS_FIXED 2ULL
#define SELECTOR_CS  0x10
#define SELECTOR_DS  0x18
#define GDT_CODE     0x00af9b000000ffffULL
#define GDT_DATA     0x00cf93000000ffffULL

static int write_cpu_tables(struct machine *m)
{
	u64 *t = machine_gpa(m, LAYOUT_PAGE_TABLES, (2 + DIRECTORIES) * TABLE_SIZE);
	u64 *gdt = machine_gpa(m, LAYOUT_GDT, 4 * sizeof(u64));
	const u64 table = PTE_PRESENT | PTE_WRITE;
	u64 *pdpt, *pd;

	if (!t || !gdt)
		return -ENOMEM;
	memset(t, 0, (2 + DIRECTORIES) * TABLE_SIZE);
	pdpt = t + 512;
	pd = t + 1024;
	t[0] = (LAYOUT_PAGE_TABLES + TABLE_SIZE) | table;
	for (u64 i = 0; i < DIRECTORIES; i++)
		pdpt[i] = (LAYOUT_PAGE_TABLES + (2 + i) * TABLE_SIZE) | table;
	for (u64 i = 0; i < DIRECTORIES * 512; i++)
		pd[i] = i * LARGE_PAGE | table | PTE_LARGE;
	gdt[0] = gdt[1] = 0;
	gdt[2] = GDT_CODE;
	gdt[3] = GDT_DATA;
	return 0;
}

static struct kvm_segment boot_segment(u16 selector, u8 type, bool code)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = !code,
		.s = 1,
		.l = code,
		.g = 1,
	};
}

int boot_cpu_enter(struct machine *m, u64 entry, u64 zero_page, struct err *e)
{
	struct vcpu *v = machine_vcpu(m, 0);
	struct kvm_regs regs = { .rip = entry, .rsi = zero_page, .rflags = RFLAGS_FIXED };
	struct kvm_segment data = boot_segment(SELECTOR_DS, 3, false);
	struct kvm_sregs s = vcpu_reset_sregs(0);

	if (write_cpu_tables(m))
		return err_set(e, -ENOMEM, "guest memory is too small for page tables");
	s.cs = boot_segment(SELECTOR_CS, 11, true);
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.gdt.base = LAYOUT_GDT;
	s.gdt.limit = 4 * sizeof(u64) - 1;
	s.idt.base = 0;
	s.idt.limit = 0;
	s.cr3 = LAYOUT_PAGE_TABLES;
	s.cr4 = CR4_PAE;
	s.cr0 = CR0_PE | CR0_ET | CR0_PG;
	s.efer = EFER_LME | EFER_LMA;
	vcpu_set_start(v, &regs, &s);
	return 0;
}
