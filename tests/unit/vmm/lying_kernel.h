/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plays a guest kernel that lies in all of its structures: a machine whose RAM holds page tables,
 * an arena and the kernel's symbols, and steps that write into them. Offsets and addresses are
 * those of a real kernel ($UMBRA_TEST_IMAGES/cloud/vmlinuz), whose members and symbols a step names
 * by their number, so that an input means the same with every build of the kernel.
 *
 * The vCPU never runs, so /dev/kvm has only to be there.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_LYING_KERNEL_H
#define UMBRA_TESTS_UNIT_VMM_LYING_KERNEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/kernel.h"
#include "vmm/machine/machine.h"
#include "vmm/session/session.h"

#define LYING_TABLES   0x100000ULL /* guest-physical: all page tables but the top one */
#define LYING_ARENA    0x200000ULL
#define LYING_SIZE     0x40000ULL
#define LYING_IMAGE    0x1000000ULL
#define LYING_KASLR    0x4000000ULL
#define LYING_VA       0xffffffffc0000000ULL /* of the arena: the begin of the module space */
#define LYING_SPARE    (16U << 20)	     /* bytes of RAM that nothing uses */
#define LYING_PRESENT  1ULL
#define LYING_LARGE    0x80ULL
#define LYING_SYMBOL   4096U /* bytes from a symbol on that steps write */
#define LYING_N_TABLES 5

enum lying_table { LYING_TOP, LYING_PUD, LYING_PMD_IMAGE, LYING_PMD_MODULES, LYING_PTE };

/* Variables of the kernel; a list's has the number of the member that its pointers point to. */
static const struct {
	const char *name;
	int list;
} lying_symbols[] = {
	{ "modules", 0 }, { "kprobe_table", 1 },  { "ftrace_ops_trampoline_list", 2 },
	{ "pv_ops", -1 }, { "init_top_pgt", -1 }, { "__pgtable_l5_enabled", -1 },
};

/* With the structure that the other lies in, and where. */
static const struct {
	const char *strct, *member, *outer, *at;
} lying_members[] = {
	{ "module", "list", NULL, NULL }, /* 0 */
	{ "kprobe", "hlist", NULL, NULL },
	{ "ftrace_ops", "list", NULL, NULL },
	{ "module", "name", NULL, NULL },
	{ "module_layout", "base", "module", "core_layout" }, /* 4 */
	{ "module_layout", "size", "module", "core_layout" },
	{ "module_layout", "text_size", "module", "core_layout" },
	{ "module", "syms", NULL, NULL },
	{ "module", "num_syms", NULL, NULL }, /* 8 */
	{ "module", "gpl_syms", NULL, NULL },
	{ "module", "num_gpl_syms", NULL, NULL },
	{ "module", "sect_attrs", NULL, NULL },
	{ "module_sect_attrs", "nsections", NULL, NULL }, /* 12 */
	{ "module_sect_attr", "address", "module_sect_attrs", "attrs" },
	{ "module_sect_attr", "battr", "module_sect_attrs", "attrs" },
	{ "module", "static_call_sites", NULL, NULL },
	{ "module", "num_static_call_sites", NULL, NULL }, /* 16 */
	{ "static_call_key", "func", NULL, NULL },
	{ "kprobe", "addr", NULL, NULL },
	{ "kprobe", "opcode", NULL, NULL },
	{ "arch_optimized_insn", "copied_insn", "optimized_kprobe", "optinsn" }, /* 20 */
	{ "arch_optimized_insn", "insn", "optimized_kprobe", "optinsn" },
	{ "ftrace_ops", "trampoline", NULL, NULL },
	{ "ftrace_ops", "trampoline_size", NULL, NULL },
};

struct lying_kernel {
	struct machine *m;
	struct kernel *k;
	struct sessions s;
	u8 *arena, *tables[LYING_N_TABLES], *symbols[ARRAY_SIZE(lying_symbols)];
	u64 symbol_vas[ARRAY_SIZE(lying_symbols)];
	u32 members[ARRAY_SIZE(lying_members)];
	u64 spare;	/* guest-physical */
	u64 targets[4]; /* addresses that steps choose, for the functions under test */
	unsigned n_targets;
};

struct lying_step {
	u8 what, which;
	u16 at; /* of 4 bytes each */
	u32 value;
};

static inline u8 *lying_gpa(struct lying_kernel *g, u64 gpa, size_t len)
{
	u8 *p = machine_gpa(g->m, gpa, len);

	if (!p)
		abort();
	return p;
}

static inline void lying_find_symbols(struct lying_kernel *g)
{
	const struct kernel_layout *l = kernel_layout(g->k);
	u32 size, outer;

	for (size_t i = 0; i < ARRAY_SIZE(lying_symbols); i++) {
		u64 at = kernel_symbol(g->k, lying_symbols[i].name);

		/* one that this kernel lacks is somewhere else: steps may write there */
		g->symbol_vas[i] = at ? at + LYING_KASLR : LYING_VA;
		at = at ? at - l->link_text + LYING_IMAGE : LYING_ARENA;
		g->symbols[i] = lying_gpa(g, at, LYING_SYMBOL);
		if (!strcmp(lying_symbols[i].name, "init_top_pgt"))
			g->tables[LYING_TOP] = g->symbols[i];
	}
	for (size_t i = 0; i < ARRAY_SIZE(lying_members); i++) {
		if (kernel_member(g->k, lying_members[i].strct, lying_members[i].member,
				  &g->members[i], &size))
			continue;
		if (lying_members[i].outer && !kernel_member(g->k, lying_members[i].outer,
							     lying_members[i].at, &outer, &size))
			g->members[i] += outer;
	}
}

/* Opens the kernel; false: there is none here, and nothing to be tried. */
static inline bool lying_kernel_open(struct lying_kernel *g)
{
	const char *dir = getenv("UMBRA_TEST_IMAGES");
	struct machine_config c = { .cpus = 1 };
	const struct kernel_layout *l;
	struct err e = { "" };
	char path[512];

	snprintf(path, sizeof(path), "%s/cloud/vmlinuz", dir ? dir : "build/images");
	if (kernel_open(&g->k, path, false, &e)) {
		fprintf(stderr, "not tried: %s\n", e.text);
		return false;
	}
	l = kernel_layout(g->k);
	g->spare = ALIGN_UP(LYING_IMAGE + l->span + LYING_SYMBOL, 2ULL << 20);
	c.memory = g->spare + LYING_SPARE;
	if (kernel_load_symbols(g->k, &e) || machine_create(&g->m, &c, &e)) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	machine_set_kernel(g->m, g->k, LYING_IMAGE, LYING_KASLR);
	g->s = (struct sessions){ .m = g->m, .k = g->k, .kaslr = LYING_KASLR };
	g->arena = lying_gpa(g, LYING_ARENA, LYING_SIZE);
	lying_find_symbols(g);
	for (unsigned i = LYING_PUD; i < LYING_N_TABLES; i++)
		g->tables[i] = lying_gpa(g, LYING_TABLES + i * 4096ULL, 4096);
	return true;
}

static inline void lying_kernel_close(struct lying_kernel *g)
{
	machine_destroy(g->m);
	kernel_close(g->k);
}

static inline void lying_set_entry(struct lying_kernel *g, enum lying_table t, unsigned i,
				   u64 entry)
{
	memcpy(g->tables[t] + i * 8, &entry, sizeof(entry));
}

/* Maps memory as the kernel would have it: the image by large pages, the arena by small ones. */
static inline void lying_kernel_reset(struct lying_kernel *g)
{
	const u64 at = kernel_layout(g->k)->link_text + LYING_KASLR - 0xffffffff80000000ULL;

	memset(g->arena, 0, LYING_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(lying_symbols); i++)
		memset(g->symbols[i], 0, LYING_SYMBOL);
	for (unsigned i = LYING_PUD; i < LYING_N_TABLES; i++)
		memset(g->tables[i], 0, 4096);
	lying_set_entry(g, LYING_TOP, 511, LYING_TABLES + LYING_PUD * 4096ULL + LYING_PRESENT);
	lying_set_entry(g, LYING_PUD, 510,
			LYING_TABLES + LYING_PMD_IMAGE * 4096ULL + LYING_PRESENT);
	lying_set_entry(g, LYING_PUD, 511,
			LYING_TABLES + LYING_PMD_MODULES * 4096ULL + LYING_PRESENT);
	for (unsigned i = 0; i * (2ULL << 20) < kernel_layout(g->k)->span; i++)
		lying_set_entry(g, LYING_PMD_IMAGE, (unsigned)(at >> 21) + i,
				(LYING_IMAGE + i * (2ULL << 20)) | LYING_PRESENT | LYING_LARGE);
	lying_set_entry(g, LYING_PMD_MODULES, 0,
			LYING_TABLES + LYING_PTE * 4096ULL + LYING_PRESENT);
	for (unsigned i = 0; i < LYING_SIZE / 4096; i++)
		lying_set_entry(g, LYING_PTE, i, (LYING_ARENA + i * 4096ULL) | LYING_PRESENT);
	memset(g->targets, 0, sizeof(g->targets));
	g->n_targets = 0;
}

/*
 * Makes an address out of a step: of a variable of the kernel, any of the last 2 GiB, where the
 * kernel lies, or in the arena; what & 32: of the member there.
 */
static inline u64 lying_address(const struct lying_kernel *g, const struct lying_step *x)
{
	if (x->what & 16)
		return g->symbol_vas[x->value % ARRAY_SIZE(lying_symbols)];
	if (x->what & 8)
		return (u64)(s64)(s32)(x->value | 0x80000000U);
	return LYING_VA + x->value % LYING_SIZE +
	       (x->what & 32 ? g->members[x->which % ARRAY_SIZE(lying_members)] : 0);
}

static inline void lying_put(struct lying_kernel *g, u64 at, const void *bytes, size_t len)
{
	if (at <= LYING_SIZE - len)
		memcpy(g->arena + at, bytes, len);
}

/* Writes a variable; a list's head points to a member of what is in the list. */
static inline void lying_put_symbol(struct lying_kernel *g, unsigned i, u64 at, u64 address)
{
	if (lying_symbols[i].list >= 0)
		address += g->members[lying_symbols[i].list];
	memcpy(g->symbols[i] + at % LYING_SYMBOL / 8 * 8, &address, sizeof(address));
}

/* Writes a call or jump to the step's address at @at of the arena. */
static inline void lying_put_branch(struct lying_kernel *g, u64 at, const struct lying_step *x)
{
	u8 code[5] = { x->which & 1 ? 0xe9 : 0xe8 };
	u32 rel = (u32)(lying_address(g, x) - (LYING_VA + at + sizeof(code)));

	memcpy(code + 1, &rel, sizeof(rel));
	lying_put(g, at, code, sizeof(code));
}

static inline void lying_kernel_step(struct lying_kernel *g, const struct lying_step *x)
{
	u64 at = (u64)x->at * 4, address = lying_address(g, x), member, entry;

	switch (x->what & 7) {
	case 0:
		lying_put(g, at, &x->value, sizeof(x->value));
		break;
	case 1:
		lying_put(g, at, &address, sizeof(address));
		break;
	case 2: /* a word into a structure that begins at @at */
		lying_put(g, at + g->members[x->which % ARRAY_SIZE(lying_members)], &x->value,
			  sizeof(x->value));
		break;
	case 3: /* a pointer in it */
		member = g->members[x->which % ARRAY_SIZE(lying_members)];
		lying_put(g, at + member, &address, sizeof(address));
		break;
	case 4: /* a variable of the kernel */
		lying_put_symbol(g, x->which % ARRAY_SIZE(lying_symbols), at, address);
		break;
	case 5: /* what & 8: of an address that a processor would not take */
		entry = x->value | (x->what & 8 ? 0x7fULL << 44 : 0);
		lying_set_entry(g, x->which % LYING_N_TABLES, x->at % 512, entry);
		break;
	case 6:
		lying_put_branch(g, at + (x->which >> 1 & 3), x);
		break;
	default:
		g->targets[g->n_targets++ % ARRAY_SIZE(g->targets)] = address;
		break;
	}
}

static inline void lying_kernel_steps(struct lying_kernel *g, const u8 *data, size_t size)
{
	struct lying_step x;

	lying_kernel_reset(g);
	for (; size >= sizeof(x); data += sizeof(x), size -= sizeof(x)) {
		memcpy(&x, data, sizeof(x));
		lying_kernel_step(g, &x);
	}
}

#endif
