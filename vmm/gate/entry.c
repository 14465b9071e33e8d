// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes entries: where a driver's calls of the kernel's functions arrive.
 *
 * An own entry is changed while vCPUs run it. A word that is swapped, a jump's displacement, is
 * aligned and so within one cache line, and a processor that fetches the instruction has the whole
 * old word or the whole new one: no other byte of it ever changes. The kernel's own text_poke() is
 * more careful, because it changes whole instructions.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/little_endian.h"
#include "base/x86_insn.h"
#include "guest-shim/gate_blob.h"
#include "vmm/gate/gate_int.h"

#define GATE_AT	   8 /* of the second half, behind the jump */
#define GATE_BYTES 12
#define GATE_JUMP  7 /* of the jump in the second half */

static u64 gate_address(struct gate *g, const char *place)
{
	return atomic_load(&g->gate_va) + (u64)(place - umbra_gate_blob);
}

/* Writes `mov $id, %r11d`. */
static void put_id(u8 *to, unsigned caller, u32 fn)
{
	to[0] = 0x41;
	to[1] = 0xbb;
	store_u32(to + 2, UMBRA_ID(caller, fn));
}

int gate_entry(struct gate *g, u8 *entry, u64 va, unsigned caller, const struct catalog_fn *fn)
{
	memset(entry, 0xcc, UMBRA_GATE_ENTRY);
	put_id(entry, caller, catalog_index(fn));
	return gate_alive(g) && x86_jump(entry + 6, va + 6, gate_address(g, umbra_gate_common))
		       ? 0
		       : -ERANGE;
}

/* Returns true if an entry's second half at @va reaches all that it may lead to. */
static bool in_reach(const struct gate *g, u64 va)
{
	const u64 to[] = { g->see_va, g->few_va };

	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		const s64 rel = (s64)(to[i] - va - X86_JUMP);

		if (rel != (s32)rel)
			return false;
	}
	return true;
}

/* Writes `ds mov $id, %r11d; jmp umbra_gate_common` behind the entry's jump. */
static bool put_second_half(struct gate *g, const struct own_entry *en, unsigned caller, u32 fn)
{
	const u64 va = en->va + GATE_AT + GATE_JUMP;
	u8 *gate = en->at + GATE_AT;

	if (!gate_alive(g) || !in_reach(g, va))
		return false;
	gate[0] = 0x3e; /* a prefix that means nothing here, for the place of what follows */
	put_id(gate + 1, caller, fn);
	return x86_jump(gate + GATE_JUMP, va, gate_address(g, umbra_gate_common));
}

int gate_own_entry(struct gate *g, const struct own_entry *en, unsigned caller)
{
	_Static_assert(GATE_AT + GATE_BYTES <= UMBRA_OWN_ENTRY, "both halves fit");
	_Static_assert((UMBRA_OWN_ENTRY_AT + 1) % 4 == 0 && UMBRA_OWN_ENTRY % 4 == 0 &&
			       (GATE_AT + GATE_JUMP + 1) % 4 == 0,
		       "the displacements are aligned");
	memset(en->at, 0xcc, UMBRA_OWN_ENTRY);
	if (!x86_jump(en->at + UMBRA_OWN_ENTRY_AT, en->va + UMBRA_OWN_ENTRY_AT, en->real))
		return -ERANGE;
	return en->fn == GATE_NO_FN || put_second_half(g, en, caller, en->fn) ? 0 : -ERANGE;
}

static void turn_jump(u8 *at, u64 va, u64 to)
{
	u32 *word = (u32 *)(void *)(at + 1);

	__atomic_store_n(word, (u32)(to - va - X86_JUMP), __ATOMIC_RELEASE);
}

/* Has the entry lead to @to; the caller knows that this is in reach. */
static void lead_to(const struct own_entry *en, u64 to)
{
	turn_jump(en->at + UMBRA_OWN_ENTRY_AT, en->va + UMBRA_OWN_ENTRY_AT, to);
}

void gate_own_entry_turn(struct gate *g, const struct own_entry *en, enum entry_way way)
{
	const bool few = en->fn != GATE_NO_FN && g->info->fns[en->fn].nargs <= 3 &&
			 !g->info->fns[en->fn].texts;
	const u64 to = way == ENTRY_EXIT ? gate_address(g, umbra_gate_common)
		       : few		 ? g->few_va
					 : g->see_va;

	assert(way == ENTRY_KERNEL || en->fn != GATE_NO_FN);
	/* The second half is as it is to be when it runs. */
	if (way != ENTRY_KERNEL)
		turn_jump(en->at + GATE_AT + GATE_JUMP, en->va + GATE_AT + GATE_JUMP, to);
	lead_to(en, way == ENTRY_KERNEL ? en->real : en->va + GATE_AT);
}

void gate_inward_entry(const struct own_entry *en)
{
	memset(en->at, 0xcc, UMBRA_OWN_ENTRY);
	x86_jump(en->at + UMBRA_OWN_ENTRY_AT, en->va + UMBRA_OWN_ENTRY_AT, en->va);
}

static bool lead_to_if_near(const struct own_entry *en, u64 to)
{
	const s64 rel = (s64)(to - (en->va + GATE_AT));

	if (rel != (s32)rel)
		return false;
	lead_to(en, to);
	return true;
}

bool gate_inward_entry_lead(const struct own_entry *en)
{
	return lead_to_if_near(en, en->real);
}

int gate_inward_entry_watch(struct gate *g, const struct own_entry *en, unsigned caller, u32 fn)
{
	/* The same bytes each time, as the number lasts as long as the pages. */
	if (!put_second_half(g, en, caller, fn))
		return -ERANGE;
	lead_to(en, en->va + GATE_AT);
	return 0;
}

u64 gate_closed_va(struct gate *g, enum gate_closed how)
{
	const char *to = how == GATE_REFUSES ? umbra_gate_refuse : umbra_gate_nothing;
	const u64 gate = atomic_load(&g->gate_va);

	return gate ? gate + (u64)(to - umbra_gate_blob) : 0;
}

bool gate_own_entry_close(struct gate *g, const struct own_entry *en, enum gate_closed how)
{
	return lead_to_if_near(en, gate_closed_va(g, how));
}

void gate_own_entry_lead(const struct own_entry *en, u64 closed)
{
	if (!closed || !lead_to_if_near(en, closed))
		lead_to(en, en->real);
}

u64 gate_own_entry_target(const struct own_entry *en)
{
	const u32 *word = (const u32 *)(const void *)(en->at + UMBRA_OWN_ENTRY_AT + 1);

	return en->va + GATE_AT + (u64)(s64)(s32)__atomic_load_n(word, __ATOMIC_RELAXED);
}
