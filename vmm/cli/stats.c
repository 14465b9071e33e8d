// SPDX-License-Identifier: GPL-2.0-only
/* Measures and prints the figures of vmm run --stats. */
#include "vmm/cli/stats.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "vmm/machine/vmexit.h"

u64 stats_exec_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return now_ns() - (u64)used.tv_sec * NS_PER_SECOND - (u64)used.tv_nsec;
}

struct stats {
	bool supervised;
	int supervisor, self; /* /proc/PID/smaps of the two, or -1 */
};

struct footprint {
	u64 resident, private; /* KiB */
};

static int open_smaps(void)
{
	return open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
}

struct stats *stats_create(bool supervised)
{
	struct stats *s = malloc(sizeof(*s));

	if (s) {
		s->supervised = supervised;
		s->supervisor = supervised ? open_smaps() : -1;
		s->self = -1;
	}
	return s;
}

void stats_open(struct stats *s)
{
	if (s)
		s->self = open_smaps();
}

void stats_close(struct stats *s)
{
	if (!s)
		return;
	if (s->supervisor >= 0)
		close(s->supervisor);
	if (s->self >= 0)
		close(s->self);
	free(s);
}

/*
 * Returns true for the first line of a mapping, "5600-5800 rw-p ..."; all others begin with a word
 * and a colon.
 */
static bool smaps_line_is_range(const char *line, u64 *from, u64 *to)
{
	char *end;

	*from = strtoull(line, &end, 16);
	if (end == line || *end != '-')
		return false;
	*to = strtoull(end + 1, &end, 16);
	return *end == ' ';
}

static void add_kib(const char *line, const char *key, u64 *sum)
{
	size_t len = strlen(key);

	if (!strncmp(line, key, len))
		*sum += strtoull(line + len, NULL, 10);
}

/*
 * Adds up all mappings of *fd's process (closing it) but [@from, @to). Shared dirty pages are
 * shared by the fork with the supervisor only; they are counted as the VMM's, and of the supervisor
 * private ones only.
 */
static int measure_smaps(int *fd, bool vmm, u64 from, u64 to, struct footprint *f)
{
	FILE *smaps = *fd < 0 ? NULL : fdopen(*fd, "r");
	u64 start, end;
	char line[512];
	bool skip = false;

	if (!smaps)
		return -1;
	*fd = -1;
	while (fgets(line, sizeof(line), smaps)) {
		if (smaps_line_is_range(line, &start, &end))
			skip = start >= from && end <= to;
		if (skip)
			continue;
		if (vmm) {
			add_kib(line, "Rss:", &f->resident);
			add_kib(line, "Shared_Dirty:", &f->private);
		} else {
			add_kib(line, "Private_Clean:", &f->resident);
			add_kib(line, "Private_Dirty:", &f->resident);
		}
		add_kib(line, "Private_Clean:", &f->private);
		add_kib(line, "Private_Dirty:", &f->private);
	}
	fclose(smaps);
	return 0;
}

static void print_exits(struct machine *m, FILE *to)
{
	unsigned n = machine_cpus(m);
	u64 total = 0;

	fprintf(to, "exits:");
	for (unsigned reason = 0; reason < VCPU_EXIT_REASONS; reason++) {
		const char *name = vmexit_name(reason);
		u64 sum = 0;

		for (unsigned i = 0; i < n; i++)
			sum += vcpu_exits(machine_vcpu(m, i), reason);
		total += sum;
		if (sum && name)
			fprintf(to, " %s %" PRIu64 ",", name, sum);
		else if (sum)
			fprintf(to, " reason-%u %" PRIu64 ",", reason, sum);
	}
	fprintf(to, " total %" PRIu64 "\n", total);
}

void stats_print(struct stats *s, struct machine *m, u64 syscalls, FILE *to)
{
	u64 first = vcpu_first_run_ns(machine_vcpu(m, 0));
	u64 ram = (uintptr_t)machine_gpa(m, 0, 1);
	struct footprint f = { 0, 0 };

	print_exits(m, to);
	if (first)
		fprintf(to, "first KVM_RUN: %.1f ms after exec\n",
			(double)(first - machine_start_ns(m)) / 1e6);
	if (syscalls)
		fprintf(to, "system calls from exec to the first KVM_RUN: %" PRIu64 "\n", syscalls);
	if (s && !measure_smaps(&s->self, true, ram, ram + machine_memory(m), &f) &&
	    (!s->supervised || !measure_smaps(&s->supervisor, false, 0, 0, &f)))
		fprintf(to,
			"memory outside guest RAM: %" PRIu64 " KiB private, %" PRIu64
			" KiB resident\n",
			f.private, f.resident);
}
