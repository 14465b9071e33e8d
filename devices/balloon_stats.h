/* SPDX-License-Identifier: GPL-2.0-only */
/* Defines the state of a memory balloon, with what its driver tells of the guest's memory. */
#ifndef UMBRA_DEVICES_BALLOON_STATS_H
#define UMBRA_DEVICES_BALLOON_STATS_H

#include "base/types.h"

/* The numbers are those of virtio 1.2, 5.5.6.4. */
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

/* All of it is the guest's word. */
struct balloon_stats {
	u64 value[BALLOON_STATS];
	u64 updated; /* seconds since 1970, when they came; 0: never, and all are unknown */
	u64 count;   /* how often they came, since the device was made */
};

/* The state of a balloon; sizes in bytes. */
struct balloon_state {
	u64 total;	   /* the guest's RAM */
	u64 target;	   /* of it the guest is to have this much */
	u64 actual;	   /* this much it has, by its driver's word; at most @total */
	u64 inflated;	   /* given back by the balloon since the device was made, all in all */
	u64 reported;	   /* given back by reports since then */
	bool driver;	   /* a driver serves it now */
	unsigned interval; /* of statistics in seconds; 0: none are asked for */
	struct balloon_stats stats;
};

#endif
