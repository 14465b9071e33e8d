// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the output of a client that does not read: it is kept, in order, and what each answer costs
 * does not grow with what waits already. The linker leads realloc() here, which counts. Tests too
 * that each descriptor that comes is dropped by its owner's function, and none by the kernel.
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
#include "tests/unit/vmm/send_fds.h"
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

/* --- descriptors ---------------------------------------------------------------------------- */

#define MANY SEND_FDS_MAX

static unsigned dropped;

static void on_drop(struct peer *p, int fd)
{
	(void)p;
	dropped++;
	close(fd);
}

static void on_wants_turn(struct peer *p)
{
	(void)p;
}

/* Sends a byte with @n descriptors. */
static void send_many(int to, unsigned n)
{
	int fds[SEND_FDS_MAX];

	for (unsigned i = 0; i < n; i++)
		fds[i] = STDIN_FILENO;
	assert_int_equal(send_fds(to, " ", 1, fds, n, 0), 1);
}

struct one_peer {
	struct peer p;
	struct loop *l;
	int pair[2];
};

static void one_peer_open(struct one_peer *o)
{
	static const struct peer_ops ops = {
		.wants_turn = on_wants_turn, .input = on_input, .gone = on_gone, .drop = on_drop
	};

	*o = (struct one_peer){ .p.fd = -1 };
	dropped = 0;
	gone = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, o->pair), 0);
	assert_int_equal(loop_create(&o->l), 0);
	assert_int_equal(peer_open(&o->p, o->l, o->pair[0], &ops), 0);
}

/* Runs the loop for a moment. */
static void one_peer_serve(struct one_peer *o)
{
	int timer = loop_timer(o->l, 1000000, 0, stop_loop, o->l);

	assert_true(timer >= 0);
	assert_int_equal(loop_run(o->l), 0);
	loop_timer_del(o->l, timer);
	loop_again(o->l);
}

static void one_peer_close(struct one_peer *o)
{
	peer_close(&o->p);
	assert_true(gone);
	close(o->pair[1]);
	loop_destroy(o->l);
}

/* The kernel closes those that find no room, and its caller waits for that. */
static void all_descriptors_of_a_message_are_received(void **state)
{
	struct one_peer o;

	(void)state;
	one_peer_open(&o);
	send_many(o.pair[1], MANY);
	one_peer_serve(&o);
	assert_int_equal(o.p.n_loose, PEER_LOOSE_FDS);
	assert_int_equal(dropped, MANY - PEER_LOOSE_FDS);
	one_peer_close(&o);
	assert_int_equal(dropped, MANY);
}

/* At an end none waits for a turn that may not come. */
static void descriptors_are_dropped_as_they_come(void **state)
{
	struct one_peer o;

	(void)state;
	one_peer_open(&o);
	o.p.drops = true;
	send_many(o.pair[1], 2);
	one_peer_serve(&o);
	assert_int_equal(dropped, 2);
	assert_int_equal(peer_take_fd(&o.p), -1);
	one_peer_close(&o);
}

/* close(2) of the socket would close them as well. */
static void descriptors_on_their_way_are_dropped(void **state)
{
	struct one_peer o;

	(void)state;
	one_peer_open(&o);
	send_many(o.pair[1], 1);
	one_peer_serve(&o); /* reads no more before its turn */
	assert_true(o.p.more);
	send_many(o.pair[1], 9);
	send_many(o.pair[1], MANY);
	assert_int_equal(dropped, 0);
	one_peer_close(&o);
	assert_int_equal(dropped, 1 + 9 + MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_waits_is_not_copied_for_each_answer),
		cmocka_unit_test(all_descriptors_of_a_message_are_received),
		cmocka_unit_test(descriptors_are_dropped_as_they_come),
		cmocka_unit_test(descriptors_on_their_way_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
