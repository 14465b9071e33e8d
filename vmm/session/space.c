// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes and frees a session's range in the guest's module space, and fills its pages with the
 * entries of this session.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "policy/catalog.h"
#include "vmm/session/driver.h"

u64 session_gate_va(const struct session *ss, unsigned page, unsigned slot)
{
	return ss->va + ((u64)ss->text_pages + page) * 4096 + (u64)slot * UMBRA_GATE_ENTRY;
}

static u8 *session_take_page(struct sessions *s, struct session *ss, unsigned index, struct err *e)
{
	u8 *hva = NULL;
	int ret = gate_page_alloc(s->gate, &ss->page_gpa[index], &hva);

	if (ret) {
		err_set(e, ret, "session %s: no room for another page of entries", ss->name);
		return NULL;
	}
	return hva;
}

/* Returns the address of the session's own entry for the catalogue's @index-th function. */
static u64 own_gate_va(const struct session *ss, size_t index)
{
	return session_gate_va(ss, (unsigned)(index / UMBRA_GATES_PER_PAGE),
			       (unsigned)(index % UMBRA_GATES_PER_PAGE));
}

/* Writes an entry for each function of the catalogue (S5). */
static int fill_own_gates(struct sessions *s, struct session *ss, struct err *e)
{
	const struct catalog_fn *all;
	size_t i, n;
	u8 *page = NULL;
	int ret;

	all = catalog_all(&n);
	if (n > OWN_GATE_PAGES * UMBRA_GATES_PER_PAGE)
		return err_set(e, -E2BIG,
			       "session %s: %zu critical functions, there are entries for %d",
			       ss->name, n, OWN_GATE_PAGES * UMBRA_GATES_PER_PAGE);
	for (i = 0; i < n; i++) {
		size_t slot = i % UMBRA_GATES_PER_PAGE;

		if (!slot)
			page = session_take_page(
				s, ss, ss->text_pages + (unsigned)(i / UMBRA_GATES_PER_PAGE), e);
		if (!page)
			return -ENOSPC;
		ret = gate_entry(s->gate, page + slot * UMBRA_GATE_ENTRY, own_gate_va(ss, i),
				 ss->caller, &all[i]);
		if (ret)
			return err_set(e, ret, "session %s: gate out of reach", ss->name);
	}
	return 0;
}

/* Forgets the range; its pages go back to the gate if the guest has @unmapped them (S4). */
static void forget_range(struct sessions *s, struct session *ss, bool unmapped)
{
	unsigned i;

	for (i = 0; i < ss->text_pages + GATE_PAGES; i++) {
		if (ss->page_gpa[i] && unmapped)
			gate_page_free(s->gate, ss->page_gpa[i]);
		ss->page_gpa[i] = 0;
	}
	if (ss->caller)
		gate_caller_remove(s->gate, ss->caller);
	ss->caller = 0;
	ss->va = 0; /* (S1) */
}

int session_take_range(struct sessions *s, struct session *ss, u64 va, struct err *e)
{
	u64 size = ((u64)ss->text_pages + GATE_PAGES) * 4096;
	int ret;

	assert(!ss->va); /* (S1), (S2) */
	/*
	 * The guest has chosen the place; it must be one that the linker can prove to be in reach.
	 */
	if (va & 4095 || va < LINK_MODULES_START || va > LINK_MODULES_END - size)
		return err_set(e, -ERANGE,
			       "session %s: the guest reserved 0x%" PRIx64
			       ", which is outside its module space",
			       ss->name, va);
	if (!ss->page_gpa)
		ss->page_gpa = calloc(ss->text_pages + (size_t)GATE_PAGES, sizeof(*ss->page_gpa));
	ret = ss->page_gpa ? gate_caller_add(s->gate, ss->policy, ss->name, "-") : -ENOMEM;
	if (ret < 0)
		return err_set(e, ret, "session %s: %s", ss->name,
			       ret == -ENOMEM ? "out of memory" : "too many drivers");
	ss->caller = (unsigned)ret;
	ss->va = va;
	ret = fill_own_gates(s, ss, e);
	if (ret)
		forget_range(s, ss, true); /* no page of it was mapped yet (S4) */
	return ret;
}

void session_free_range(struct sessions *s, struct session *ss)
{
	forget_range(s, ss, true);
}

void session_abandon_range(struct sessions *s, struct session *ss)
{
	forget_range(s, ss, false);
}

struct target_arg {
	struct sessions *s;
	struct session *ss;
};

/*
 * Returns where an entry of the shadow leads: straight to the real kernel, or for a critical
 * function to the session's own entry for it, without exception (S5).
 */
static u64 entry_target(void *arg, const struct kernel_export *ex)
{
	struct target_arg *t = arg;
	const struct catalog_fn *fn;

	if (!policy_critical(t->ss->policy, ex->name))
		return ex->addr + t->s->kaslr;
	fn = catalog_find(ex->name);
	assert(fn); /* no policy makes a function critical that the catalogue lacks */
	return own_gate_va(t->ss, catalog_index(fn));
}

static int fill_driver_gates(struct sessions *s, struct driver *d, u8 *page, struct err *e)
{
	size_t i;
	int ret;

	for (i = 0; i < d->n_entries; i++) {
		ret = gate_entry(s->gate, page + i * UMBRA_GATE_ENTRY,
				 session_gate_va(d->session, d->own_page, (unsigned)i), d->caller,
				 d->entries[i].fn);
		if (ret)
			return err_set(e, ret, "%s: gate out of reach", d->path);
	}
	return 0;
}

static int take_driver_page(struct driver *d, struct err *e)
{
	struct session *ss = d->session;
	unsigned i;

	for (i = OWN_GATE_PAGES; i < GATE_PAGES; i++) {
		if (!ss->page_gpa[ss->text_pages + i]) {
			d->own_page = i;
			return 0;
		}
	}
	return err_set(e, -ENOSPC, "session %s: it has %d drivers already", ss->name, DRIVERS_MAX);
}

int session_prepare_pages(struct sessions *s, struct driver *d, struct umbra_map **maps, size_t *n,
			  struct err *e)
{
	struct session *ss = d->session;
	struct target_arg arg = { s, ss };
	size_t used, i, count = 0;
	struct umbra_map *m = NULL;
	u32 *pages = NULL;
	u8 *page;
	int ret;

	pages = calloc(ss->text_pages + 1u, sizeof(*pages));
	m = calloc(ss->text_pages + (size_t)GATE_PAGES, sizeof(*m));
	if (!pages || !m) {
		ret = err_set(e, -ENOMEM, "%s: out of memory", d->path);
		goto out;
	}
	used = shadow_pages_used(d->plan, pages, ss->text_pages);
	for (i = 0; i < used; i++) {
		if (pages[i] >= ss->text_pages || ss->page_gpa[pages[i]]) /* (S3) */
			continue;
		page = session_take_page(s, ss, pages[i], e);
		if (!page) {
			ret = -ENOSPC;
			goto out;
		}
		shadow_fill_page(s->k, ss->va, pages[i], page, entry_target, &arg);
	}
	ret = take_driver_page(d, e);
	if (ret)
		goto out;
	page = session_take_page(s, ss, ss->text_pages + d->own_page, e);
	ret = page ? fill_driver_gates(s, d, page, e) : -ENOSPC;
	if (ret)
		goto out;
	/*
	 * Names all pages that exist, each time: a mapping that failed half-way is made good by the
	 * next.
	 */
	for (i = 0; i < (size_t)ss->text_pages + GATE_PAGES; i++)
		if (ss->page_gpa[i])
			m[count++] = (struct umbra_map){ ss->va + i * 4096, ss->page_gpa[i] };
	*maps = m;
	*n = count;
	m = NULL;
out:
	free(pages);
	free(m);
	return ret;
}

void session_free_driver_page(struct sessions *s, struct driver *d, bool unmapped)
{
	struct session *ss = d->session;
	u64 *gpa = &ss->page_gpa[ss->text_pages + d->own_page];

	if (d->own_page && *gpa && unmapped) {
		gate_page_free(s->gate, *gpa);
		*gpa = 0;
	}
	d->own_page = 0;
}
