// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/where.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel.h"

#define MARK "RIP 0x"

void where_text(struct vcpu *v, char *buf, size_t len)
{
	snprintf(buf, len, MARK "%" PRIx64, (u64)vcpu_regs(v)->rip);
}

/* Addresses are only known if the kernel was placed by us. */
static struct kernel *placed_kernel(const struct machine *m)
{
	struct kernel *k = machine_kernel(m);

	return k && machine_kernel_phys(m) ? k : NULL;
}

void where_symbolize(const struct machine *m, const char *line, char *buf, size_t len)
{
	struct kernel *k = placed_kernel(m);
	const char *mark = strstr(line, MARK);
	u64 rip, start, end, offset = 0;
	const char *name = NULL;
	char *after;

	snprintf(buf, len, "%s", line);
	if (!k || !mark)
		return;
	rip = strtoull(mark + strlen(MARK), &after, 16);
	rip -= machine_kaslr(m);
	if (kernel_load_symbols(k, NULL))
		return;
	kernel_text(k, &start, &end);
	if (rip >= start && rip < end)
		name = kernel_symbolize(k, rip, &offset);
	if (name)
		snprintf(buf, len, "%.*s (%s+0x%" PRIx64 ")%s", (int)(after - line), line, name,
			 offset, after);
}

u64 where_symbol_phys(const struct machine *m, const char *name)
{
	struct kernel *k = placed_kernel(m);
	u64 addr, text;

	if (!k || kernel_load_symbols(k, NULL))
		return 0;
	addr = kernel_symbol(k, name);
	text = kernel_layout(k)->link_text;
	return addr >= text ? machine_kernel_phys(m) + (addr - text) : 0;
}
