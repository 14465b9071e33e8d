// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills pages of the template shadow: entries only, everything between them traps.
 *
 * The layout is the kernel's, so an entry's address is the function's plus one distance. Two names
 * of one function share an entry; if the caller gives them different targets there is no right one
 * and the entry stays a trap. The linker refuses such an alias anyway.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"
#include "shadow/link/plan_int.h"

#define PAGE	 4096u
#define INT3	 0xcc
#define JMP_SIZE 5

/*
 * Returns the target that all names at the address of by_addr[*i] agree on, or 0; moves *i behind
 * them.
 */
static u64 agreed_target(const struct exports *x, size_t *i,
			 u64 (*target)(void *arg, const struct kernel_export *ex), void *arg)
{
	u64 addr = x->list[x->by_addr[*i]].addr;
	u64 to = target(arg, &x->list[x->by_addr[*i]]);

	for (++*i; *i < x->n_functions && x->list[x->by_addr[*i]].addr == addr; ++*i)
		if (target(arg, &x->list[x->by_addr[*i]]) != to)
			to = 0;
	return to;
}

int shadow_fill_page(const struct kernel *k, u64 shadow, u64 index, u8 page[4096],
		     u64 (*target)(void *arg, const struct kernel_export *ex), void *arg)
{
	const struct exports *x = &k->exports;
	u64 start = k->text_start + index * PAGE;
	int entries = 0;
	size_t i;

	memset(page, INT3, PAGE);
	if (index >= (k->text_end - k->text_start + PAGE - 1) / PAGE)
		return 0;
	/* an entry that begins on the page before may end on this one */
	i = exports_first_at(x, start - (JMP_SIZE - 1));
	while (i < x->n_functions && x->list[x->by_addr[i]].addr < start + PAGE) {
		u64 addr = x->list[x->by_addr[i]].addr;
		u64 to = agreed_target(x, &i, target, arg);
		s64 dist = (s64)(to - (shadow + (addr - k->text_start)) - JMP_SIZE);
		u8 jmp[JMP_SIZE] = { 0xe9 };

		if (!to || dist < INT32_MIN || dist > INT32_MAX)
			continue;
		store_u32(jmp + 1, (u32)dist);
		for (u64 j = 0; j < JMP_SIZE; j++)
			if (addr + j >= start && addr + j < start + PAGE)
				page[addr + j - start] = jmp[j];
		entries += addr >= start;
	}
	return entries;
}

static int u32_ascending(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

size_t shadow_pages_used(const struct link_plan *p, u32 *pages, size_t max)
{
	u32 *all = calloc(2 * p->n_imports + 1, sizeof(*all));
	size_t n = 0, unique = 0;

	if (!all)
		return SIZE_MAX;
	for (size_t i = 0; i < p->n_imports; i++) {
		const struct import *im = &p->imports[i];
		u64 off;

		if (im->target != TARGET_SHADOW || im->critical)
			continue;
		off = im->export->addr - p->kernel->text_start;
		all[n++] = (u32)(off / PAGE);
		if (off % PAGE > PAGE - JMP_SIZE)
			all[n++] = (u32)(off / PAGE) + 1;
	}
	qsort(all, n, sizeof(*all), u32_ascending);
	for (size_t i = 0; i < n; i++) {
		if (i && all[i] == all[i - 1])
			continue;
		if (unique < max)
			pages[unique] = all[i];
		unique++;
	}
	free(all);
	return unique;
}
