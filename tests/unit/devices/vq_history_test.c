// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what is known of a queue after the death of the process that served it, against a model of
 * driver and process that knows the truth: whatever is said to be known must be true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/vq_history.h"
#include "tests/unit/devices/ring_fixture.h"

#define SIZE 8U

struct model {
	struct fake_host f;
	struct virtqueue q;
	struct vq_history h;
	s64 now;
	u16 idle[SIZE]; /* heads of the driver; the one that came back last is taken first */
	unsigned n_idle;
	u16 waiting[SIZE]; /* heads that are not answered, oldest first */
	unsigned n_waiting;
	unsigned random;
};

static unsigned draw(struct model *t, unsigned below)
{
	t->random = t->random * 1103515245U + 12345U;
	return (t->random >> 16) % below;
}

static u16 *avail_ring(struct model *t)
{
	return (u16 *)(void *)(t->f.ram + AVAIL);
}

static u16 *used_ring(struct model *t)
{
	return (u16 *)(void *)(t->f.ram + USED);
}

/* The driver's and the process's part start at @index, as after so many requests. */
static void model_start(struct model *t, u16 index)
{
	memset(t->f.ram, 0, FAKE_RAM);
	t->n_idle = t->n_waiting = 0;
	for (u16 i = 0; i < SIZE; i++)
		t->idle[t->n_idle++] = (u16)(SIZE - 1 - i);
	avail_ring(t)[1] = used_ring(t)[1] = index;
	virtqueue_reset(&t->q);
	t->q.size = SIZE;
	t->q.desc = DESC;
	t->q.avail = AVAIL;
	t->q.used = USED;
	assert_int_equal(virtqueue_enable(&t->q, &t->f.host), 0);
	vq_history_reset(&t->h);
}

static void model_ask(struct model *t)
{
	u16 *a = avail_ring(t);
	u16 head;

	if (!t->n_idle)
		return;
	head = t->idle[--t->n_idle];
	a[2 + a[1] % SIZE] = head;
	a[1]++;
	t->waiting[t->n_waiting++] = head;
}

/* Answers the @nth that waits. */
static void model_answer(struct model *t, unsigned nth)
{
	u16 *u = used_ring(t);
	u32 *elem = (u32 *)(void *)(u + 2) + (size_t)2 * (u[1] % SIZE);
	u16 head;

	if (nth >= t->n_waiting)
		return;
	head = t->waiting[nth];
	t->n_waiting--;
	for (unsigned i = nth; i < t->n_waiting; i++)
		t->waiting[i] = t->waiting[i + 1];
	elem[0] = head;
	elem[1] = 1;
	u[1]++;
	t->idle[t->n_idle++] = head;
}

/* Returns true if those that wait are the entries from @index on, each once. */
static bool truth(struct model *t, u16 index)
{
	const u16 *a = avail_ring(t);

	if ((u16)(a[1] - index) != t->n_waiting)
		return false;
	for (u16 i = index; i != a[1]; i++) {
		bool found = false;

		for (unsigned w = 0; w < t->n_waiting; w++)
			found |= t->waiting[w] == a[2 + i % SIZE];
		if (!found)
			return false;
	}
	return true;
}

/* Has a process serve the queue, or go on; false: it is not known where. */
static bool model_serve(struct model *t)
{
	u16 index;
	bool known = vq_history_resume(&t->h, &t->q, &index);

	if (known) {
		assert_true(truth(t, index));
		vq_history_begin(&t->h, index, true, t->now);
	}
	return known;
}

static int setup(void **state)
{
	struct model *t = fake_host_alloc(sizeof(*t));

	assert_non_null(t);
	t->q.max = SIZE;
	t->random = 1;
	model_start(t, 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* What is known is true, in whatever order and however long after a look a process dies. */
static void test_what_is_known_is_true(void **state)
{
	struct model *t = *state;
	unsigned known = 0, unknown = 0;

	for (unsigned life = 0; life < 20000; life++) {
		unsigned order = draw(t, 3), steps = draw(t, 60);

		if (!model_serve(t)) {
			unknown++;
			model_start(t, (u16)draw(t, 65536));
			assert_true(model_serve(t));
		} else {
			known++;
		}
		for (unsigned i = 0; i < steps; i++) {
			t->now += draw(t, 30);
			if (draw(t, 2))
				model_ask(t);
			else /* in order, in any, or all but the oldest */
				model_answer(t, !order	     ? 0
						: order == 1 ? draw(t, SIZE)
							     : 1 + draw(t, 2));
			if (!draw(t, 5))
				vq_history_look(&t->h, &t->q, t->now);
		}
		vq_history_look(&t->h, &t->q, t->now);
		/* The driver goes on while nobody serves. */
		for (unsigned i = draw(t, SIZE); i; i--)
			model_ask(t);
	}
	print_message("# known %u times, unknown %u times\n", known, unknown);
	assert_in_range(known, 1000, 20000);
	assert_in_range(unknown, 1000, 20000);
}

static void test_one_that_waits_while_the_ring_goes_round(void **state)
{
	struct model *t = *state;
	u16 index;

	assert_true(model_serve(t));
	model_ask(t);
	for (unsigned i = 0; i < 3 * SIZE; i++) {
		model_ask(t);
		model_answer(t, 1);
		vq_history_look(&t->h, &t->q, t->now += 10);
	}
	assert_false(vq_history_resume(&t->h, &t->q, &index));
	/* As soon as it is answered, nothing is under way. */
	model_answer(t, 0);
	assert_true(model_serve(t));
}

/* The index comes back to where it was: a look that is too late does not take it for the same. */
static void test_the_index_goes_round_between_looks(void **state)
{
	struct model *t = *state;
	u16 index;

	assert_true(model_serve(t));
	model_ask(t);
	for (unsigned i = 0; i < 65536; i++) {
		model_ask(t);
		model_answer(t, 1);
	}
	t->now += VQ_HISTORY_LATE_MS + 1;
	vq_history_look(&t->h, &t->q, t->now);
	assert_int_equal(avail_ring(t)[1], 1);
	assert_int_equal(used_ring(t)[1], 0);
	assert_false(vq_history_resume(&t->h, &t->q, &index));
}

/* What a driver that breaks the rules writes is read within bounds, and known to nobody. */
static void test_a_driver_that_breaks_the_rules(void **state)
{
	struct model *t = *state;
	u16 index;

	assert_true(model_serve(t));
	avail_ring(t)[1] = 3;
	used_ring(t)[1] = 1;
	avail_ring(t)[2] = 0xffff;
	assert_false(vq_history_resume(&t->h, &t->q, &index));
	avail_ring(t)[2] = 0;
	avail_ring(t)[3] = avail_ring(t)[4] = 5; /* twice under way */
	assert_false(vq_history_resume(&t->h, &t->q, &index));
	avail_ring(t)[4] = 6;
	assert_true(vq_history_resume(&t->h, &t->q, &index));
	assert_int_equal(index, 1);
	used_ring(t)[1] = 4; /* more answers than requests */
	assert_false(vq_history_resume(&t->h, &t->q, &index));
	used_ring(t)[1] = 1;
	avail_ring(t)[1] = SIZE + 1; /* more than fit */
	assert_false(vq_history_resume(&t->h, &t->q, &index));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_known_is_true),
		TEST(test_one_that_waits_while_the_ring_goes_round),
		TEST(test_the_index_goes_round_between_looks),
		TEST(test_a_driver_that_breaks_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
