// SPDX-License-Identifier: GPL-2.0-only
/* Walks page tables in the guest's RAM. */
#include "vmm/machine/page_walk.h"

#include <errno.h>

#include "vmm/machine/memory.h"

#define PTE_PRESENT 1ULL
#define PTE_LARGE   0x80ULL
#define PTE_ADDR    0x000ffffffffff000ULL

int page_walk(const struct memory *mem, u64 root, int levels, u64 va, u64 *gpa, u64 *page_left)
{
	u64 table = root & PTE_ADDR;

	for (int level = levels - 1; level >= 0; level--) {
		unsigned shift = 12 + 9 * (unsigned)level;
		const u64 *t = memory_gpa(mem, table, 4096);
		u64 size = 1ULL << shift, entry;

		if (!t)
			return -EFAULT;
		entry = __atomic_load_n(&t[va >> shift & 511], __ATOMIC_RELAXED);
		if (!(entry & PTE_PRESENT))
			return -EFAULT;
		if (!level || (level <= 2 && entry & PTE_LARGE)) {
			*gpa = (entry & PTE_ADDR & ~(size - 1)) | (va & (size - 1));
			*page_left = size - (va & (size - 1));
			return 0;
		}
		table = entry & PTE_ADDR;
	}
	return -EFAULT;
}
