// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes entries: where a driver's calls of the kernel's functions arrive.
 *
 * An own entry is changed while vCPUs run it. The word that is swapped, a jump's displacement, is
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

#define GATE_AT	   8 /* of the gate entry in an own entry: behind the jump */
#define GATE_BYTES 11

/* Writes `mov $id, %r11d; jmp umbra_gate_common`. */
static int put_gate(struct gate *g, u8 *to, u64 va, unsigned caller, u32 fn)
{
	u64 gate = atomic_load(&g->gate_va);

	if (!gate)
		return -ERANGE;
	to[0] = 0x41;
	to[1] = 0xbb;
	store_u32(to + 2, UMBRA_ID(caller, fn));
	return x86_jump(to + 6, va + 6, gate + (u64)(umbra_gate_common - umbra_gate_blob))
		       ? 0
		       : -ERANGE;
}

int gate_entry(struct gate *g, u8 *entry, u64 va, unsigned caller, const struct catalog_fn *fn)
{
	memset(entry, 0xcc, UMBRA_GATE_ENTRY);
	return put_gate(g, entry, va, caller, catalog_index(fn));
}

int gate_own_entry(struct gate *g, const struct own_entry *en, unsigned caller, bool to_gate)
{
	int ret = 0;

	_Static_assert(GATE_AT + GATE_BYTES <= UMBRA_OWN_ENTRY, "both halves fit");
	_Static_assert((UMBRA_OWN_ENTRY_AT + 1) % 4 == 0 && UMBRA_OWN_ENTRY % 4 == 0,
		       "the displacement is aligned");
	memset(en->at, 0xcc, UMBRA_OWN_ENTRY);
	if (!x86_jump(en->at + UMBRA_OWN_ENTRY_AT, en->va + UMBRA_OWN_ENTRY_AT, en->real))
		return -ERANGE;
	if (en->fn != GATE_NO_FN)
		ret = put_gate(g, en->at + GATE_AT, en->va + GATE_AT, caller, en->fn);
	if (!ret)
		gate_own_entry_turn(en, to_gate);
	return ret;
}

/* Swaps the word; the caller knows that @to is in reach. */
static void lead_to(const struct own_entry *en, u64 to)
{
	u32 *word = (u32 *)(void *)(en->at + UMBRA_OWN_ENTRY_AT + 1);

	__atomic_store_n(word, (u32)(to - (en->va + GATE_AT)), __ATOMIC_RELEASE);
}

void gate_own_entry_turn(const struct own_entry *en, bool to_gate)
{
	assert(!to_gate || en->fn != GATE_NO_FN);
	_Static_assert(UMBRA_OWN_ENTRY_AT + X86_JUMP == GATE_AT, "the gate is behind the jump");
	lead_to(en, to_gate ? en->va + GATE_AT : en->real);
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
	int ret = put_gate(g, en->at + GATE_AT, en->va + GATE_AT, caller, fn);

	if (!ret)
		lead_to(en, en->va + GATE_AT);
	return ret;
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

u64 gate_own_entry_target(const struct own_entry *en)
{
	const u32 *word = (const u32 *)(const void *)(en->at + UMBRA_OWN_ENTRY_AT + 1);

	return en->va + GATE_AT + (u64)(s64)(s32)__atomic_load_n(word, __ATOMIC_RELAXED);
}
