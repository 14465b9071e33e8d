// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that a job for a file which is waited for leaves nothing behind in the event loop: its
 * owner may free it or begin the next with it then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "vmm/machine/file_job.h"
#include "vmm/machine/machine.h"

static unsigned n_runs, n_done; /* the first one atomic */
static bool others;

static void job_run(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&n_runs, 1, __ATOMIC_RELEASE);
}

static void job_done(void *arg)
{
	(void)arg;
	n_done++;
}

static void other_call(void *arg)
{
	others = true;
	loop_stop(arg);
}

static struct file_job *job_start(struct machine *m, struct file_job *j)
{
	*j = (struct file_job){ .name = "test", .run = job_run, .done = job_done };
	assert_int_equal(file_job_start(j, m), 0);
	return j;
}

/* Waits until the job's thread has told the loop, which does not run. */
static void await_call(const struct file_job *j, unsigned runs)
{
	for (unsigned i = 0; i < 20000; i++) {
		if (__atomic_load_n(&n_runs, __ATOMIC_ACQUIRE) == runs &&
		    __atomic_load_n(&j->call.queued, __ATOMIC_ACQUIRE))
			return;
		usleep(1000);
	}
	fail_msg("the job has not told its end");
}

static void a_job_that_was_waited_for_is_not_called(void **state)
{
	const struct machine_config c = { .memory = 1 << 20, .cpus = 1 };
	/* It stands behind the job's in the list of calls, which begins with the last one. */
	struct loop_call other = { .fn = other_call };
	struct file_job *j = malloc(sizeof(*j));
	struct machine *m;
	struct err e = { "" };

	(void)state;
	if (machine_create(&m, &c, &e))
		fail_msg("%s", e.text);
	machine_set_confine(m, NULL);
	other.arg = machine_loop(m);
	loop_call(machine_loop(m), &other);
	await_call(job_start(m, j), 1);
	file_job_wait(j);
	assert_int_equal(n_done, 1);
	/* The same memory once more, as closer.c and dump.c use it. */
	await_call(job_start(m, j), 2);
	file_job_wait(j);
	assert_int_equal(n_done, 2);
	free(j);
	assert_int_equal(loop_run(machine_loop(m)), 0);
	assert_true(others);
	assert_int_equal(n_done, 2);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_that_was_waited_for_is_not_called),
	};

	/* An event loop that goes round in a ring of calls has no other end. */
	alarm(30);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
