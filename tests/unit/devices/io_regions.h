/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the I/O regions of a host for tests: a list, without a lock. */
#ifndef UMBRA_TESTS_UNIT_DEVICES_IO_REGIONS_H
#define UMBRA_TESTS_UNIT_DEVICES_IO_REGIONS_H

#include <errno.h>

#include "devices/host.h"

struct io_region {
	u64 at, len;
	host_io_fn *fn;
	void *arg;
};

/* Adds a region. -EBUSY: @region overlaps another one; -ENOSPC: there are @max already. */
static inline int io_regions_add(struct io_region *list, unsigned *n, unsigned max,
				 struct io_region region)
{
	for (unsigned i = 0; i < *n; i++)
		if (region.at < list[i].at + list[i].len && list[i].at < region.at + region.len)
			return -EBUSY;
	if (*n == max)
		return -ENOSPC;
	list[(*n)++] = region;
	return 0;
}

static inline void io_regions_remove(struct io_region *list, unsigned *n, u64 at, u64 len)
{
	for (unsigned i = 0; i < *n; i++)
		if (list[i].at == at && list[i].len == len)
			list[i] = list[--*n];
}

/* Returns the region that has the byte @at, or NULL. */
static inline const struct io_region *io_regions_find(const struct io_region *list, unsigned n,
						      u64 at)
{
	for (unsigned i = 0; i < n; i++)
		if (at >= list[i].at && at - list[i].at < list[i].len)
			return &list[i];
	return NULL;
}

#endif
