// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the targets of the branches that the guest's kernel patches in, and compares branches with
 * them.
 */
#include "vmm/session/kernel_patches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "base/x86_insn.h"
#include "policy/policy.h"
#include "shadow/kernel/kernel.h"
#include "vmm/machine/guest_read.h"
#include "vmm/session/session.h"

#define PV_OPS_MAX	512
#define STUBS_MAX	16
#define TRAMPOLINES_MAX 64
#define TRAMPOLINE_MAX	4096
#define PROBE_BUCKETS	64 /* KPROBE_TABLE_SIZE */
#define PROBES_MAX	65536
#define INT3		0xcc
#define JMP_REL32	0xe9

struct export_address {
	u64 addr;
	const struct kernel_export *export;
};

struct kernel_patches {
	struct sessions *s;
	struct export_address *exports; /* sorted */
	size_t n_exports;
	u64 pv_ops[PV_OPS_MAX];
	size_t n_pv_ops;
	u64 stubs[STUBS_MAX + TRAMPOLINES_MAX];
	size_t n_stubs;
	struct guest_call *calls; /* of the module, sorted by site */
	size_t n_calls;
};

static int kernel_exports_by_address(const void *a, const void *b)
{
	const struct export_address *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

static int read_exports(struct kernel_patches *p)
{
	const struct kernel_export *all;
	size_t i, n;

	all = kernel_exports(p->s->k, &n);
	p->exports = calloc(n + 1, sizeof(*p->exports));
	if (!p->exports)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if (all[i].class == SYMBOL_FUNCTION || all[i].class == SYMBOL_SPECIAL)
			p->exports[p->n_exports++] =
				(struct export_address){ all[i].addr + p->s->kaslr, &all[i] };
	qsort(p->exports, p->n_exports, sizeof(*p->exports), kernel_exports_by_address);
	return 0;
}

static int calls_by_site(const void *a, const void *b)
{
	const struct guest_call *x = a, *y = b;

	return (x->site > y->site) - (x->site < y->site);
}

static int compare_u64(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static u64 symbol_va(const struct kernel_patches *p, const char *name)
{
	u64 addr = kernel_symbol(p->s->k, name);

	return addr ? addr + p->s->kaslr : 0;
}

/* Reads the paravirtual operations; a kernel without them has none to patch in. */
static void read_pv_ops(struct kernel_patches *p)
{
	u64 at = symbol_va(p, "pv_ops");
	u32 size = 0;

	if (!at || kernel_struct_size(p->s->k, "paravirt_patch_template", &size))
		return;
	if (size > sizeof(p->pv_ops))
		size = sizeof(p->pv_ops);
	if (!guest_read(p->s->m, at, p->pv_ops, size))
		p->n_pv_ops = size / sizeof(p->pv_ops[0]);
	qsort(p->pv_ops, p->n_pv_ops, sizeof(p->pv_ops[0]), compare_u64);
}

/*
 * Reads the addresses of code in the image that the kernel leads branches to by patching, whatever
 * a policy says.
 */
static void read_stubs(struct kernel_patches *p)
{
	static const char *const stubs[] = {
		"__x86_return_thunk", "zen_return_thunk",	 "retbleed_return_thunk",
		"srso_return_thunk",  "srso_alias_return_thunk", "its_return_thunk",
		"ftrace_caller",      "ftrace_regs_caller",	 "__fentry__",
	};

	_Static_assert(ARRAY_SIZE(stubs) <= STUBS_MAX, "room for all stubs");
	for (size_t i = 0; i < ARRAY_SIZE(stubs); i++) {
		u64 at = symbol_va(p, stubs[i]);

		if (at)
			p->stubs[p->n_stubs++] = at;
	}
}

/*
 * Reads the trampolines that the function tracer has made for single ops; all others share one,
 * which is in the kernel's image.
 */
static void read_trampolines(struct kernel_patches *p)
{
	u64 head = symbol_va(p, "ftrace_ops_trampoline_list"), at;
	u32 list = 0, start = 0, size = 0;

	if (!head || guest_member(p->s, "ftrace_ops", "list", &list, NULL) ||
	    guest_member(p->s, "ftrace_ops", "trampoline", &start, NULL) ||
	    guest_member(p->s, "ftrace_ops", "trampoline_size", &size, NULL) ||
	    guest_read_u64(p->s, head, &at))
		return;
	for (size_t i = 0; at != head && i < TRAMPOLINES_MAX; i++) {
		u64 code, bytes;

		if (guest_read_u64(p->s, at - list + start, &code) ||
		    guest_read_u64(p->s, at - list + size, &bytes) || guest_read_u64(p->s, at, &at))
			return;
		if (bytes <= TRAMPOLINE_MAX)
			p->stubs[p->n_stubs++] = code;
	}
}

int kernel_patches_read(struct sessions *s, const struct guest_module *m,
			struct kernel_patches **out, struct err *e)
{
	struct kernel_patches *p = calloc(1, sizeof(*p));

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->s = s;
	if (read_exports(p)) {
		kernel_patches_free(p);
		return err_set(e, -ENOMEM, "out of memory");
	}
	read_pv_ops(p);
	read_stubs(p);
	read_trampolines(p);
	qsort(p->stubs, p->n_stubs, sizeof(p->stubs[0]), compare_u64);
	p->n_calls = guest_module_static_calls(s, m, &p->calls);
	if (p->n_calls)
		qsort(p->calls, p->n_calls, sizeof(*p->calls), calls_by_site);
	*out = p;
	return 0;
}

void kernel_patches_free(struct kernel_patches *p)
{
	if (!p)
		return;
	free(p->calls);
	free(p->exports);
	free(p);
}

enum export_use kernel_patches_export(const struct kernel_patches *p,
				      const struct policy_session *ps, u64 target)
{
	size_t lo = 0, hi = p->n_exports;
	enum export_use use = USE_NONE;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->exports[mid].addr < target)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* several names may lie at one address */
	for (; lo < p->n_exports && p->exports[lo].addr == target; lo++) {
		const struct kernel_export *ex = p->exports[lo].export;

		if (policy_permitted(ps, ex->name))
			return USE_PERMITTED;
		if (policy_critical(ps, ex->name))
			return USE_NONE;
		if (ex->class == SYMBOL_SPECIAL)
			use = USE_SPECIAL;
	}
	return use;
}

/*
 * Returns true for a jump through a register and nothing else, wherever the kernel has put it for a
 * mitigation.
 */
static bool is_register_jump(const struct kernel_patches *p, u64 target)
{
	u8 code[X86_INSN_MAX];
	struct x86_insn in;
	size_t n = sizeof(code);

	while (n && guest_read(p->s->m, target, code, n))
		n /= 2;
	return !x86_decode(code, n, &in) && in.kind == X86_INDIRECT && !in.has_mem;
}

static bool address_is_among(const u64 *sorted, size_t n, u64 target)
{
	return bsearch(&target, sorted, n, sizeof(*sorted), compare_u64);
}

static bool is_static_call(const struct kernel_patches *p, u64 at, u64 target)
{
	const struct guest_call key = { .site = at }, *call;

	if (!p->n_calls)
		return false;
	call = bsearch(&key, p->calls, p->n_calls, sizeof(*p->calls), calls_by_site);
	return call && call->func == target;
}

bool kernel_patches_lead(const struct kernel_patches *p, u64 at, u64 target)
{
	return address_is_among(p->stubs, p->n_stubs, target) ||
	       address_is_among(p->pv_ops, p->n_pv_ops, target) || is_static_call(p, at, target) ||
	       is_register_jump(p, target);
}

struct probe_offsets {
	u32 hlist, addr, opcode; /* struct kprobe */
	u32 kp, optinsn;	 /* struct optimized_kprobe */
	u32 copied, insn;	 /* its optinsn */
};

static int probe_offsets(struct sessions *s, struct probe_offsets *o)
{
	int ret = guest_member(s, "kprobe", "hlist", &o->hlist, NULL);

	if (!ret)
		ret = guest_member(s, "kprobe", "addr", &o->addr, NULL);
	if (!ret)
		ret = guest_member(s, "kprobe", "opcode", &o->opcode, NULL);
	if (!ret)
		ret = guest_member(s, "optimized_kprobe", "kp", &o->kp, NULL);
	if (!ret)
		ret = guest_member(s, "optimized_kprobe", "optinsn", &o->optinsn, NULL);
	if (!ret)
		ret = guest_member(s, "arch_optimized_insn", "copied_insn", &o->copied, NULL);
	if (!ret)
		ret = guest_member(s, "arch_optimized_insn", "insn", &o->insn, NULL);
	return ret;
}

/*
 * Puts back the bytes under a probe, if it is in the text. The kernel keeps what it has replaced:
 * one byte by INT3, or five by a jump to the probe's slot.
 */
static bool undo_probe(const struct kernel_patches *p, const struct probe_offsets *o, u64 probe,
		       const struct guest_module *m, u8 *text)
{
	u64 addr, slot, optimized = probe - o->kp + o->optinsn, off;
	u8 bytes[5];
	s32 rel;

	if (guest_read_u64(p->s, probe + o->addr, &addr) ||
	    guest_read(p->s->m, probe + o->opcode, bytes, 1))
		return false;
	off = addr - m->base;
	if (off >= m->text)
		return false;
	if (text[off] == INT3) {
		text[off] = bytes[0];
		return true;
	}
	if (text[off] != JMP_REL32 || m->text - off < sizeof(bytes) ||
	    guest_read(p->s->m, optimized + o->copied, bytes + 1, 4) ||
	    guest_read_u64(p->s, optimized + o->insn, &slot))
		return false;
	rel = (s32)load_u32(text + off + 1);
	if (addr + 5 + (u64)rel != slot)
		return false;
	memcpy(text + off, bytes, sizeof(bytes));
	return true;
}

size_t kernel_patches_undo_probes(const struct kernel_patches *p, const struct guest_module *m,
				  u8 *text)
{
	u64 table = symbol_va(p, "kprobe_table"), at;
	struct probe_offsets o = { 0 };
	size_t i, walked = 0, found = 0;

	if (!table || probe_offsets(p->s, &o))
		return 0;
	for (i = 0; i < PROBE_BUCKETS; i++) {
		if (guest_read_u64(p->s, table + i * 8, &at))
			return found;
		while (at && walked++ < PROBES_MAX) {
			found += undo_probe(p, &o, at - o.hlist, m, text);
			if (guest_read_u64(p->s, at, &at))
				return found;
		}
	}
	return found;
}
