// SPDX-License-Identifier: GPL-2.0-only
/*
 * Refers to an imported function in a form that is neither a branch (R_X86_64_PLT32) nor an address
 * (R_X86_64_64, R_X86_64_32S): the linker cannot know what the instruction does with it.
 */
#include <linux/module.h>

static int __init badreloc_init(void)
{
	unsigned long found;

	asm volatile("leaq filp_open(%%rip), %0" : "=r"(found));
	pr_info("umbra_t_badreloc: %lx\n", found);
	return 0;
}

module_init(badreloc_init);
MODULE_DESCRIPTION("Umbra test driver: an unknown form of relocation");
MODULE_LICENSE("GPL");
