// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and applies the relocation table that arch/x86/tools/relocs appends to the ELF file, made
 * for KASLR.
 *
 * It is read backwards from the end: 32-bit entries up to a zero, then inverse 32-bit ones up to a
 * zero (up to Linux 6.14; they are for per-CPU references), then 64-bit ones up to a zero, which is
 * the table's first word. That it begins exactly where the ELF file ends is the only proof that the
 * table was understood; a table that does not is not used.
 *
 * An entry is the low half of a link-time address. It is mapped to memory by the distance from
 * __START_KERNEL_map against the segments' physical addresses, as the kernel does it, not by
 * p_vaddr: entries point into the per-CPU segment, whose p_vaddr is 0.
 */
#include "base/little_endian.h"
#include "shadow/kernel/kernel_int.h"

static u64 entry_phys(const u8 *p)
{
	/* sign-extended to 64 bits, minus __START_KERNEL_map, is the same modulo 2^64 as this */
	return (u64)(s64)(s32)load_u32(p) - KERNEL_MAP;
}

/*
 * Returns true if all entries lie in segments; others would write into memory that is not the
 * kernel's, or into a hole.
 */
static bool relocs_list_fits(const struct kernel *k, const u8 *list, size_t n, unsigned width)
{
	const struct segment *s = &k->segments[0];

	for (size_t i = 0; i < n; i++) {
		u64 phys = entry_phys(list + 4 * i);
		unsigned j = 0;

		if (phys >= s->paddr && phys - s->paddr < s->memsz &&
		    s->memsz - (phys - s->paddr) >= width)
			continue;
		for (; j < k->n_segments; j++) {
			s = &k->segments[j];
			if (phys >= s->paddr && phys - s->paddr < s->memsz &&
			    s->memsz - (phys - s->paddr) >= width)
				break;
		}
		if (j == k->n_segments)
			return false;
	}
	return true;
}

bool relocs_fit(const struct kernel *k)
{
	return relocs_list_fits(k, k->relocs[RELOC_32], k->n_relocs[RELOC_32], 4) &&
	       relocs_list_fits(k, k->relocs[RELOC_INVERSE_32], k->n_relocs[RELOC_INVERSE_32], 4) &&
	       relocs_list_fits(k, k->relocs[RELOC_64], k->n_relocs[RELOC_64], 8);
}

static const char *parse_lists(struct kernel *k, size_t elf_end)
{
	size_t at = k->image_len, n_lists = 0;
	const u8 *lists[KERNEL_RELOCS];
	size_t counts[KERNEL_RELOCS];
	enum reloc_list last;

	if (elf_end >= k->image_len)
		return "it has no relocation table (CONFIG_RANDOMIZE_BASE is off, or it is a vmlinux as linked)";
	if ((k->image_len - elf_end) % 4)
		return "its relocation table has an odd size";
	while (at > elf_end) {
		size_t end = at;

		if (n_lists == KERNEL_RELOCS)
			return "its relocation table has more than three lists";
		while (at > elf_end && load_u32(k->image + at - 4))
			at -= 4;
		if (at == elf_end)
			return "its relocation table does not begin with a zero";
		lists[n_lists] = k->image + at;
		counts[n_lists++] = (end - at) / 4;
		at -= 4;
	}
	if (n_lists < 2)
		return "its relocation table has fewer than two lists";
	last = (enum reloc_list)(n_lists - 1);
	k->relocs[RELOC_32] = lists[0];
	k->n_relocs[RELOC_32] = counts[0];
	k->relocs[RELOC_INVERSE_32] = n_lists == 3 ? lists[1] : NULL;
	k->n_relocs[RELOC_INVERSE_32] = n_lists == 3 ? counts[1] : 0;
	k->relocs[RELOC_64] = lists[last];
	k->n_relocs[RELOC_64] = counts[last];
	if (!relocs_fit(k))
		return "its relocation table names addresses outside its segments";
	return NULL;
}

void relocs_parse(struct kernel *k, size_t elf_end)
{
	struct kernel_layout *l = &k->layout;

	if (l->link_text != KERNEL_MAP + l->pref_phys)
		l->no_reloc_reason = "its text is not linked at its physical address";
	else if (l->init_size > KERNEL_IMAGE_SIZE - l->pref_phys)
		l->no_reloc_reason = "it is too large to be moved";
	else
		l->no_reloc_reason = parse_lists(k, elf_end);
	l->relocatable = !l->no_reloc_reason;
}

void relocs_apply(const struct kernel *k, u8 *dst, u64 kaslr)
{
	u64 base = k->layout.pref_phys;
	u32 delta = (u32)kaslr;

	for (size_t i = 0; i < k->n_relocs[RELOC_32]; i++) {
		u8 *p = dst + (entry_phys(k->relocs[RELOC_32] + 4 * i) - base);

		store_u32(p, load_u32(p) + delta);
	}
	for (size_t i = 0; i < k->n_relocs[RELOC_INVERSE_32]; i++) {
		u8 *p = dst + (entry_phys(k->relocs[RELOC_INVERSE_32] + 4 * i) - base);

		store_u32(p, load_u32(p) - delta);
	}
	for (size_t i = 0; i < k->n_relocs[RELOC_64]; i++) {
		u8 *p = dst + (entry_phys(k->relocs[RELOC_64] + 4 * i) - base);

		store_u64(p, load_u64(p) + kaslr);
	}
}
