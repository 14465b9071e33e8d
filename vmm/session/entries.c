// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives a driver entries of its own: a range of the guest's module space with one entry for each
 * function of the kernel that it imports, behind these one for each function of its own that it
 * hands out, and nothing between them. The two have pages of their own, and a driver of layout
 * "same" only the second.
 *
 * Why not the shadow's layout for all: there an entry's place says its function, so a session takes
 * as much module space as the kernel has text, a driver's dozen entries lie on nine pages, and one
 * entry serves all drivers of a session, so none can be turned for one of them alone. Dense, a
 * driver takes a page for each 170 imports (median 12, most 522), and each of its entries can be
 * led to the gate, or back, while the driver runs. Of the inward ones the median driver has 17.
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

static unsigned pages_of(size_t entries)
{
	return (unsigned)((entries + UMBRA_OWN_ENTRIES_PAGE - 1) / UMBRA_OWN_ENTRIES_PAGE);
}

unsigned own_pages_outward(const struct driver *d)
{
	return d->layout == LAYOUT_DENSE ? pages_of(d->n_entries) : 0;
}

unsigned own_pages_needed(const struct driver *d)
{
	return own_pages_outward(d) + pages_of(d->n_inward);
}

u64 inward_entry_va(const struct driver *d, size_t i)
{
	return own_entry_va(d, (size_t)own_pages_outward(d) * UMBRA_OWN_ENTRIES_PAGE + i) +
	       UMBRA_OWN_ENTRY_AT;
}

struct own_entry inward_own_entry(const struct driver *d, size_t i)
{
	const size_t page = own_pages_outward(d) + i / UMBRA_OWN_ENTRIES_PAGE;

	return (struct own_entry){ .at = d->own.hva[page] +
					 i % UMBRA_OWN_ENTRIES_PAGE * UMBRA_OWN_ENTRY,
				   .va = inward_entry_va(d, i) - UMBRA_OWN_ENTRY_AT,
				   .real = d->inward[i].target,
				   .fn = GATE_NO_FN };
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

bool driver_entry_can_be_seen(const struct driver *d, const struct driver_entry *de)
{
	/* It has numbers when it is loaded. */
	return de->gate_fn != GATE_NO_FN || (!d->own.n && de->can_be_seen);
}

/* Returns the policy's line by which calls of the function are seen, NULL: they are not. */
static const char *traced_by(const struct driver *d, const struct driver_entry *de, bool *each)
{
	if (!driver_entry_can_be_seen(d, de))
		return NULL;
	return policy_traced(d->session->policy, de->symbol, each);
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
	const struct own_entry en = own_entry(s, d, i);
	bool each = false;
	const char *rule = traced_by(d, de, &each);
	enum gate_closed how;

	/*
	 * What undoes stays at the gate: the ledger has what was registered there, and lent it a
	 * name perhaps.
	 */
	return (struct gate_sight){
		.en = en,
		.critical = is_critical(d, de),
		.stays = de->fn && de->fn->undoes,
		.each = each,
		.closed = d->closed && entry_closes(d, i, &how) ? gate_closed_va(s->gate, how) : 0,
		.rule = rule,
	};
}

/* Writes the entries of what it imports, each by the session's policy. */
static int outward_write(struct sessions *s, struct driver *d, struct err *e)
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

	for (size_t i = 0; i < d->n_inward && !ret; i++) {
		const struct own_entry en = inward_own_entry(d, i);

		gate_inward_entry(&en);
	}
	if (!ret && own_pages_outward(d))
		ret = outward_write(s, d, e);
	if (ret)
		own_pages_free(s, d, true); /* nothing of it was mapped yet */
	return ret;
}

void own_pages_free(struct sessions *s, struct driver *d, bool unmapped)
{
	struct own_pages *own = &d->own;

	gate_caller_see(s->gate, d->caller, NULL, 0);
	placement_free(d->placement); /* nobody writes them any more */
	d->placement = NULL;
	for (size_t i = 0; i < d->n_inward; i++) {
		if (d->inward[i].watch)
			gate_unwatch(s->gate, d->inward[i].watch);
		d->inward[i].watch = 0;
		d->inward[i].target = 0;
	}
	for (unsigned i = 0; i < own->n && unmapped; i++)
		gate_page_free(s->gate, own->maps[i].gpa);
	free(own->maps);
	free(own->hva);
	*own = (struct own_pages){ .va = own->va };
}

int inward_await(struct sessions *s, struct driver *d, struct err *e)
{
	struct placement_function *list = calloc(d->n_inward + 1, sizeof(*list));
	int ret = list ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < d->n_inward; i++)
		list[i] = (struct placement_function){ d->inward[i].symbol, d->inward[i].index,
						       inward_own_entry(d, i), false };
	if (!ret)
		ret = placement_begin(&d->placement, s, d->guest_name,
				      module_symbol_count(d->module), list, d->n_inward);
	if (!ret)
		return 0;
	free(list);
	return err_set(e, ret, "%s: out of memory", d->path);
}

static void inward_found(struct inward_entry *in, const struct placement_function *f)
{
	in->target = f->entry.real;
	in->in_init = f->in_init;
}

enum placing inward_settle(struct driver *d, char why[PLACEMENT_WHY_MAX])
{
	const enum placing how = placement_end(d->placement, why);

	for (size_t i = 0; how == PLACED && i < d->n_inward; i++)
		inward_found(&d->inward[i], &placement_functions(d->placement)[i]);
	placement_free(d->placement);
	d->placement = NULL;
	return how;
}

static void turn_outward(struct sessions *s, struct driver *d, size_t i)
{
	const struct gate_sight sight = sight_of_entry(s, d, i);

	if (sight.en.fn != GATE_NO_FN)
		gate_caller_see_anew(s->gate, d->caller, &sight);
	else
		gate_own_entry_lead(&sight.en, sight.closed);
}

bool inward_can_be_watched(const struct inward_entry *in)
{
	_Static_assert(UMBRA_WATCHED_ARGS == LINK_WATCH_ARGS, "one limit");
	return in->args <= UMBRA_WATCHED_ARGS;
}

static bool wants_watch(const struct driver *d, const struct inward_entry *in)
{
	return in->target && inward_can_be_watched(in) &&
	       policy_watched(d->session->policy, in->symbol);
}

size_t driver_watched(const struct driver *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_inward; i++)
		n += d->inward[i].watch && wants_watch(d, &d->inward[i]);
	return n;
}

/* Leads the entry by the gate; false: it has no number, as there are too many. */
static bool turn_to_watch(struct sessions *s, struct driver *d, struct inward_entry *in,
			  const struct own_entry *en)
{
	const struct gate_watch w = { .symbol = in->symbol,
				      .caller = d->caller,
				      .real = in->target,
				      .args = in->args,
				      .result = in->result };

	if (!in->watch && gate_watch(s->gate, &w, &in->watch))
		return false;
	return !gate_inward_entry_watch(s->gate, en, d->caller, in->watch);
}

static void turn_inward(struct sessions *s, struct driver *d, size_t i)
{
	const struct own_entry en = inward_own_entry(d, i);
	enum gate_closed how;

	if (!d->inward[i].target)
		return; /* a trap, which its placement leads to the function */
	if (d->closed && inward_entry_closes(d, i, &how) && gate_own_entry_close(s->gate, &en, how))
		return;
	if (!wants_watch(d, &d->inward[i]) || !turn_to_watch(s, d, &d->inward[i], &en))
		gate_inward_entry_lead(&en);
}

void own_pages_turn(struct sessions *s, struct driver *d)
{
	for (size_t i = 0; own_pages_outward(d) && d->own.n && i < d->n_entries; i++)
		turn_outward(s, d, i);
	for (size_t i = 0; d->own.n && i < d->n_inward; i++)
		turn_inward(s, d, i);
}

void driver_close(struct sessions *s, struct driver *d, bool closed)
{
	d->closed = closed;
	gate_drain(s->gate);
	own_pages_turn(s, d);
}
