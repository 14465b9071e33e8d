// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries what a hostile driver in the guest's ring 0 would try: action=A addr=X [value=V], once at
 * load.
 *
 *   read      read the 8 bytes at kernel address X
 *   write     write V to kernel address X with CR0.WP cleared
 *   ioremap   map guest-physical address X and write V
 *   memremap  the same, cached
 *   out       ring port X (default 0xe4) from this module's own text
 *   pte       point the page table entry of X to a copy of its page (undone when unloaded)
 *
 * One line before and one after each attempt, so that the log shows how far it came.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <asm/pgtable.h>

static char *action = "read";
module_param(action, charp, 0444);
static unsigned long addr = 0xe4;
module_param(addr, ulong, 0444);
static unsigned long value = 0xcccccccccccccccc;
module_param(value, ulong, 0444);

static pte_t *changed;
static pte_t original;
static struct page *copy;

static unsigned long read_word(const volatile void *p)
{
	return *(const volatile unsigned long *)p;
}

/* Sets CR0 as it is given. The kernel's own write_cr0() would put WP back. */
static void set_cr0(unsigned long cr0)
{
	asm volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

static void attack_write(void)
{
	unsigned long irqs, cr0;

	local_irq_save(irqs);
	cr0 = native_read_cr0();
	set_cr0(cr0 & ~X86_CR0_WP);
	*(volatile unsigned long *)addr = value;
	set_cr0(cr0);
	local_irq_restore(irqs);
	pr_info("umbra_t_attack: write done, reads %lx\n", read_word((void *)addr));
}

static int attack_ioremap(void)
{
	void __iomem *p = ioremap(addr, PAGE_SIZE);

	if (!p)
		return -ENOMEM;
	writeq(value, p);
	pr_info("umbra_t_attack: ioremap done, reads %lx\n", (unsigned long)readq(p));
	iounmap(p);
	return 0;
}

static int attack_memremap(void)
{
	void *p = memremap(addr, PAGE_SIZE, MEMREMAP_WB);

	if (!p)
		return -ENOMEM;
	*(volatile unsigned long *)p = value;
	pr_info("umbra_t_attack: memremap done, reads %lx\n", read_word(p));
	memunmap(p);
	return 0;
}

static void attack_out(void)
{
	asm volatile("outl %0, %w1" : : "a"((u32)value), "d"((u16)addr) : "memory");
	pr_info("umbra_t_attack: out done\n");
}

/*
 * Flushes all TLB entries of this CPU: global ones survive a reload of CR3, not a change of
 * CR4.PGE.
 */
static void flush_all_tlbs(void *unused)
{
	unsigned long irqs, cr4;

	local_irq_save(irqs);
	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	asm volatile("mov %0, %%cr4" : : "r"(cr4 ^ X86_CR4_PGE) : "memory");
	asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
	local_irq_restore(irqs);
}

static int attack_pte(void)
{
	unsigned int level;
	pte_t *pte = lookup_address(addr, &level);

	if (!pte || level != PG_LEVEL_4K) {
		pr_info("umbra_t_attack: pte: no 4 KiB page there\n");
		return -ENOENT;
	}
	copy = alloc_page(GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	memcpy(page_address(copy), (void *)(addr & PAGE_MASK), PAGE_SIZE);
	original = *pte;
	changed = pte;
	WRITE_ONCE(pte->pte, (original.pte & ~PTE_PFN_MASK) | page_to_phys(copy));
	on_each_cpu(flush_all_tlbs, NULL, 1);
	pr_info("umbra_t_attack: pte done, %lx -> %lx\n", original.pte, pte->pte);
	return 0;
}

static int __init attack_init(void)
{
	int result = 0;

	pr_info("umbra_t_attack: %s at %lx\n", action, addr);
	if (!strcmp(action, "read"))
		pr_info("umbra_t_attack: read done, %lx\n", read_word((void *)addr));
	else if (!strcmp(action, "write"))
		attack_write();
	else if (!strcmp(action, "ioremap"))
		result = attack_ioremap();
	else if (!strcmp(action, "memremap"))
		result = attack_memremap();
	else if (!strcmp(action, "out"))
		attack_out();
	else if (!strcmp(action, "pte"))
		result = attack_pte();
	else
		result = -EINVAL;
	pr_info("umbra_t_attack: %s: %d\n", action, result);
	return result;
}

static void __exit attack_exit(void)
{
	if (!changed)
		return;
	WRITE_ONCE(changed->pte, original.pte);
	on_each_cpu(flush_all_tlbs, NULL, 1);
	__free_page(copy);
	pr_info("umbra_t_attack: pte restored\n");
}

module_init(attack_init);
module_exit(attack_exit);
MODULE_DESCRIPTION("Umbra test driver: attacks on the shadow");
MODULE_LICENSE("GPL");
