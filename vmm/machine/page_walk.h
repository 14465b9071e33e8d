/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks page tables of 64-bit mode (SDM vol. 3, 4.5) in the guest's RAM, as its processors do, for
 * reading and without a look at permissions. KVM_TRANSLATE does the same, but is a system call, in
 * which KVM loads the vCPU and puts it again: dearer than the exit after which it is asked. The
 * guest may change its tables meanwhile, so the answer is true of one moment only, as KVM's is.
 */
#ifndef UMBRA_VMM_MACHINE_PAGE_WALK_H
#define UMBRA_VMM_MACHINE_PAGE_WALK_H

#include "base/types.h"

struct memory;

/*
 * Gives the guest-physical address of @va by the tables of @levels (4 or 5) levels at @root, and
 * in *page_left the bytes to the end of its page. -EFAULT: not mapped, or a table is not in RAM.
 * Bits of an entry that are reserved are not looked at. Any thread.
 */
int page_walk(const struct memory *mem, u64 root, int levels, u64 va, u64 *gpa, u64 *page_left);

#endif
