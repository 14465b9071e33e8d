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

static u64 gate_address(const struct gate *g, const char *place)
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

int gate_own_entry(struct gate *g, const struct own_entry *en, unsigned caller)
{
	u8 *gate = en->at + GATE_AT;

	_Static_assert(GATE_AT + GATE_BYTES <= UMBRA_OWN_ENTRY, "both halves fit");
	_Static_assert((UMBRA_OWN_ENTRY_AT + 1) % 4 == 0 && UMBRA_OWN_ENTRY % 4 == 0 &&
			       (GATE_AT + GATE_JUMP + 1) % 4 == 0,
		       "the displacements are aligned");
	memset(en->at, 0xcc, UMBRA_OWN_ENTRY);
	if (!x86_jump(en->at + UMBRA_OWN_ENTRY_AT, en->va + UMBRA_OWN_ENTRY_AT, en->real))
		return -ERANGE;
	if (en->fn == GATE_NO_FN)
		return 0;
	gate[0] = 0x3e; /* a prefix that means nothing here, for the place of what follows */
	put_id(gate + 1, caller, en->fn);
	return gate_alive(g) && x86_jump(gate + GATE_JUMP, en->va + GATE_AT + GATE_JUMP,
					 gate_address(g, umbra_gate_common))
		       ? 0
		       : -ERANGE;
}

static void turn_jump(u8 *at, u64 va, u64 to)
{
	u32 *word = (u32 *)(void *)(at + 1);

	__atomic_store_n(word, (u32)(to - va - X86_JUMP), __ATOMIC_RELEASE);
}

void gate_own_entry_turn(struct gate *g, const struct own_entry *en, enum entry_way way)
{
	const bool few = en->fn != GATE_NO_FN && g->info->fns[en->fn].nargs <= 3 &&
			 !g->info->fns[en->fn].texts;
	const char *to = way == ENTRY_EXIT ? umbra_gate_common
			 : few		   ? umbra_gate_few
					   : umbra_gate_see;

	assert(way == ENTRY_KERNEL || en->fn != GATE_NO_FN);
	/* All lie in a page that is in reach. The second half is as it is to be when it runs. */
	if (way != ENTRY_KERNEL)
		turn_jump(en->at + GATE_AT + GATE_JUMP, en->va + GATE_AT + GATE_JUMP,
			  gate_address(g, to));
	turn_jump(en->at + UMBRA_OWN_ENTRY_AT, en->va + UMBRA_OWN_ENTRY_AT,
		  way == ENTRY_KERNEL ? en->real : en->va + GATE_AT);
}
