/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kills the VMM of a disk: virtio-blk with its own threads on a true file runs in a child process;
 * the parent plays the driver, in memory that both share, with many requests in flight on several
 * queues, and kills the child at a random moment. A model says what each sector may hold then: what
 * was acknowledged, or what was being written. It is compared with the file, and with everything
 * that is read meanwhile.
 *
 * A driver that resets the device while it works gets the same comparison.
 *
 * kill -9 is no loss of power: what the device handed to the host's kernel stays. So every
 * acknowledged write must survive here, flushed or not. That a flush is one, blk_safety_test.c
 * and the lab's disk-power.sh show.
 *
 * Functions that return a bool return false, with a reason in ->why, when the disk is wrong.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_CRASH_FIXTURE_H
#define UMBRA_TESTS_UNIT_DEVICES_CRASH_FIXTURE_H

#include <sys/types.h>

#include "base/types.h"
#include "devices/blk_queue.h"

#define CRASH_QUEUES  4U
#define CRASH_SLOTS   8U /* requests in flight on one queue */
#define CRASH_SECTORS 2048U

struct crash_mode {
	enum blk_aio aio;
	bool direct, no_flush, event_idx;
};

struct crash_slot {
	bool used;
	u32 type, n;
	u64 sector, version, since;
};

struct crash {
	struct crash_shared *s; /* memory of both processes */
	struct crash_mode mode;
	const char *path;
	int fd;
	u32 seed;
	pid_t child;
	int kick; /* a byte for each kick; its end ends the child */
	u64 versions;
	u64 is[CRASH_SECTORS], or [CRASH_SECTORS]; /* versions that a sector may have; 0: zeroes */
	bool busy[CRASH_SECTORS];
	struct crash_slot slots[CRASH_QUEUES][CRASH_SLOTS];
	u16 avail[CRASH_QUEUES], used[CRASH_QUEUES];
	char why[160];
	/* Counted, for people. */
	u64 kills, resets, pauses, writes, reads, flushes, zeroes, discards, torn;
};

/* Prepares @c for the image @path, of at least CRASH_SECTORS sectors of zeroes; then set ->mode. */
bool crash_open(struct crash *c, const char *path, u32 seed);
void crash_close(struct crash *c);
/*
 * Runs one life of the VMM, of up to @us microseconds, with @breaks resets or pauses before the
 * kill.
 */
bool crash_round(struct crash *c, u64 us, unsigned breaks);

/* Returns the next random number from ->seed. */
u32 crash_random(struct crash *c);
/* Returns now, in microseconds of a monotonic clock. */
u64 crash_now(void);
/* Writes the reason into ->why. Returns false. */
__attribute__((format(printf, 2, 3))) bool crash_wrong(struct crash *c, const char *fmt, ...);

#endif
