// SPDX-License-Identifier: GPL-2.0-only
/* Lists the sites of a driver that the kernel patches, for a check of the loaded driver. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/link/module_int.h"
#include "shadow/link/patch_tables.h"
#include "shadow/link/patched_sites.h"

struct site_list {
	struct module_site *sites;
	size_t n, max;
};

static int by_section_and_offset(const void *a, const void *b)
{
	const struct module_site *x = a, *y = b;
	int c = strcmp(x->section, y->section);

	return c ? c : (x->offset > y->offset) - (x->offset < y->offset);
}

static int site_append(void *arg, const struct module_section *section, u64 offset)
{
	struct site_list *l = arg;

	if (l->n == l->max) {
		size_t max = l->max ? l->max * 2 : 256;
		struct module_site *sites = realloc(l->sites, max * sizeof(*sites));

		if (!sites)
			return -ENOMEM;
		l->sites = sites;
		l->max = max;
	}
	l->sites[l->n++] = (struct module_site){ section->name, offset };
	return 0;
}

int module_patched_sites(const struct kernel *k, const struct module *m, struct module_site **out,
			 size_t *n)
{
	struct site_list l = { NULL, 0, 0 };
	int ret = patch_tables_walk(k, m, site_append, &l, NULL);

	if (ret) {
		free(l.sites);
		return ret;
	}
	if (l.n)
		qsort(l.sites, l.n, sizeof(*l.sites), by_section_and_offset);
	*out = l.sites;
	*n = l.n;
	return 0;
}

bool module_site_find(const struct module_site *sites, size_t n, const char *section, u64 offset)
{
	struct module_site key = { section, offset };

	return n && bsearch(&key, sites, n, sizeof(*sites), by_section_and_offset);
}
