// SPDX-License-Identifier: GPL-2.0-only
/* Tests calls on the loop's thread that are taken back before they are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/loop.h"

struct counted {
	struct loop *l;
	unsigned calls;
	struct loop_call *drop; /* what the call takes back */
	bool stop;
};

static void on_call(void *arg)
{
	struct counted *c = arg;

	c->calls++;
	if (c->drop)
		loop_call_cancel(c->l, c->drop);
	if (c->stop)
		loop_stop(c->l);
}

static void a_call_is_taken_back(void **state)
{
	struct counted got[4] = { { .stop = true } };
	struct loop_call calls[4];
	struct loop *l;

	(void)state;
	assert_int_equal(loop_create(&l), 0);
	for (size_t i = 0; i < 4; i++) {
		got[i].l = l;
		calls[i] = (struct loop_call){ .fn = on_call, .arg = &got[i] };
		loop_call(l, &calls[i]);
	}
	/* The last one in is the first one out: it takes another one back. */
	loop_call_cancel(l, &calls[1]);
	loop_call_cancel(l, &calls[1]);
	got[3].drop = &calls[2];
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(got[3].calls, 1);
	assert_int_equal(got[2].calls, 0);
	assert_int_equal(got[1].calls, 0);
	assert_int_equal(got[0].calls, 1);
	/* What was taken back can be asked for again. */
	loop_call(l, &calls[0]);
	loop_call(l, &calls[1]);
	loop_again(l);
	assert_int_equal(loop_run(l), 0);
	assert_int_equal(got[1].calls, 1);
	assert_int_equal(got[0].calls, 2);
	loop_destroy(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
