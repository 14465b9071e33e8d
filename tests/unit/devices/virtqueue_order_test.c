// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the two full fences of a ring, as a litmus test of store buffering: each side stores what
 * it has to say and then loads what the other one said. It must never happen that neither sees the
 * other's store, for then both sleep. How often an x86 without the fence does that depends on the
 * machine: the tests of the kick have failed within ten to ten thousand rounds each time that its
 * fence was taken away; those of the interrupt have not done so reliably, so what they prove is
 * little. With real sleeps, as in virtqueue_wake_test.c, it never shows, since each is a system
 * call. The driver's side is written here, with a fence of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "tests/unit/devices/pin_cpu.h"
#include "tests/unit/devices/ring_fixture.h"

#define SIZE   256U /* so that index and entries are not in one line of the cache */
#define ROUNDS 400000U
#define SPINS  20000U  /* then the other one seems not to run */
#define ENOUGH 1000000 /* us; on a machine that has other work */
#define LAST   UINT32_MAX

struct ctx {
	struct fake_host f;
	struct virtqueue q;
	struct vq_chain c;
	struct ring_driver r;
	bool (*device)(struct ctx *t);
	cpu_set_t cpus;
	u32 begun __attribute__((aligned(64))); /* rounds; atomic */
	u32 ended __attribute__((aligned(64)));
	bool told; /* what the device made of the round */
};

/* Waits until the counter differs from @old. */
static u32 await_change(const u32 *counter, u32 old)
{
	unsigned spins = 0;
	u32 now;

	while ((now = __atomic_load_n(counter, __ATOMIC_ACQUIRE)) == old)
		if (++spins % SPINS == 0)
			sched_yield();
	return now;
}

static s64 now_us(void)
{
	return (s64)(now_ns() / 1000);
}

static void *device_thread(void *arg)
{
	struct ctx *t = arg;

	/* Each thread has a processor of its own. */
	pin_to_cpu(&t->cpus, 1);
	for (u32 i = 0; (i = await_change(&t->begun, i)) != LAST;) {
		t->told = t->device(t);
		__atomic_store_n(&t->ended, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Publishes an answer, then looks whether the driver wants an interrupt for it. */
static bool device_answer(struct ctx *t)
{
	virtqueue_push(&t->q, 0, 0);
	return virtqueue_wants_interrupt(&t->q);
}

/* Asks the driver for a notification, then looks whether it has published a chain. */
static bool ask_for_kick(struct ctx *t)
{
	return virtqueue_listen(&t->q, true);
}

/* Publishes; returns true if the device is to be told. */
static bool driver_publish(struct ctx *t, u16 n)
{
	ring_store(t->r.avail + 2, (u16)(n + 1));
	return ring_must_notify(&t->r, (u16)(n + 1), n);
}

/* Switches off notifications of both sides before each round. */
static void driver_quiet(struct ctx *t, bool kicks, u16 n)
{
	if (!kicks && !t->r.event_idx)
		ring_ask_for_none(&t->r);
	else if (!kicks)
		ring_store(t->r.avail + 4 + 2 * SIZE, (u16)(n - 1));
	else
		virtqueue_listen(&t->q, false);
}

static void run_litmus(bool kicks, bool event_idx)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));
	const struct queue_place place = { SIZE, DESC, AVAIL, USED };
	const struct vring_desc d = { DATA, 1, 0, 0 };
	u32 lost = 0, seed = 1;
	s64 end = now_us() + ENOUGH;
	pthread_t thread;
	cpu_set_t cpus;

	/* One processor sees its own stores in order. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) || CPU_COUNT(&cpus) < 2)
		skip();
	assert_non_null(t);
	t->q.max = VIRTQUEUE_MAX;
	assert_int_equal(
		ring_enable(&t->q, &t->f, &place, (u64)event_idx << VIRTIO_RING_F_EVENT_IDX), 0);
	t->r = ring_driver_at(&t->f, SIZE, event_idx);
	t->device = kicks ? ask_for_kick : device_answer;
	memcpy(t->f.ram + DESC, &d, sizeof(d));
	t->cpus = cpus;
	assert_int_equal(pthread_create(&thread, NULL, device_thread, t), 0);
	pin_to_cpu(&cpus, 0);
	for (u32 i = 1; i <= ROUNDS && now_us() < end && !lost; i++) {
		u16 n = (u16)(i - 1);
		bool saw;

		driver_quiet(t, kicks, n);
		__atomic_store_n(&t->begun, i, __ATOMIC_RELEASE);
		/* So long does the other one take to see that, more or less. */
		for (u32 wait = (seed = seed * 1664525 + 1013904223) / 65536 % 1024; wait; wait--)
			__asm__ volatile("");
		/* The driver notifies the device, or sees its answer. */
		saw = kicks ? driver_publish(t, n) : ring_ask_for_interrupt(&t->r, n);
		await_change(&t->ended, i - 1);
		lost += !saw && !t->told;
		if (kicks)
			assert_int_equal(virtqueue_pop(&t->q, &t->c), 1);
	}
	__atomic_store_n(&t->begun, LAST, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	assert_int_equal(lost, 0);
	free(t);
}

static void test_interrupt_by_flag(void **state)
{
	(void)state;
	run_litmus(false, false);
}

static void test_interrupt_by_event_index(void **state)
{
	(void)state;
	run_litmus(false, true);
}

static void test_kick_by_flag(void **state)
{
	(void)state;
	run_litmus(true, false);
}

static void test_kick_by_event_index(void **state)
{
	(void)state;
	run_litmus(true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupt_by_flag),
		cmocka_unit_test(test_interrupt_by_event_index),
		cmocka_unit_test(test_kick_by_flag),
		cmocka_unit_test(test_kick_by_event_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
