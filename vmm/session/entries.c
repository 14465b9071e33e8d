// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives a driver entries of its own: a range of the guest's module space with one entry for each
 * function of the kernel that it imports, and nothing between them.
 *
 * Why not the shadow's layout for all: there an entry's place says its function, so a session takes
 * as much module space as the kernel has text, a driver's dozen entries lie on nine pages, and one
 * entry serves all drivers of a session, so none can be turned for one of them alone. Dense, a
 * driver takes a page for each 170 imports (median 12, most 522), and each of its entries can be
 * led to the gate, or back, while the driver runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/session/driver.h"

static u64 own_entry_va(const struct driver *d, size_t i)
{
	return d->own.va + i / UMBRA_OWN_ENTRIES_PAGE * 4096 +
	       i % UMBRA_OWN_ENTRIES_PAGE * UMBRA_OWN_ENTRY;
}

u64 driver_entry_va(const struct driver *d, size_t i)
{
	if (d->layout == LAYOUT_SAME)
		return session_gate_va(d->session, d->own_page, (unsigned)i);
	return own_entry_va(d, i) + UMBRA_OWN_ENTRY_AT;
}

unsigned own_pages_needed(const struct driver *d)
{
	return (unsigned)((d->n_entries + UMBRA_OWN_ENTRIES_PAGE - 1) / UMBRA_OWN_ENTRIES_PAGE);
}

int own_pages_take_range(struct driver *d, u64 va, struct err *e)
{
	const u64 size = (u64)own_pages_needed(d) * 4096;

	/* The guest has chosen the place; it must be one that the linker can prove in reach. */
	if (va & 4095 || va < LINK_MODULES_START || va > LINK_MODULES_END - size)
		return err_set(e, -ERANGE,
			       "%s: the guest reserved 0x%" PRIx64
			       ", which is outside its module space",
			       d->path, va);
	d->own.va = va;
	return 0;
}

static struct own_entry own_entry(const struct sessions *s, const struct driver *d, size_t i)
{
	const size_t page = i / UMBRA_OWN_ENTRIES_PAGE, slot = i % UMBRA_OWN_ENTRIES_PAGE;

	return (struct own_entry){ .at = d->own.hva[page] + slot * UMBRA_OWN_ENTRY,
				   .va = own_entry_va(d, i),
				   .real = d->entries[i].addr + s->kaslr,
				   .fn = d->entries[i].gate_fn };
}

static bool is_critical(const struct driver *d, const struct driver_entry *de)
{
	return de->fn && policy_critical(d->session->policy, de->symbol);
}

/* Returns the policy's line by which calls of the function are seen, NULL: they are not. */
static const char *traced_by(const struct driver *d, const struct driver_entry *de, bool *each)
{
	return de->gate_fn == GATE_NO_FN ? NULL
					 : policy_traced(d->session->policy, de->symbol, each);
}

static bool leads_to_gate(const struct driver *d, const struct driver_entry *de)
{
	return is_critical(d, de) || traced_by(d, de, NULL);
}

/*
 * Finds the number by which the gate knows the function. One whose calls cannot be seen has none,
 * and always leads to the kernel.
 */
static u32 gate_number(struct sessions *s, const struct driver_entry *de)
{
	const char *why;
	u32 fn;

	/* One that is not as the catalogue has it is never critical; the shim would refuse it. */
	if (de->fn && !gate_fits(s->k, de->fn, NULL))
		return catalog_index(de->fn);
	return gate_see(s->gate, de->symbol, de->addr + s->kaslr, &fn, &why) ? GATE_NO_FN : fn;
}

size_t driver_critical(const struct driver *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_entries; i++)
		n += is_critical(d, &d->entries[i]);
	return n;
}

size_t driver_seen(const struct driver *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_entries; i++)
		n += driver_entry_is_gate(d, i);
	return n;
}

bool driver_entry_is_gate(const struct driver *d, size_t i)
{
	return d->layout == LAYOUT_SAME || leads_to_gate(d, &d->entries[i]);
}

void driver_unseen(const struct driver *d, struct unseen *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < d->n_entries; i++)
		unseen_add(out, d->entries[i].fn, driver_entry_is_gate(d, i));
	for (size_t i = 0; i < d->n_direct; i++)
		unseen_add(out, d->direct[i].fn, false);
	for (size_t i = 0; i < d->n_shadowed; i++)
		unseen_add(out, NULL, false);
}

static int own_pages_alloc(struct sessions *s, struct driver *d, struct err *e)
{
	const unsigned n = own_pages_needed(d);
	struct own_pages *own = &d->own;

	own->maps = calloc(2 * (size_t)n + 1, sizeof(*own->maps));
	own->hva = calloc(n + 1, sizeof(*own->hva));
	if (!own->maps || !own->hva)
		return err_set(e, -ENOMEM, "%s: out of memory", d->path);
	for (unsigned i = 0; i < n; i++) {
		u64 gpa;

		if (gate_page_alloc(s->gate, &gpa, &own->hva[i]))
			return err_set(e, -ENOSPC, "%s: no room for another page of entries",
				       d->path);
		own->maps[i] = (struct umbra_map){ own->va + (u64)i * 4096, gpa };
		own->n++;
	}
	for (unsigned i = 0; i < n; i++)
		own->maps[n + i] = (struct umbra_map){ own->maps[i].va, UMBRA_PAGES_GPA };
	return 0;
}

/* Says how calls by the @i-th entry are to be seen by the session's policy. */
static struct gate_sight sight_of_entry(const struct sessions *s, const struct driver *d, size_t i)
{
	const struct driver_entry *de = &d->entries[i];
	bool each = false;
	const char *rule = traced_by(d, de, &each);

	/*
	 * What undoes stays at the gate: the ledger has what was registered there, and lent it a
	 * name perhaps.
	 */
	return (struct gate_sight){ .en = own_entry(s, d, i),
				    .critical = is_critical(d, de),
				    .stays = de->fn && de->fn->undoes,
				    .each = each,
				    .rule = rule };
}

/* Writes the entries, each by the session's policy. */
static int own_pages_write(struct sessions *s, struct driver *d, struct err *e)
{
	struct gate_sight *list = calloc(d->n_entries + 1, sizeof(*list));
	size_t n = 0;
	int ret = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < d->n_entries && !ret; i++) {
		struct own_entry en;

		d->entries[i].gate_fn = gate_number(s, &d->entries[i]);
		en = own_entry(s, d, i);
		ret = gate_own_entry(s->gate, &en, d->caller);
		if (ret)
			err_set(e, ret, "%s: the entry of %s is out of reach", d->path,
				d->entries[i].symbol);
		else if (en.fn != GATE_NO_FN)
			list[n++] = sight_of_entry(s, d, i);
	}
	if (!ret)
		ret = gate_caller_see(s->gate, d->caller, list, n);
	free(list);
	return ret == -ENOMEM ? err_set(e, ret, "%s: out of memory", d->path) : ret;
}

int own_pages_fill(struct sessions *s, struct driver *d, struct err *e)
{
	int ret = own_pages_alloc(s, d, e);

	if (!ret)
		ret = own_pages_write(s, d, e);
	if (ret)
		own_pages_free(s, d, true); /* nothing of it was mapped yet */
	return ret;
}

void own_pages_free(struct sessions *s, struct driver *d, bool unmapped)
{
	struct own_pages *own = &d->own;

	gate_caller_see(s->gate, d->caller, NULL, 0);
	for (unsigned i = 0; i < own->n && unmapped; i++)
		gate_page_free(s->gate, own->maps[i].gpa);
	free(own->maps);
	free(own->hva);
	*own = (struct own_pages){ .va = own->va };
}

void own_pages_turn(struct sessions *s, struct driver *d)
{
	/* By the lines of the policy that was. */
	gate_drain(s->gate);
	for (size_t i = 0; d->own.n && i < d->n_entries; i++) {
		const struct gate_sight sight = sight_of_entry(s, d, i);

		if (sight.en.fn != GATE_NO_FN)
			gate_caller_see_anew(s->gate, d->caller, &sight);
	}
}
