// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps the VMM's pages into the guest kernel's module space. They have no struct page (the region
 * is reserved in the e820 map), and a driver's branches must reach the entries, so neither
 * ioremap() nor vmap() will do: both place only in the vmalloc range. __get_vm_area_caller() gives
 * addresses in module space and apply_to_page_range() writes the entries, write-back cached: an
 * uncached jump table costs a memory access per call. VM_IOREMAP keeps readers of /proc/kcore away.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/pgtable.h>

#include "shim.h"

struct shim_mapping {
	u64 gpa;
	u64 step; /* 0: every page is the same */
	pgprot_t prot;
};

static int set_pte_fn(pte_t *pte, unsigned long addr, void *data)
{
	struct shim_mapping *m = data;

	set_pte_at((struct mm_struct *)umbra.info->syms[UMBRA_SYM_INIT_MM], addr, pte,
		   pfn_pte(m->gpa >> PAGE_SHIFT, m->prot));
	m->gpa += m->step;
	return 0;
}

static int apply_mapping(void *va, unsigned long size, struct shim_mapping m)
{
	return apply_to_page_range((struct mm_struct *)umbra.info->syms[UMBRA_SYM_INIT_MM],
				   (unsigned long)va, size, set_pte_fn, &m);
}

static void *map_between(unsigned long start, unsigned long end, unsigned long size,
			 struct shim_mapping m)
{
	struct vm_struct *(*get_area)(unsigned long size, unsigned long flags, unsigned long start,
				      unsigned long end, const void *caller);
	struct vm_struct *area;

	get_area = (void *)umbra.info->syms[UMBRA_SYM_GET_VM_AREA];
	area = get_area(size, VM_IOREMAP, start, end, __builtin_return_address(0));
	if (!area)
		return NULL;
	if (apply_mapping(area->addr, size, m)) {
		free_vm_area(area);
		return NULL;
	}
	return area->addr;
}

void *shim_map(u64 gpa, unsigned long size, pgprot_t prot)
{
	return map_between(VMALLOC_START, VMALLOC_END, size,
			   (struct shim_mapping){ gpa, PAGE_SIZE, prot });
}

void *shim_map_text(u64 gpa, unsigned long size)
{
	return map_between(MODULES_VADDR, MODULES_END, size,
			   (struct shim_mapping){ gpa, PAGE_SIZE, PAGE_KERNEL_ROX });
}

void *shim_reserve(unsigned long pages)
{
	if (!pages || pages > (MODULES_END - MODULES_VADDR) >> PAGE_SHIFT)
		return NULL;
	return map_between(MODULES_VADDR, MODULES_END, pages << PAGE_SHIFT,
			   (struct shim_mapping){ UMBRA_PAGES_GPA, 0, PAGE_KERNEL_ROX });
}

void shim_release(void *va)
{
	struct vm_struct *(*find_area)(const void *addr);
	struct vm_struct *area;

	if (!va)
		return;
	find_area = (void *)umbra.info->syms[UMBRA_SYM_FIND_VM_AREA];
	area = find_area(va);
	if (area && area->addr == va)
		free_vm_area(area);
}

int shim_remap(const struct umbra_map *maps, u64 count)
{
	struct vm_struct *(*find_area)(const void *addr);
	void (*flush)(unsigned long start, unsigned long end);
	struct vm_struct *area;
	u64 i, lo = ~0ULL, hi = 0;
	int ret = 0;

	flush = (void *)umbra.info->syms[UMBRA_SYM_FLUSH_TLB];
	find_area = (void *)umbra.info->syms[UMBRA_SYM_FIND_VM_AREA];
	for (i = 0; i < count; i++) {
		u64 va = maps[i].va, gpa = maps[i].gpa;

		if (va < MODULES_VADDR || va >= MODULES_END || (va | gpa) & ~PAGE_MASK ||
		    gpa < UMBRA_PAGES_GPA || gpa >= UMBRA_PAGES_GPA + UMBRA_PAGES_SIZE) {
			ret = -EINVAL;
			break;
		}
		/* ours, and not some module's text */
		area = find_area((void *)va);
		if (!area || !(area->flags & VM_IOREMAP)) {
			ret = -EINVAL;
			break;
		}
		ret = apply_mapping((void *)va, PAGE_SIZE,
				    (struct shim_mapping){ gpa, PAGE_SIZE, PAGE_KERNEL_ROX });
		if (ret)
			break;
		lo = min(lo, va);
		hi = max(hi, va + PAGE_SIZE);
	}
	if (hi)
		flush(lo, hi);
	return ret;
}
