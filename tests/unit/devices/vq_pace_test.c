// SPDX-License-Identifier: GPL-2.0-only
/* Tests how long a queue's thread looks for more, and how many answers share an interrupt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>

#include "devices/vq_pace.h"

#define MANY 100000U

/* Returns a pace as if there were a CPU to spare, whatever the machine. */
static struct vq_pace eager(void)
{
	struct vq_pace p;

	vq_pace_init(&p, 0);
	assert_false(p.polls);
	p.polls = true;
	return p;
}

/*
 * Acts as a driver that can have @depth requests without an answer, all of which are answered at
 * once, until it is interrupted @times. Returns how often it was made to wait for an interrupt in
 * vain; *answers is how many it got.
 */
static unsigned drive_pace(struct vq_pace *p, unsigned depth, unsigned times, unsigned *answers)
{
	unsigned held = 0;

	*answers = 0;
	for (unsigned i = 0; i < times; i++) {
		unsigned n = 1;

		while (!vq_pace_enough(p, n)) {
			if (n == depth) {
				vq_pace_stalled(p, n);
				held++;
				break;
			}
			n++;
		}
		*answers += n;
	}
	return held;
}

static void test_one_request_at_a_time_is_answered_at_once(void **state)
{
	struct vq_pace p = eager();
	unsigned answers;

	(void)state;
	assert_true(vq_pace_enough(&p, 1));
	/* But for a few tries, whether it is one at a time still. */
	assert_in_range(drive_pace(&p, 1, MANY, &answers), 1, 10 + MANY / 200);
	assert_int_equal(answers, MANY);
}

static void test_many_share_an_interrupt(void **state)
{
	struct vq_pace p = eager();
	unsigned answers;

	(void)state;
	assert_int_equal(drive_pace(&p, 32, 20, &answers), 0);
	assert_int_equal(drive_pace(&p, 32, MANY, &answers), 0);
	assert_int_equal(answers, MANY * VQ_PACE_BATCH);
}

/* A driver that is never left without work waits in vain only when more is tried. */
static void test_few_share_as_many_as_leave_it_work(void **state)
{
	struct vq_pace p = eager();
	unsigned answers;

	(void)state;
	for (unsigned depth = 2; depth < VQ_PACE_BATCH; depth++) {
		drive_pace(&p, depth, 1000, &answers);
		assert_in_range(drive_pace(&p, depth, MANY, &answers), 0, 20 + MANY / 200);
		assert_in_range(answers, MANY * (depth > 3 ? depth / 4 : 1), MANY * depth);
	}
}

static void test_it_learns_again(void **state)
{
	struct vq_pace p = eager();
	unsigned answers;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		drive_pace(&p, 32, 1000, &answers);
		assert_in_range(drive_pace(&p, 1, 1000, &answers), 1, 20);
	}
	drive_pace(&p, 1, MANY, &answers);
	/* At the latest by the tries that are due. */
	drive_pace(&p, 32, 1200, &answers);
	drive_pace(&p, 32, 1000, &answers);
	assert_int_equal(answers, 1000 * VQ_PACE_BATCH);
}

static void test_looks_in_vain_become_rare(void **state)
{
	struct vq_pace p = eager();
	unsigned looks = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		if (vq_pace_may_poll(&p)) {
			vq_pace_polled(&p, false);
			looks++;
		}
	assert_in_range(looks, 2, 10 + MANY / 200);
	while (!vq_pace_may_poll(&p))
		;
	vq_pace_polled(&p, true);
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(vq_pace_may_poll(&p));
		vq_pace_polled(&p, true);
	}
}

static void test_no_look_without_a_cpu_to_spare(void **state)
{
	cpu_set_t all, one;
	unsigned cpu = 0;
	struct vq_pace p;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	vq_pace_init(&p, 1);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_false(vq_pace_may_poll(&p));
	assert_true(vq_pace_enough(&p, 1));
	vq_pace_init(&p, (unsigned)CPU_COUNT(&all) / 2 + 1);
	assert_false(vq_pace_may_poll(&p));
	vq_pace_init(&p, (unsigned)CPU_COUNT(&all) / 2);
	assert_int_equal(vq_pace_may_poll(&p), CPU_COUNT(&all) > 1);
}

static bool there_at_third(void *arg)
{
	return ++*(unsigned *)arg == 3;
}

static bool never_there(void *arg)
{
	++*(unsigned *)arg;
	return false;
}

static void test_a_look_ends(void **state)
{
	unsigned n = 0;

	(void)state;
	assert_true(vq_pace_poll(there_at_third, &n));
	assert_int_equal(n, 3);
	n = 0;
	assert_false(vq_pace_poll(never_there, &n));
	assert_in_range(n, 100, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_request_at_a_time_is_answered_at_once),
		cmocka_unit_test(test_many_share_an_interrupt),
		cmocka_unit_test(test_few_share_as_many_as_leave_it_work),
		cmocka_unit_test(test_it_learns_again),
		cmocka_unit_test(test_looks_in_vain_become_rare),
		cmocka_unit_test(test_no_look_without_a_cpu_to_spare),
		cmocka_unit_test(test_a_look_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
