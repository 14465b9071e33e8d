// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the turns of a guest's life: which part is called, in which order, and what an error leaves
 * to be done.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/machine/lifecycle.h"

/* What happened, as "start:a quiesce:b ..." */
static char told[400];

struct part {
	const char *name;
	int start_error, reset_error, end_error;
	unsigned again;
};

static void log_turn(const char *what, const struct part *p)
{
	size_t used = strlen(told);

	snprintf(told + used, sizeof(told) - used, "%s%s:%s", used ? " " : "", what, p->name);
}

static int part_start(void *arg, bool again, struct err *e)
{
	struct part *p = arg;

	log_turn("start", p);
	p->again += again;
	return p->start_error ? err_set(e, p->start_error, "%s does not start", p->name) : 0;
}

static void part_quiesce(void *arg)
{
	log_turn("quiesce", arg);
}

static void part_resume(void *arg)
{
	log_turn("resume", arg);
}

static int part_reset(void *arg, struct err *e)
{
	struct part *p = arg;

	log_turn("reset", p);
	return p->reset_error ? err_set(e, p->reset_error, "%s is not reset", p->name) : 0;
}

static int part_end(void *arg, struct err *e)
{
	struct part *p = arg;

	log_turn("end", p);
	return p->end_error ? err_set(e, p->end_error, "%s loses something", p->name) : 0;
}

static const struct lifecycle_ops all = { "all",       part_start, part_quiesce,
					  part_resume, part_reset, part_end };
static const struct lifecycle_ops none = { .name = "none" };

static void expect_told(const char *what)
{
	assert_string_equal(told, what);
	told[0] = '\0';
}

static struct lifecycle *of_three(struct part parts[3])
{
	struct lifecycle *l;

	told[0] = '\0';
	assert_int_equal(lifecycle_create(&l), 0);
	lifecycle_add(l, &all, &parts[0]);
	lifecycle_add(l, &none, &parts[1]);
	lifecycle_add(l, &all, &parts[2]);
	return l;
}

static void test_up_and_down(void **state)
{
	struct part p[3] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
	struct lifecycle *l = of_three(p);
	struct err e;

	(void)state;
	/* Not started: nothing is quiet, nothing is to be resumed. */
	lifecycle_quiesce(l);
	lifecycle_resume(l);
	expect_told("");
	assert_int_equal(lifecycle_start(l, &e), 0);
	expect_told("start:a start:c");
	lifecycle_quiesce(l);
	lifecycle_quiesce(l);
	expect_told("quiesce:c quiesce:a");
	lifecycle_resume(l);
	lifecycle_resume(l);
	expect_told("resume:a resume:c");
	assert_int_equal(lifecycle_reset(l, &e), 0);
	expect_told("reset:c reset:a");
	assert_int_equal(p[0].again, 0);
	assert_int_equal(lifecycle_start(l, &e), 0);
	expect_told("start:a start:c");
	assert_int_equal(p[0].again, 1);
	assert_int_equal(lifecycle_end(l, &e), 0);
	expect_told("end:c end:a");
	/* Once. */
	assert_int_equal(lifecycle_end(l, &e), 0);
	expect_told("");
	lifecycle_destroy(l);
}

static void test_a_pause_outlasts_a_reset(void **state)
{
	struct part p[3] = { { .name = "a" }, { .name = "b" }, { .name = "c" } };
	struct lifecycle *l = of_three(p);
	struct err e;

	(void)state;
	assert_int_equal(lifecycle_start(l, &e), 0);
	lifecycle_quiesce(l);
	assert_int_equal(lifecycle_reset(l, &e), 0);
	assert_int_equal(lifecycle_start(l, &e), 0);
	told[0] = '\0';
	lifecycle_quiesce(l);
	expect_told("");
	lifecycle_resume(l);
	expect_told("resume:a resume:c");
	lifecycle_end(l, &e);
	lifecycle_destroy(l);
}

static void test_the_first_error_counts_and_all_end(void **state)
{
	struct part p[3] = { { .name = "a", .end_error = -EIO },
			     { .name = "b" },
			     { .name = "c", .end_error = -ENOSPC } };
	struct lifecycle *l = of_three(p);
	struct err e;

	(void)state;
	p[0].start_error = -ENOMEM;
	assert_int_equal(lifecycle_start(l, &e), -ENOMEM);
	assert_string_equal(e.text, "a does not start");
	expect_told("start:a");
	assert_int_equal(lifecycle_end(l, &e), -ENOSPC);
	assert_string_equal(e.text, "c loses something");
	expect_told("end:c end:a");
	lifecycle_destroy(l);

	l = of_three(p);
	p[0].start_error = 0;
	p[2].reset_error = -EBADF;
	assert_int_equal(lifecycle_start(l, &e), 0);
	told[0] = '\0';
	assert_int_equal(lifecycle_reset(l, &e), -EBADF);
	assert_string_equal(e.text, "c is not reset");
	expect_told("reset:c");
	assert_int_equal(lifecycle_end(l, NULL), -ENOSPC);
	lifecycle_destroy(l);
	lifecycle_destroy(NULL);
}

/* As the gate and the sessions are, which one struct holds. */
static void test_one_object_may_be_two_parts(void **state)
{
	static const struct lifecycle_ops upper = { .name = "upper", .end = part_end };
	struct part p = { .name = "a" };
	struct lifecycle *l;
	struct err e;

	(void)state;
	told[0] = '\0';
	assert_int_equal(lifecycle_create(&l), 0);
	lifecycle_add(l, &all, &p);
	lifecycle_add(l, &upper, &p);
	assert_int_equal(lifecycle_start(l, &e), 0);
	expect_told("start:a");
	assert_int_equal(lifecycle_end(l, &e), 0);
	expect_told("end:a end:a");
	lifecycle_destroy(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up_and_down),
		cmocka_unit_test(test_a_pause_outlasts_a_reset),
		cmocka_unit_test(test_the_first_error_counts_and_all_end),
		cmocka_unit_test(test_one_object_may_be_two_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
