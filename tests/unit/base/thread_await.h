/* SPDX-License-Identifier: GPL-2.0-only */
/* Joins threads of tests with a bound, so that one that hangs fails its test and no other. */
#ifndef UMBRA_TESTS_UNIT_BASE_THREAD_AWAIT_H
#define UMBRA_TESTS_UNIT_BASE_THREAD_AWAIT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

/* Does as pthread_join(3); the test fails if the thread has not ended in @seconds. */
static inline void thread_await(pthread_t thread, unsigned seconds)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += seconds;
	if (pthread_timedjoin_np(thread, NULL, &end))
		fail_msg("a thread has not ended in %u s", seconds);
}

#endif
