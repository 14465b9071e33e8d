// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that no wake-up is lost: a driver and a device in two threads, each of which sleeps
 * whenever the other one allows it to, until both have done all their work. A barrier that is
 * missing shows as a sleep that nobody ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "tests/unit/devices/ring_fixture.h"

#define SIZE  8
#define TOTAL 60000U
#define LOST  10000 /* ms */

struct ctx {
	struct fake_host f;
	struct virtqueue q;
	struct vq_chain c;
	int kick, interrupt;
	unsigned served; /* by the device */
	bool lost;	 /* by the device; atomic */
	unsigned kicks, interrupts;
};

/* Sleeps until the other side rings; false: it has not rung for so long that it will not. */
static bool sleep_on(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	u64 n;

	return poll(&p, 1, LOST) == 1 && read(fd, &n, 8) == 8;
}

static void *device_thread(void *arg)
{
	struct ctx *t = arg;

	while (t->served < TOTAL) {
		do {
			virtqueue_listen(&t->q, false);
			while (virtqueue_pop(&t->q, &t->c) == 1) {
				virtqueue_push(&t->q, t->c.head, 0);
				t->served++;
			}
			if (virtqueue_wants_interrupt(&t->q)) {
				t->interrupts++;
				eventfd_write(t->interrupt, 1);
			}
		} while (virtqueue_listen(&t->q, true));
		if (t->served < TOTAL && !sleep_on(t->kick)) {
			__atomic_store_n(&t->lost, true, __ATOMIC_RELAXED);
			break;
		}
	}
	return NULL;
}

/* Acts as the other side of the ring, with bursts of any length. */
static bool drive_queue(struct ctx *t, bool event_idx)
{
	const struct ring_driver r = ring_driver_at(&t->f, SIZE, event_idx);
	u32 added = 0, taken = 0, seed = 1;

	while (taken < TOTAL) {
		u32 burst = 1 + (seed = seed * 1664525 + 1013904223) / 65536 % SIZE, old = added;
		bool kick;

		for (; burst && added < TOTAL && added - taken < SIZE; burst--, added++)
			ring_add(&r, (u16)added, (u16)(added % SIZE));
		kick = ring_must_notify(&r, (u16)added, (u16)old);
		if (added != old && kick) {
			t->kicks++;
			eventfd_write(t->kick, 1);
		}
		while (ring_used_index(&r) == (u16)taken)
			if (!ring_ask_for_interrupt(&r, (u16)taken) && !sleep_on(t->interrupt))
				return false;
		ring_ask_for_none(&r);
		taken += (u16)(ring_used_index(&r) - (u16)taken);
	}
	return true;
}

static void run_pair(bool event_idx)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));
	const struct queue_place place = { SIZE, DESC, AVAIL, USED };
	pthread_t thread;
	bool good;

	assert_non_null(t);
	t->q.max = VIRTQUEUE_MAX;
	assert_int_equal(
		ring_enable(&t->q, &t->f, &place, (u64)event_idx << VIRTIO_RING_F_EVENT_IDX), 0);
	for (unsigned i = 0; i < SIZE; i++) {
		struct vring_desc d = { DATA, 1, 0, 0 };

		memcpy(t->f.ram + DESC + 16UL * i, &d, sizeof(d));
	}
	t->kick = eventfd(0, EFD_NONBLOCK);
	t->interrupt = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(pthread_create(&thread, NULL, device_thread, t), 0);
	good = drive_queue(t, event_idx);
	pthread_join(thread, NULL);
	assert_true(good);
	assert_false(t->lost);
	assert_int_equal(t->served, TOTAL);
	/* Both did sleep, and not for each buffer. */
	assert_in_range(t->kicks, 10, TOTAL);
	assert_in_range(t->interrupts, 10, TOTAL);
	close(t->kick);
	close(t->interrupt);
	free(t);
}

static void test_no_wake_up_is_lost_by_flags(void **state)
{
	(void)state;
	run_pair(false);
}

static void test_no_wake_up_is_lost_by_event_index(void **state)
{
	(void)state;
	run_pair(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_wake_up_is_lost_by_flags),
		cmocka_unit_test(test_no_wake_up_is_lost_by_event_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
