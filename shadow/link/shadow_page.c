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

#include "base/x86_insn.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/plan_int.h"

#define PAGE 4096u
#define INT3 0xcc

/*
 * Returns the target that all names at the address of kernel_function() *i agree on, or 0; moves *i
 * behind them.
 */
static u64 agreed_target(const struct kernel *k, size_t *i,
			 u64 (*target)(void *arg, const struct kernel_export *ex), void *arg)
{
	const struct kernel_export *ex = kernel_function(k, *i);
	u64 addr = ex->addr, to = target(arg, ex);

	while ((ex = kernel_function(k, ++*i)) && ex->addr == addr)
		if (target(arg, ex) != to)
			to = 0;
	return to;
}

u64 shadow_entry(const struct kernel *k, u64 shadow, const struct import *im)
{
	u64 text, text_end;

	kernel_text(k, &text, &text_end);
	return shadow + (im->export->addr - text);
}

int shadow_fill_page(const struct kernel *k, u64 shadow, u64 index, u8 page[4096],
		     u64 (*target)(void *arg, const struct kernel_export *ex), void *arg)
{
	const struct kernel_export *ex;
	u64 text, text_end, start;
	int entries = 0;
	size_t i;

	kernel_text(k, &text, &text_end);
	start = text + index * PAGE;
	memset(page, INT3, PAGE);
	if (index >= (text_end - text + PAGE - 1) / PAGE)
		return 0;
	/* an entry that begins on the page before may end on this one */
	i = kernel_function_from(k, start - (X86_JUMP - 1));
	while ((ex = kernel_function(k, i)) && ex->addr < start + PAGE) {
		u64 addr = ex->addr, to = agreed_target(k, &i, target, arg);
		u8 jmp[X86_JUMP];

		if (!to || !x86_jump(jmp, shadow + (addr - text), to))
			continue;
		for (u64 j = 0; j < X86_JUMP; j++)
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
	u64 text, text_end;

	if (!all)
		return SIZE_MAX;
	kernel_text(p->kernel, &text, &text_end);
	for (size_t i = 0; i < p->n_imports; i++) {
		const struct import *im = &p->imports[i];
		u64 off;

		if (im->target != TARGET_SHADOW || im->critical)
			continue;
		off = im->export->addr - text;
		all[n++] = (u32)(off / PAGE);
		if (off % PAGE > PAGE - X86_JUMP)
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
