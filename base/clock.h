/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads the clock that only goes forward (CLOCK_MONOTONIC), for deadlines, periods and
 * measurements.
 */
#ifndef UMBRA_BASE_CLOCK_H
#define UMBRA_BASE_CLOCK_H

#include <time.h>

#include "base/types.h"

#define NS_PER_SECOND 1000000000ULL
#define NS_PER_MS     1000000ULL

/* Returns CLOCK_MONOTONIC in ns. It is in a header, so that tools that link no room use it, too. */
static inline u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_SECOND + (u64)t.tv_nsec;
}

/*
 * Returns CLOCK_MONOTONIC in ms; signed, since a caller subtracts it from a deadline that may have
 * passed.
 */
static inline s64 now_ms(void)
{
	return (s64)(now_ns() / NS_PER_MS);
}

#endif
