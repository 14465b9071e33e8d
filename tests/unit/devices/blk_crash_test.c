// SPDX-License-Identifier: GPL-2.0-only
/* Kills the process that serves a disk at random moments; see crash_fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/devices/crash_fixture.h"

#define KILLS 60    /* in each of the modes */
#define LIFE  15000 /* us, at most */

static void run_mode(const struct crash_mode *mode)
{
	char path[] = "/var/tmp/crash_fixture.XXXXXX";
	int fd = mkstemp(path);
	struct timespec now;
	struct crash *c = malloc(sizeof(*c));
	bool good;
	u32 seed;

	assert_true(fd >= 0 && c);
	assert_int_equal(ftruncate(fd, CRASH_SECTORS * 512), 0);
	close(fd);
	clock_gettime(CLOCK_REALTIME, &now);
	seed = (u32)now.tv_nsec;
	good = crash_open(c, path, seed);
	c->mode = *mode;
	for (unsigned i = 0; i < KILLS && good; i++)
		good = crash_round(c, LIFE, i % 4 == 0 ? 2 : 0);
	if (good && !(c->writes && c->reads && c->flushes && c->zeroes && c->discards))
		good = crash_wrong(c, "the driver did not try everything");
	if (!good)
		print_message("seed %u, kill %llu, writes %llu: %s\n", seed,
			      (unsigned long long)c->kills, (unsigned long long)c->writes, c->why);
	print_message(
		"# kills %llu resets %llu writes %llu reads %llu flushes %llu zeroes %llu discards %llu "
		"changed by unanswered requests %llu\n",
		(unsigned long long)c->kills, (unsigned long long)c->resets,
		(unsigned long long)c->writes, (unsigned long long)c->reads,
		(unsigned long long)c->flushes, (unsigned long long)c->zeroes,
		(unsigned long long)c->discards, (unsigned long long)c->torn);
	crash_close(c);
	unlink(path);
	free(c);
	assert_true(good);
}

static void test_killed_with_io_uring(void **state)
{
	(void)state;
	run_mode(&(struct crash_mode){ .event_idx = true });
}

static void test_killed_with_threads(void **state)
{
	(void)state;
	run_mode(&(struct crash_mode){ .aio = BLK_AIO_THREADS });
}

static void test_killed_with_both(void **state)
{
	(void)state;
	run_mode(&(struct crash_mode){ .aio = BLK_AIO_AUTO, .event_idx = true });
}

static void test_killed_past_the_page_cache(void **state)
{
	(void)state;
	run_mode(&(struct crash_mode){ .direct = true });
}

static void test_killed_without_flushes(void **state)
{
	(void)state;
	run_mode(&(struct crash_mode){ .no_flush = true, .event_idx = true });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_with_io_uring),
		cmocka_unit_test(test_killed_with_threads),
		cmocka_unit_test(test_killed_with_both),
		cmocka_unit_test(test_killed_past_the_page_cache),
		cmocka_unit_test(test_killed_without_flushes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
