// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a disk's thread that looks for more before it sleeps: a driver that rings and sleeps only
 * when the rings tell it to gets all its answers, a disk without requests costs nothing, and a
 * reset does not wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>

#include "devices/vq_pace.h"
#include "tests/unit/devices/blk_fixture.h"

#define RING	64U
#define SLOTS	16U /* requests at once, of three descriptors each */
#define TOTAL	20000U
#define LOST	10000 /* ms */
#define IDLE_MS 300U

struct wake_driver {
	struct ctx *t;
	struct ring_driver r;
	int interrupt;
	unsigned interrupts; /* atomic */
	unsigned kicks;
	u32 added, taken;
	u16 free[SLOTS], n_free;
};

static void on_interrupt(void *arg, u16 vector)
{
	struct wake_driver *d = arg;

	(void)vector;
	__atomic_fetch_add(&d->interrupts, 1, __ATOMIC_RELAXED);
	eventfd_write(d->interrupt, 1);
}

/*
 * Prepares a read of one sector for each slot; descriptors, headers and buffers stay where they
 * are.
 */
static void open_driver(struct wake_driver *d, struct ctx *t, bool event_idx)
{
	struct virtio_transport transport = { .interrupt = on_interrupt, .arg = d };

	*d = (struct wake_driver){ .t = t, .r = ring_driver_at(&t->f, RING, event_idx) };
	d->interrupt = eventfd(0, EFD_NONBLOCK);
	virtio_set_transport(t->v, &transport);
	start_sized(t, event_idx ? 1ULL << VIRTIO_RING_F_EVENT_IDX : 0, RING);
	for (u16 i = 0; i < SLOTS; i++) {
		struct virtio_blk_outhdr h = { .type = VIRTIO_BLK_T_IN, .sector = i };
		struct vring_desc *desc = (struct vring_desc *)(void *)(t->f.ram + DESC) + 3 * i;

		memcpy(t->f.ram + HEADER + 16UL * i, &h, sizeof(h));
		desc[0] = (struct vring_desc){ HEADER + 16UL * i, 16, VRING_DESC_F_NEXT,
					       (u16)(3 * i + 1) };
		desc[1] = (struct vring_desc){ DATA + 512UL * i, 512,
					       VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
					       (u16)(3 * i + 2) };
		desc[2] = (struct vring_desc){ STATUS + i, 1, VRING_DESC_F_WRITE, 0 };
		d->free[d->n_free++] = i;
	}
}

static void close_driver(struct wake_driver *d)
{
	struct virtio_transport none = { .interrupt = NULL };

	reg_write(d->t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	virtio_set_transport(d->t->v, &none);
	close(d->interrupt);
}

static void add_some(struct wake_driver *d, unsigned n)
{
	u32 old = d->added;
	bool kick;

	for (; n && d->n_free && d->added < TOTAL; n--) {
		u16 slot = d->free[--d->n_free];

		d->t->f.ram[STATUS + slot] = NO;
		ring_add(&d->r, (u16)d->added++, (u16)(3 * slot));
	}
	kick = ring_must_notify(&d->r, (u16)d->added, (u16)old);
	if (d->added != old && kick) {
		d->kicks++;
		virtio_notify(d->t->v, 0);
	}
}

static void sleep_until_interrupt(struct wake_driver *d)
{
	struct pollfd p = { .fd = d->interrupt, .events = POLLIN };
	u64 n;

	if (poll(&p, 1, LOST) != 1)
		fail_msg("no interrupt: %u of %u answered", d->taken, d->added);
	assert_int_equal(read(d->interrupt, &n, 8), 8);
}

static void take_all(struct wake_driver *d)
{
	while (ring_used_index(&d->r) == (u16)d->taken)
		if (!ring_ask_for_interrupt(&d->r, (u16)d->taken))
			sleep_until_interrupt(d);
	ring_ask_for_none(&d->r);
	while (ring_used_index(&d->r) != (u16)d->taken) {
		u16 slot = (u16)(ring_load(d->r.used + 4 + 8 * (d->taken++ % RING)) / 3);

		assert_in_range(slot, 0, SLOTS - 1);
		assert_int_equal(d->t->f.ram[STATUS + slot], VIRTIO_BLK_S_OK);
		d->free[d->n_free++] = slot;
	}
}

static void run_driver(struct ctx *t, bool event_idx, unsigned most)
{
	struct wake_driver d;
	u32 seed = 1;

	open_driver(&d, t, event_idx);
	while (d.taken < TOTAL) {
		add_some(&d, 1 + (seed = seed * 1664525 + 1013904223) / 65536 % most);
		if (seed % 5 == 0 && d.n_free)
			continue;
		take_all(&d);
	}
	print_message("# %u kicks, %u interrupts\n", d.kicks, d.interrupts);
	assert_true(d.kicks <= TOTAL);
	assert_true(d.interrupts <= TOTAL);
	close_driver(&d);
}

static void test_no_wake_up_is_lost_by_flags(void **state)
{
	run_driver(*state, false, SLOTS);
}

static void test_no_wake_up_is_lost_by_event_index(void **state)
{
	run_driver(*state, true, SLOTS);
}

static void test_no_wake_up_is_lost_one_at_a_time(void **state)
{
	run_driver(*state, true, 1);
}

/*
 * In place of vq_pace_poll(), by the linker: a poll of the device ends after so many loads, which
 * leaves it to the machine whether the driver gets to its next request meanwhile. While a driver
 * works, it polls here until there is more or the driver has done.
 */
static bool driver_works; /* atomic */

bool __real_vq_pace_poll(bool (*there)(void *arg), void *arg);
bool __wrap_vq_pace_poll(bool (*there)(void *arg), void *arg);

bool __wrap_vq_pace_poll(bool (*there)(void *arg), void *arg)
{
	if (!__atomic_load_n(&driver_works, __ATOMIC_ACQUIRE))
		return __real_vq_pace_poll(there, arg);
	while (__atomic_load_n(&driver_works, __ATOMIC_ACQUIRE)) {
		if (there(arg))
			return true;
		sched_yield();
	}
	return there(arg);
}

/* Initializes @p as if there were a CPU to spare, whatever the machine. */
void __real_vq_pace_init(struct vq_pace *p, unsigned threads);
void __wrap_vq_pace_init(struct vq_pace *p, unsigned threads);

void __wrap_vq_pace_init(struct vq_pace *p, unsigned threads)
{
	__real_vq_pace_init(p, threads);
	p->polls = true;
}

/*
 * Acts as a driver that sees its answers without interrupts, and has more to do: it waits for the
 * answer to each request that it adds, so that two answers are never there at once by chance.
 */
static void add_one_by_one(struct wake_driver *d)
{
	u16 before = ring_used_index(&d->r);

	for (unsigned n = 0; n < SLOTS; n++) {
		add_some(d, 1);
		while (ring_used_index(&d->r) == (u16)(before + n))
			sched_yield();
	}
}

static void test_answers_share_an_interrupt(void **state)
{
	struct wake_driver d;

	open_driver(&d, *state, false);
	__atomic_store_n(&driver_works, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 10; i++) {
		ring_store(d.t->f.ram + AVAIL, 0);
		add_one_by_one(&d);
		while (d.taken < d.added)
			take_all(&d);
	}
	__atomic_store_n(&driver_works, false, __ATOMIC_RELEASE);
	close_driver(&d);
	print_message("# %u interrupts for %u answers\n", d.interrupts, 10 * SLOTS);
	assert_in_range(d.interrupts, 1, 10 * SLOTS / 4);
}

static u64 used_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (u64)t.tv_sec * 1000000 + (u64)t.tv_nsec / 1000;
}

static void test_an_idle_disk_costs_nothing(void **state)
{
	struct wake_driver d;
	u64 before;

	open_driver(&d, *state, true);
	for (unsigned i = 0; i < 1000; i++) {
		add_some(&d, 1);
		take_all(&d);
	}
	nap();
	before = used_us();
	for (unsigned i = 0; i < IDLE_MS; i++)
		nap();
	assert_in_range(used_us() - before, 0, IDLE_MS * 1000 / 5);
	close_driver(&d);
}

static void test_resets_do_not_wait(void **state)
{
	for (unsigned i = 0; i < 200; i++) {
		struct wake_driver d;

		open_driver(&d, *state, true);
		for (unsigned n = 0; n < i; n++) {
			add_some(&d, 1 + i % 4);
			take_all(&d);
		}
		add_some(&d, SLOTS);
		close_driver(&d);
	}
}

int main(void)
{
#define WITH_RING(f)                                       \
	{                                                  \
#f " (io_uring)", f, setup, teardown, NULL \
	}
#define WITHOUT(f)                                              \
	{                                                       \
#f " (threads)", f, setup_plain, teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		WITH_RING(test_no_wake_up_is_lost_by_flags),
		WITHOUT(test_no_wake_up_is_lost_by_flags),
		WITH_RING(test_no_wake_up_is_lost_by_event_index),
		WITHOUT(test_no_wake_up_is_lost_by_event_index),
		WITH_RING(test_no_wake_up_is_lost_one_at_a_time),
		WITHOUT(test_no_wake_up_is_lost_one_at_a_time),
		WITH_RING(test_answers_share_an_interrupt),
		WITHOUT(test_answers_share_an_interrupt),
		WITH_RING(test_an_idle_disk_costs_nothing),
		WITHOUT(test_an_idle_disk_costs_nothing),
		WITH_RING(test_resets_do_not_wait),
		WITHOUT(test_resets_do_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
