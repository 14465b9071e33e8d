// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that a job for a file which is waited for has run, on whichever thread, and leaves nothing
 * behind in the event loop: its owner may free it or begin the next with it then. The linker leads
 * calls of the loop here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "tests/unit/base/thread_await.h"
#include "vmm/machine/file_job.h"
#include "vmm/machine/machine.h"

static unsigned n_calls; /* atomic: that the loop has been asked for */
static unsigned n_run, n_done;
static bool others;

void __real_loop_call(struct loop *l, struct loop_call *c);
void __wrap_loop_call(struct loop *l, struct loop_call *c);

void __wrap_loop_call(struct loop *l, struct loop_call *c)
{
	__real_loop_call(l, c);
	__atomic_fetch_add(&n_calls, 1, __ATOMIC_RELEASE);
}

static void job_run(void *arg)
{
	(void)arg;
	n_run++;
}

static void job_done(void *arg)
{
	(void)arg;
	n_done++;
	assert_int_equal(n_run, n_done);
}

static void other_call(void *arg)
{
	others = true;
	loop_stop(arg);
}

static void job_start(struct machine *m, struct file_job *j)
{
	*j = (struct file_job){ .name = "test", .run = job_run, .done = job_done };
	assert_int_equal(file_job_start(j, m), 0);
}

/* Waits until the job's thread has told the loop, which does not run; @calls: of all so far. */
static void await_call(unsigned calls)
{
	for (unsigned i = 0; i < 20000; i++) {
		if (__atomic_load_n(&n_calls, __ATOMIC_ACQUIRE) == calls)
			return;
		usleep(1000);
	}
	fail_msg("the job has not told its end");
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void a_job_that_was_waited_for_is_not_called(void **state)
{
	const struct machine_config c = { .memory = 1 << 20, .cpus = 1 };
	/* It stands behind the job's in the list of calls, which begins with the last one. */
	struct loop_call other = { .fn = other_call };
	struct file_job *j = malloc(sizeof(*j));
	struct machine *m;
	struct err e = { "" };
	pthread_t thread;

	(void)state;
	if (machine_create(&m, &c, &e))
		fail_msg("%s", e.text);
	machine_set_confine(m, NULL);
	other.arg = machine_loop(m);
	loop_call(machine_loop(m), &other);
	job_start(m, j);
	await_call(2);
	file_job_wait(j);
	assert_int_equal(n_done, 1);
	/* The same memory once more, as closer.c and dump.c use it. */
	job_start(m, j);
	await_call(3);
	file_job_wait(j);
	assert_int_equal(n_done, 2);
	free(j);
	/* A ring of calls has no end. */
	assert_int_equal(pthread_create(&thread, NULL, run_loop, machine_loop(m)), 0);
	thread_await(thread, 10);
	assert_true(others);
	assert_int_equal(n_done, 2);
	machine_destroy(m);
}

struct beginner {
	struct machine *m;
	struct file_job *j;
};

static void *begin_elsewhere(void *arg)
{
	const struct beginner *b = arg;

	job_start(b->m, b->j);
	return NULL;
}

/* Threads are made by the thread that confined itself, which has no turn any more. */
static void a_job_without_a_thread_is_done_by_who_waits(void **state)
{
	const struct machine_config c = { .memory = 1 << 20, .cpus = 1 };
	struct file_job j;
	struct beginner b = { .j = &j };
	struct err e = { "" };
	pthread_t thread;

	(void)state;
	n_run = n_done = 0;
	if (machine_create(&b.m, &c, &e))
		fail_msg("%s", e.text);
	machine_set_confine(b.m, NULL);
	assert_int_equal(pthread_create(&thread, NULL, begin_elsewhere, &b), 0);
	thread_await(thread, 10);
	assert_int_equal(n_run, 0);
	assert_true(file_job_ms(&j) > 0);
	file_job_wait(&j);
	assert_int_equal(n_run, 1);
	assert_int_equal(n_done, 1);
	assert_int_equal(file_job_ms(&j), 0);
	machine_destroy(b.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_that_was_waited_for_is_not_called),
		cmocka_unit_test(a_job_without_a_thread_is_done_by_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
