// SPDX-License-Identifier: GPL-2.0-only
/*
 * soak_disk SECONDS [DIRECTORY]: puts disks under random load in a process that is killed, stopped
 * and reset at random, for SECONDS; tests/unit/devices/crash_fixture.h says how the result is
 * judged. Each disk lives for a few seconds, in one of all modes; its file is made in DIRECTORY
 * (/var/tmp).
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/devices/crash_fixture.h"

#define DISK_US	 5000000ULL  /* life of one disk */
#define LIFE_US	 60000ULL    /* of one process, at most, but for its breaks */
#define PRINT_US 10000000ULL /* between two lines of progress */

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void crash_add(struct crash *sum, const struct crash *c)
{
	sum->kills += c->kills;
	sum->resets += c->resets;
	sum->pauses += c->pauses;
	sum->writes += c->writes;
	sum->reads += c->reads;
	sum->flushes += c->flushes;
	sum->zeroes += c->zeroes;
	sum->discards += c->discards;
}

static void print_sums(const struct crash *sum, u64 disks, u64 us)
{
	printf("%" PRIu64 " s: disks %" PRIu64 ", kills %" PRIu64 ", resets %" PRIu64
	       ", pauses %" PRIu64 ", writes %" PRIu64 ", reads %" PRIu64 ", flushes %" PRIu64
	       ", zeroes %" PRIu64 ", discards %" PRIu64 "\n",
	       us / 1000000, disks, sum->kills, sum->resets, sum->pauses, sum->writes, sum->reads,
	       sum->flushes, sum->zeroes, sum->discards);
	fflush(stdout);
}

/* Soaks one disk; false: it lost something, which is printed, and its file stays. */
static bool one_disk(const char *directory, u32 seed, struct crash *c, u64 until)
{
	char path[4096];
	u64 end = crash_now() + DISK_US;
	bool good;
	int fd;

	if (snprintf(path, sizeof(path), "%s/soak-disk.XXXXXX", directory) >= (int)sizeof(path)) {
		fprintf(stderr, "soak_disk: the name of the directory is too long\n");
		return false;
	}
	fd = mkstemp(path);
	if (fd < 0 || ftruncate(fd, CRASH_SECTORS * 512)) {
		fprintf(stderr, "soak_disk: %s: %s\n", path, strerror(errno));
		return false;
	}
	close(fd);
	good = crash_open(c, path, seed);
	c->mode = (struct crash_mode){
		.aio = (seed >> 16) % 3,
		.direct = seed & 0x200,
		.no_flush = seed & 0x400,
		.event_idx = seed & 0x800,
	};
	while (good && !interrupted && crash_now() < end && crash_now() < until)
		good = crash_round(c, LIFE_US, crash_random(c) % 4);
	if (good)
		unlink(path);
	else
		fprintf(stderr, "soak_disk: %s: seed %u, kill %" PRIu64 ": %s\n", path, seed,
			c->kills, c->why);
	crash_close(c);
	return good;
}

int main(int argc, char **argv)
{
	char *end = NULL;
	u64 seconds = argc > 1 ? strtoull(argv[1], &end, 10) : 0, start = crash_now(), disks = 0;
	const char *directory = argc > 2 ? argv[2] : "/var/tmp";
	u64 until = start + seconds * 1000000, next = start + PRINT_US;
	static struct crash c, sum;
	bool good = true;

	if (!seconds || *end || seconds > 100000000) {
		fprintf(stderr, "usage: soak_disk SECONDS [DIRECTORY]\n");
		return 2;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	while (good && !interrupted && crash_now() < until) {
		good = one_disk(directory, (u32)(crash_now() * 2654435761U) | 1, &c, until);
		crash_add(&sum, &c);
		disks++;
		if (crash_now() < next)
			continue;
		print_sums(&sum, disks, crash_now() - start);
		next += PRINT_US;
	}
	print_sums(&sum, disks, crash_now() - start);
	return good ? 0 : 1;
}
