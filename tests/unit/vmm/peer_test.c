// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the output of a client that does not read: it is kept, in order, and what each answer costs
 * does not grow with what waits already. The linker leads realloc() here, which counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "vmm/control/peer.h"

#define ANSWER	1000U
#define ANSWERS 6000U

static unsigned grown;
static bool gone;

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
	grown++;
	return __real_realloc(p, size);
}

static int on_input(struct peer *p)
{
	(void)p;
	return 0;
}

static void on_gone(struct peer *p)
{
	(void)p;
	gone = true;
}

static void make_answer(char text[ANSWER + 1], unsigned i)
{
	snprintf(text, ANSWER + 1, "%0*u", (int)ANSWER, i);
}

static void stop_loop(void *arg, u32 expiries)
{
	(void)expiries;
	loop_stop(arg);
}

static void what_waits_is_not_copied_for_each_answer(void **state)
{
	const struct peer_ops ops = { .input = on_input, .gone = on_gone };
	char text[ANSWER + 1], got[ANSWER];
	struct peer p = { .fd = -1 };
	struct loop *l;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(loop_create(&l), 0);
	assert_int_equal(peer_open(&p, l, pair[0], &ops), 0);
	for (unsigned i = 0; i < ANSWERS; i++) {
		make_answer(text, i);
		assert_int_equal(peer_send(&p, text, ANSWER), 0);
		/* The socket's own room is not full yet. */
		if (!p.out_len)
			grown = 0;
	}
	assert_in_range(grown, 1, 20);
	assert_true(loop_timer(l, 1000000, 1000000, stop_loop, l) >= 0);
	for (unsigned i = 0; i < ANSWERS; i++) {
		make_answer(text, i);
		for (size_t at = 0; at < ANSWER;) {
			ssize_t n = recv(pair[1], got + at, ANSWER - at, MSG_DONTWAIT);

			if (n > 0) {
				at += (size_t)n;
				continue;
			}
			loop_again(l);
			assert_int_equal(loop_run(l), 0);
		}
		assert_memory_equal(got, text, ANSWER);
	}
	/* Without a reader there is an end to it. */
	for (unsigned i = 0; i < 2 * PEER_OUTPUT_MAX / ANSWER; i++)
		if (peer_send(&p, text, ANSWER) < 0)
			break;
	assert_true(peer_send(&p, text, ANSWER) < 0);
	peer_close(&p);
	assert_true(gone);
	close(pair[1]);
	loop_destroy(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_is_not_copied_for_each_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
