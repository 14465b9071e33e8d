// SPDX-License-Identifier: GPL-2.0-only
/* Copies from the pages that the guest kernel's own page tables lead to. */
#include <errno.h>
#include <string.h>

#include "shadow/kernel/kernel.h"
#include "vmm/machine/guest_read.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_boot.h"
#include "vmm/machine/page_walk.h"

static u64 image_gpa(struct machine *m, u64 link_addr)
{
	return link_addr - kernel_layout(machine_kernel(m))->link_text + machine_kernel_phys(m);
}

/*
 * Returns how many levels the page tables have, four or five, as the kernel chose
 * (arch/x86/mm/pgtable.c).
 */
static int page_table_levels(struct machine *m)
{
	u64 sym = kernel_symbol(machine_kernel(m), "__pgtable_l5_enabled");
	const u32 *enabled = sym ? machine_gpa(m, image_gpa(m, sym), sizeof(u32)) : NULL;

	return enabled && *enabled ? 5 : 4;
}

int guest_translate(struct machine *m, u64 va, u64 *gpa, u64 *page_left)
{
	u64 sym = kernel_symbol(machine_kernel(m), "init_top_pgt");

	if (!sym)
		return -ENOENT;
	return page_walk(machine_memory_map(m), image_gpa(m, sym), page_table_levels(m), va, gpa,
			 page_left);
}

int guest_read(struct machine *m, u64 va, void *buf, size_t len)
{
	u8 *to = buf;

	while (len) {
		u64 gpa, left;
		size_t n;
		const void *from;
		int ret = guest_translate(m, va, &gpa, &left);

		if (ret)
			return ret;
		n = left < len ? (size_t)left : len;
		from = machine_gpa(m, gpa, n);
		if (!from)
			return -EFAULT;
		memcpy(to, from, n);
		to += n;
		va += n;
		len -= n;
	}
	return 0;
}

int guest_read_string(struct machine *m, u64 va, char *buf, size_t size)
{
	size_t done = 0, n;

	/* Up to the end of a page at a time: what lies behind a string need not be mapped. */
	for (; done < size; done += n, va += n) {
		u64 gpa, left;
		const char *from;
		int ret = guest_translate(m, va, &gpa, &left);

		if (ret)
			return ret;
		/* of a large page only 4096 bytes, since RAM may end within it */
		n = 4096 - (size_t)(gpa & 4095);
		n = n < size - done ? n : size - done;
		from = machine_gpa(m, gpa, n);
		if (!from)
			return -EFAULT;
		memcpy(buf + done, from, n);
		if (memchr(buf + done, '\0', n))
			return 0;
	}
	return -E2BIG;
}
