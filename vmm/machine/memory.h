/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Provides guest memory as KVM memory slots: RAM, and Umbra's own slots. machine.h documents the
 * functions; here they are without the rest of the machine.
 */
#ifndef UMBRA_VMM_MACHINE_MEMORY_H
#define UMBRA_VMM_MACHINE_MEMORY_H

#include "base/err.h"
#include "base/types.h"
#include "devices/host.h"

struct memory;

struct memory_config {
	u64 ram;       /* bytes */
	bool shared;   /* in a memfd, so that other processes can map it */
	u64 huge_page; /* bytes, divides @ram: of the system's huge pages, and shared; 0: not */
};

/*
 * Makes the memory of a machine. Errors are for people, and say what to do when there are not
 * enough huge pages.
 */
int memory_create(struct memory **out, int vm, const struct memory_config *c, struct err *e);
void memory_destroy(struct memory *mem); /* NULL allowed */
/* Zeroes all RAM, not the slots. Nobody may be using it. -errno. */
int memory_clear(struct memory *mem);
/* Zeroes a slot of memory_add_slot(). Nobody may be using it. -ENOENT; -errno. */
int memory_clear_slot(struct memory *mem, u64 gpa);

/*
 * Gives whole pages of RAM back to this host: [p, p + len), which memory_gpa() gave. From then on
 * they read as zero, here and in every process that maps them. -EINVAL: that is not all RAM, or no
 * whole pages; -EOPNOTSUPP: RAM of huge pages stays. A part of one cannot be given back; a whole
 * one could, to the system's pool, and if another process took it from there, the guest's next
 * access would raise SIGBUS here. Any thread.
 */
int memory_discard(const struct memory *mem, void *p, u64 len);

void *memory_gpa(const struct memory *mem, u64 gpa, u64 len);
/* Returns the size of RAM below, or above, 4 GiB, in bytes. */
u64 memory_low(const struct memory *mem);
u64 memory_high(const struct memory *mem);
/*
 * Describes piece @i of the RAM; false: there is no such piece. The descriptor is borrowed, -1: not
 * shared.
 */
bool memory_region(const struct memory *mem, unsigned i, struct host_region *out);

int memory_add_slot(struct memory *mem, u64 gpa, size_t len, bool guest_writable, void **hva,
		    struct err *e);
int memory_remove_slot(struct memory *mem, u64 gpa);
/*
 * Adds memory that the guest cannot write and that ends at 4 GiB, where a processor starts. @len a
 * multiple of 4096, at most LAYOUT_ROM_MAX; *hva is writable here.
 */
int memory_add_rom(struct memory *mem, size_t len, void **hva, struct err *e);
/*
 * Tells where slot @i is that is no RAM; false: there is none of that number, though there may be
 * one of a higher number, below LAYOUT_SLOT_END - LAYOUT_SLOT_UMBRA.
 */
bool memory_slot(struct memory *mem, unsigned i, u64 *gpa, u64 *len);
/* Copies the page at @gpa of such a slot, which may have gone: zeros then. Any thread. */
void memory_slot_page(struct memory *mem, u64 gpa, void *page);
/* Returns true if a byte of [gpa, gpa + len) lies in a slot that the guest cannot write. */
bool memory_is_readonly(struct memory *mem, u64 gpa, u64 len);

#endif
