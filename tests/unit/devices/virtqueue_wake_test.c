// SPDX-License-Identifier: GPL-2.0-only
/*
 * No wake-up is lost: a driver and a device in two threads, each of which sleeps whenever the other
 * one allows it to, until both have done all their work. A barrier that is missing shows as a sleep
 * that nobody ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "devices/virtqueue.h"
#include "tests/unit/devices/fake_host.h"

#define SIZE  8
#define DESC  0x1000ULL
#define AVAIL 0x2000ULL
#define USED  0x3000ULL
#define DATA  0x8000ULL
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

/* False: nobody rang for so long that nobody will. */
static bool sleep_on(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	u64 n;

	return poll(&p, 1, LOST) == 1 && read(fd, &n, 8) == 8;
}

static void *device(void *arg)
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

static u16 load(const u8 *p)
{
	return __atomic_load_n((const u16 *)(const void *)p, __ATOMIC_ACQUIRE);
}

static void store(u8 *p, u16 value)
{
	__atomic_store_n((u16 *)(void *)p, value, __ATOMIC_RELEASE);
}

/* The other side of the ring, by the book (2.7.13, 2.7.14), with bursts of any length. */
static bool drive(struct ctx *t, bool event_idx)
{
	u8 *avail = t->f.ram + AVAIL, *used = t->f.ram + USED;
	u8 *used_event = avail + 4 + 2 * SIZE, *avail_event = used + 4 + 8 * SIZE;
	u32 added = 0, taken = 0, seed = 1;

	while (taken < TOTAL) {
		u32 burst = 1 + (seed = seed * 1664525 + 1013904223) / 65536 % SIZE, old = added;
		bool kick;

		for (; burst && added < TOTAL && added - taken < SIZE; burst--) {
			store(avail + 4 + 2 * (added % SIZE), (u16)(added % SIZE));
			store(avail + 2, (u16)++added);
		}
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		kick = event_idx ? vring_need_event(load(avail_event), (u16)added, (u16)old)
				 : !(load(used) & VRING_USED_F_NO_NOTIFY);
		if (added != old && kick) {
			t->kicks++;
			eventfd_write(t->kick, 1);
		}
		while (load(used + 2) == (u16)taken) {
			if (event_idx)
				store(used_event, (u16)taken);
			else
				store(avail, 0);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			if (load(used + 2) == (u16)taken && !sleep_on(t->interrupt))
				return false;
		}
		if (!event_idx)
			store(avail, VRING_AVAIL_F_NO_INTERRUPT);
		taken += (u16)(load(used + 2) - (u16)taken);
	}
	return true;
}

static void run(bool event_idx)
{
	struct ctx *t = aligned_alloc(4096, ALIGN_UP(sizeof(*t), 4096UL));
	pthread_t thread;
	bool good;

	assert_non_null(t);
	memset(t, 0, sizeof(*t));
	fake_host_init(&t->f);
	t->q.max = VIRTQUEUE_MAX;
	virtqueue_reset(&t->q);
	t->q.size = SIZE;
	t->q.desc = DESC;
	t->q.avail = AVAIL;
	t->q.used = USED;
	t->q.event_idx = event_idx;
	assert_int_equal(virtqueue_enable(&t->q, &t->f.host), 0);
	for (unsigned i = 0; i < SIZE; i++) {
		struct vring_desc d = { DATA, 1, 0, 0 };

		memcpy(t->f.ram + DESC + 16UL * i, &d, sizeof(d));
	}
	t->kick = eventfd(0, EFD_NONBLOCK);
	t->interrupt = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(pthread_create(&thread, NULL, device, t), 0);
	good = drive(t, event_idx);
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
	run(false);
}

static void test_no_wake_up_is_lost_by_event_index(void **state)
{
	(void)state;
	run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_wake_up_is_lost_by_flags),
		cmocka_unit_test(test_no_wake_up_is_lost_by_event_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
