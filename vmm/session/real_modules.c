// SPDX-License-Identifier: GPL-2.0-only
/* Reads the guest's modules once, their exports when asked for, and decides each address once. */
#include "vmm/session/real_modules.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/policy.h"
#include "vmm/machine/guest_read.h"
#include "vmm/session/guest_module.h"
#include "vmm/session/session.h"

#define NAME_MAX_BYTES 128

struct module_exports {
	struct guest_export *all; /* sorted by address */
	size_t n;
	signed char *permitted; /* of the first one at an address: 1, -1, 0 not asked yet */
	bool were_read;
};

struct real_modules {
	struct sessions *s;
	struct guest_module *list; /* sorted by the begin of their text */
	struct module_exports *exports;
	size_t n;
	size_t left; /* of REAL_EXPORTS_MAX */
};

static int modules_by_base(const void *a, const void *b)
{
	const struct guest_module *x = a, *y = b;

	return (x->base > y->base) - (x->base < y->base);
}

static int module_exports_by_address(const void *a, const void *b)
{
	const struct guest_export *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

int real_modules_read(struct sessions *s, struct real_modules **out, struct err *e)
{
	struct real_modules *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->s = s;
	r->left = REAL_EXPORTS_MAX;
	r->list = calloc(GUEST_MODULES_MAX, sizeof(*r->list));
	r->exports = calloc(GUEST_MODULES_MAX, sizeof(*r->exports));
	if (!r->list || !r->exports) {
		real_modules_free(r);
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->n = guest_module_list(s, r->list, GUEST_MODULES_MAX);
	qsort(r->list, r->n, sizeof(*r->list), modules_by_base);
	*out = r;
	return 0;
}

void real_modules_free(struct real_modules *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->exports && i < r->n; i++) {
		free(r->exports[i].all);
		free(r->exports[i].permitted);
	}
	free(r->exports);
	free(r->list);
	free(r);
}

/*
 * Finds the module at @target. Of modules that overlap, which only a forged list has, it finds the
 * one that begins last.
 */
static struct module_exports *module_at(struct real_modules *r, u64 target)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->list[mid].base <= target)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || target - r->list[lo - 1].base >= r->list[lo - 1].text)
		return NULL;
	return &r->exports[lo - 1];
}

static void read_exports_of(struct real_modules *r, struct module_exports *x)
{
	x->were_read = true;
	if (!r->left)
		return;
	x->n = guest_module_exports(r->s, &r->list[x - r->exports], &x->all);
	x->permitted = calloc(x->n + 1, 1);
	if (x->n > r->left || !x->permitted) {
		x->n = r->left = 0;
		return;
	}
	r->left -= x->n;
	if (x->n)
		qsort(x->all, x->n, sizeof(*x->all), module_exports_by_address);
}

/*
 * Returns true if one of the exports from @first on, all at one address, has a name that @ps
 * permits.
 */
static bool alias_is_permitted(const struct real_modules *r, const struct module_exports *x,
			       const struct policy_session *ps, size_t first)
{
	char name[NAME_MAX_BYTES];

	for (size_t i = first; i < x->n && x->all[i].addr == x->all[first].addr; i++)
		if (!guest_read_string(r->s->m, x->all[i].name, name, sizeof(name)) &&
		    policy_permitted(ps, name))
			return true;
	return false;
}

bool real_modules_permit(struct real_modules *r, const struct policy_session *ps, u64 target)
{
	struct module_exports *x = module_at(r, target);
	size_t lo = 0, hi;

	if (!x)
		return false;
	if (!x->were_read)
		read_exports_of(r, x);
	for (hi = x->n; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->all[mid].addr < target)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == x->n || x->all[lo].addr != target)
		return false;
	if (!x->permitted[lo])
		x->permitted[lo] = alias_is_permitted(r, x, ps, lo) ? 1 : -1;
	return x->permitted[lo] > 0;
}
