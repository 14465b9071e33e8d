/* SPDX-License-Identifier: GPL-2.0-only */
/* Defines what a guest's balloon driver tells about the guest's memory (virtio 1.2, 5.5.6.3). */
#ifndef UMBRA_DEVICES_BALLOON_STATS_H
#define UMBRA_DEVICES_BALLOON_STATS_H

#include "base/types.h"

/* The numbers are the specification's (5.5.6.4), in bytes or counts. */
enum balloon_stat {
	BALLOON_STAT_SWAP_IN,  /* bytes */
	BALLOON_STAT_SWAP_OUT, /* bytes */
	BALLOON_STAT_MAJOR_FAULTS,
	BALLOON_STAT_MINOR_FAULTS,
	BALLOON_STAT_FREE,	/* bytes, not used for anything */
	BALLOON_STAT_TOTAL,	/* bytes */
	BALLOON_STAT_AVAILABLE, /* bytes, for new programs without swapping */
	BALLOON_STAT_CACHES,	/* bytes, which the guest can drop */
	BALLOON_STAT_HUGE_ALLOCATED,
	BALLOON_STAT_HUGE_FAILED,
	BALLOON_STATS,
};

/* A value that the driver does not tell. */
#define BALLOON_STAT_UNKNOWN UINT64_MAX

/* All of it is a guest's word. */
struct balloon_stats {
	u64 value[BALLOON_STATS];
	u64 updated; /* seconds since 1970, when they came; 0: never, and all are unknown */
	u64 count;   /* how often they came, since the device was made */
};

#endif
