// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decodes a loaded driver's text from guest memory, and classifies each direct branch in it; and
 * checks that its inward entries are there and lead into it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/x86_insn.h"
#include "vmm/machine/guest_read.h"
#include "vmm/machine/machine.h"
#include "vmm/session/guest_module.h"
#include "vmm/session/kernel_patches.h"
#include "vmm/session/real_modules.h"
#include "vmm/session/verify.h"

#define SECTIONS_MAX   256
#define VIOLATIONS_MAX 100
/*
 * Branches that lead out of the driver: looking where takes about a microsecond each, on the loop's
 * thread. The largest drivers of stock kernels have some 150,000.
 */
#define LEAVING_MAX (1U << 19)

struct check {
	struct sessions *s;
	const struct driver *d;
	struct guest_module mod;
	struct guest_section sections[SECTIONS_MAX];
	size_t n_sections;
	struct kernel_patches *patches;
	struct real_modules *real;
	struct guest_module *others; /* the session's other drivers */
	size_t n_others;
	u64 inward; /* inward entries that hold */
	u64 leaving, local, shadow, gate, session, patched, permitted, indirect, undecoded;
	json_t *violations;
};

/* Returns true if the guest's page table leads @target to @gpa, where the VMM has put it. */
static bool is_mapped_to(const struct check *c, u64 target, u64 gpa)
{
	u64 is, left;

	return !guest_translate(c->s->m, target, &is, &left) && is == gpa;
}

/* Returns true for an address of @d's own pages that stands for a function of @d. */
static bool is_inward_entry(const struct check *c, const struct driver *d, u64 target)
{
	const u64 first = inward_entry_va(d, 0), off = target - first;
	const u64 i = off / 4096 * UMBRA_OWN_ENTRIES_PAGE + off % 4096 / UMBRA_OWN_ENTRY;

	return target >= first && i < d->n_inward && target == inward_entry_va(d, i) &&
	       is_mapped_to(c, target,
			    d->own.maps[(target - d->own.va) / 4096].gpa + target % 4096);
}

/*
 * Returns true for a branch into the driver's own pages that leads to an entry of it. Its own
 * functions are called by their inward entries where the address was handed to the kernel, which
 * patches it into a call (static_call_update()).
 */
static bool is_dense_entry(struct check *c, u64 target)
{
	const struct driver *d = c->d;
	const u64 off = target - d->own.va, slot = off % 4096 / UMBRA_OWN_ENTRY;
	const u64 i = off / 4096 * UMBRA_OWN_ENTRIES_PAGE + slot;

	if (off / 4096 >= own_pages_outward(d)) {
		if (!is_inward_entry(c, d, target))
			return false;
		c->local++;
		return true;
	}
	if (off % 4096 % UMBRA_OWN_ENTRY != UMBRA_OWN_ENTRY_AT || slot >= UMBRA_OWN_ENTRIES_PAGE ||
	    i >= d->n_entries || !is_mapped_to(c, target, d->own.maps[off / 4096].gpa + off % 4096))
		return false;
	if (driver_entry_is_gate(d, i))
		c->gate++;
	else
		c->shadow++;
	return true;
}

/*
 * Returns true for a branch into the session's range that leads to an entry of the shadow, or to a
 * gate of this very driver.
 */
static bool is_own_entry(struct check *c, u64 target)
{
	const struct session *ss = c->d->session;
	u64 off = target - ss->va, page = off / 4096;

	if (!ss->page_gpa[page] || !is_mapped_to(c, target, ss->page_gpa[page] + off % 4096))
		return false;
	if (page >= ss->text_pages) {
		if (page - ss->text_pages != c->d->own_page || off % UMBRA_GATE_ENTRY ||
		    off % 4096 / UMBRA_GATE_ENTRY >= c->d->n_entries)
			return false;
		c->gate++;
		return true;
	}
	c->shadow++;
	return true;
}

/*
 * Finds where the session's other drivers lie, once for a check: the list is the guest's and may be
 * long.
 */
static int check_find_others(struct check *c, struct err *e)
{
	const struct driver *o;
	size_t n = 0;

	for (o = c->d->session->drivers; o; o = o->next)
		n++;
	c->others = calloc(n + 1, sizeof(*c->others));
	if (!c->others)
		return err_set(e, -ENOMEM, "out of memory");
	for (o = c->d->session->drivers; o; o = o->next) {
		if (o != c->d && o->state == DRIVER_LOADED &&
		    !guest_module_find(c->s, o->guest_name, &c->others[c->n_others], NULL))
			c->n_others++;
	}
	return 0;
}

static bool in_session_driver(const struct check *c, u64 target)
{
	const struct driver *o;
	size_t i;

	for (i = 0; i < c->n_others; i++)
		if (target - c->others[i].base < c->others[i].text)
			return true;
	for (o = c->d->session->drivers; o; o = o->next)
		if (o != c->d && o->own.n && is_inward_entry(c, o, target))
			return true;
	return false;
}

/* Notes that what is at @from, for people, leads to @target and must not. */
static void verify_violation(struct check *c, const char *from, u64 target)
{
	char to[32], symbol[160] = "";
	u64 off = 0;
	const char *name = kernel_symbolize(c->s->k, target - c->s->kaslr, &off);

	if (json_array_size(c->violations) >= VIOLATIONS_MAX)
		return;
	snprintf(to, sizeof(to), "0x%" PRIx64, target);
	if (name)
		snprintf(symbol, sizeof(symbol), "%s+0x%" PRIx64, name, off);
	json_array_append_new(c->violations, json_pack("{s:s, s:s, s:s}", "at", from, "target", to,
						       "symbol", symbol));
}

static void branch_violation(struct check *c, u64 at, u64 target)
{
	char from[32];

	snprintf(from, sizeof(from), "+0x%" PRIx64, at - c->mod.base);
	verify_violation(c, from, target);
}

/*
 * Returns true if the guest finds the driver's @i-th inward entry where the host has put it, and it
 * leads to what it is for. A function of the init's part lies in memory that is freed by now.
 */
static bool inward_entry_holds(const struct check *c, size_t i, u64 to)
{
	const struct inward_entry *in = &c->d->inward[i];
	enum gate_closed how;

	if (c->d->closed && inward_entry_closes(c->d, i, &how) &&
	    to == gate_closed_va(c->s->gate, how))
		to = in->target;
	if (in->watch && to == inward_entry_va(c->d, i) + X86_JUMP)
		to = in->target; /* by the gate, whose descriptor is the VMM's */
	return is_inward_entry(c, c->d, inward_entry_va(c->d, i)) && in->target &&
	       to == in->target && (in->in_init || to - c->mod.base < c->mod.text);
}

static void check_inward(struct check *c)
{
	char from[128];

	for (size_t i = 0; c->d->own.n && i < c->d->n_inward; i++) {
		const struct own_entry en = inward_own_entry(c->d, i);
		const u64 to = gate_own_entry_target(&en);

		if (inward_entry_holds(c, i, to)) {
			c->inward++;
			continue;
		}
		snprintf(from, sizeof(from), "the inward entry of %.80s()", c->d->inward[i].symbol);
		verify_violation(c, from, to);
	}
}

static void classify_branch(struct check *c, u64 at, u64 target)
{
	const struct session *ss = c->d->session;
	enum export_use use;

	if (target - c->mod.base < c->mod.size) {
		c->local++;
		return;
	}
	if (++c->leaving > LEAVING_MAX)
		return;
	if (target - c->d->own.va < (u64)c->d->own.n * 4096) {
		if (!is_dense_entry(c, target))
			branch_violation(c, at, target);
		return;
	}
	if (ss->va && target - ss->va < ((u64)ss->text_pages + GATE_PAGES) * 4096) {
		if (!is_own_entry(c, target))
			branch_violation(c, at, target);
		return;
	}
	if (in_session_driver(c, target)) {
		c->session++;
		return;
	}
	use = kernel_patches_export(c->patches, ss->policy, target);
	if (use == USE_SPECIAL || kernel_patches_lead(c->patches, at, target))
		c->patched++;
	else if (use == USE_PERMITTED || real_modules_permit(c->real, ss->policy, target))
		c->permitted++;
	else
		branch_violation(c, at, target);
}

static int sections_by_address(const void *a, const void *b)
{
	const struct guest_section *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* Returns how many of the bytes are left when the zeros at the end are taken off. */
static size_t without_padding(const u8 *p, size_t n)
{
	while (n && !p[n - 1])
		n--;
	return n;
}

/*
 * Decodes a section linearly. The kernel's modules are built without jump tables, so text holds
 * nothing but instructions and padding, and each section begins with an instruction. The loader's
 * padding behind a section is zero; a branch whose last bytes are zero belongs to the section, so
 * that padding is looked for between instructions only. Bytes that do not decode are counted, never
 * passed over in silence.
 */
static void decode_range(struct check *c, const u8 *p, size_t left, u64 va)
{
	const size_t used = without_padding(p, left);
	struct x86_insn in;

	for (size_t at = 0; at < used; at += in.length) {
		if (x86_decode(p + at, left - at, &in)) {
			c->undecoded++;
			in = (struct x86_insn){ .length = 1 };
		}
		if (in.kind == X86_DIRECT)
			classify_branch(c, va + at, va + at + in.length + (u64)(s64)in.rel);
		c->indirect += in.kind == X86_INDIRECT;
	}
}

static int decode_text(struct check *c, struct err *e)
{
	const u64 base = c->mod.base, end = base + c->mod.text;
	u64 from = base;
	u8 *text = malloc(c->mod.text + 1);
	size_t i;

	if (!text)
		return err_set(e, -ENOMEM, "%s: out of memory", c->d->guest_name);
	if (guest_read(c->s->m, base, text, c->mod.text)) {
		free(text);
		return err_set(e, -EFAULT, "%s: cannot read its text", c->d->guest_name);
	}
	c->patched += kernel_patches_undo_probes(c->patches, &c->mod, text);
	qsort(c->sections, c->n_sections, sizeof(*c->sections), sections_by_address);
	for (i = 0; i <= c->n_sections; i++) {
		u64 to = i < c->n_sections ? c->sections[i].addr : end;

		if (to <= from || to > end)
			continue;
		decode_range(c, text + (from - base), (size_t)(to - from), from);
		from = to;
	}
	free(text);
	if (c->leaving > LEAVING_MAX)
		return err_set(e, -E2BIG,
			       "text of %s has more than %u branches out of it, too many to check",
			       c->d->guest_name, LEAVING_MAX);
	return 0;
}

static json_t *describe_check(const struct check *c)
{
	char base[32];

	snprintf(base, sizeof(base), "0x%" PRIx64, c->mod.base);
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:I, s:O, s:I}",
		"session", c->d->session->name, "driver", c->d->name, "module", c->d->guest_name,
		"base", base, "text", (json_int_t)c->mod.text, "branches", "local",
		(json_int_t)c->local, "shadow", (json_int_t)c->shadow, "gate", (json_int_t)c->gate,
		"session", (json_int_t)c->session, "patched", (json_int_t)c->patched, "permitted",
		(json_int_t)c->permitted, "indirect", (json_int_t)c->indirect, "inward",
		(json_int_t)c->inward, "violations", c->violations, "undecoded",
		(json_int_t)c->undecoded);
}

int verify_driver(struct sessions *s, const struct driver *d, json_t **report, struct err *e)
{
	struct check *c;
	int ret;

	if (d->state != DRIVER_LOADED)
		return err_set(e, -ENOENT, "driver %s is %s, not loaded", d->name,
			       driver_state_name(d->state));
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->s = s;
	c->d = d;
	c->violations = json_array();
	ret = guest_module_find(s, d->guest_name, &c->mod, e);
	if (!ret)
		ret = guest_module_sections(s, &c->mod, c->sections, SECTIONS_MAX, &c->n_sections,
					    e);
	if (!ret)
		ret = kernel_patches_read(s, &c->mod, &c->patches, e);
	if (!ret)
		ret = real_modules_read(s, &c->real, e);
	if (!ret)
		ret = check_find_others(c, e);
	if (!ret)
		ret = decode_text(c, e);
	if (!ret)
		check_inward(c);
	if (!ret) {
		*report = describe_check(c);
		if (!*report)
			ret = err_set(e, -ENOMEM, "out of memory");
	}
	json_decref(c->violations);
	kernel_patches_free(c->patches);
	real_modules_free(c->real);
	free(c->others);
	free(c);
	return ret;
}
