// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests virtio-console: ports and their names, both directions, what waits where, and bad drivers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <linux/virtio_console.h>
#include <pthread.h>

#include "base/clock.h"
#include "devices/virtio_console.h"
#include "tests/unit/devices/driver_fixture.h"

#define DATA   0x10000ULL
#define CTRL   0x18000ULL
#define MULTI  (1ULL << VIRTIO_CONSOLE_F_MULTIPORT)
#define PORTS  3
#define OUTPUT 8192U

struct ctx {
	struct fake_host f;
	struct virtio_console *c;
	struct fixture_driver d;
	pthread_mutex_t lock;
	u8 out[PORTS][OUTPUT];
	size_t out_len[PORTS], limit[PORTS];
	unsigned rooms[PORTS]; /* atomic */
	unsigned turns[PORTS]; /* atomic: opened() was called */
	bool open[PORTS];      /* atomic: what it said */
	bool slow;	       /* atomic: takes everything, 4 KiB in 20 ms */
	unsigned endless; /* atomic: so often the driver still adds to what port 1 has output */
};

#define ENDLESS 300000U

static size_t on_output(void *arg, unsigned port, const u8 *buf, size_t len)
{
	struct ctx *t = arg;

	if (port == 1 && __atomic_load_n(&t->endless, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_sub(&t->endless, 1, __ATOMIC_ACQ_REL);
		driver_offer(&t->d, 5, DATA, 4, false);
		return len;
	}
	if (__atomic_load_n(&t->slow, __ATOMIC_ACQUIRE)) {
		for (unsigned i = 0; i < 20; i++)
			driver_nap();
		return len;
	}
	pthread_mutex_lock(&t->lock);
	if (len > t->limit[port] - t->out_len[port])
		len = t->limit[port] - t->out_len[port];
	memcpy(t->out[port] + t->out_len[port], buf, len);
	t->out_len[port] += len;
	pthread_mutex_unlock(&t->lock);
	return len;
}

static void on_room(void *arg, unsigned port)
{
	struct ctx *t = arg;

	__atomic_fetch_add(&t->rooms[port], 1, __ATOMIC_ACQ_REL);
}

static void on_opened(void *arg, unsigned port, bool open)
{
	struct ctx *t = arg;

	__atomic_store_n(&t->open[port], open, __ATOMIC_RELEASE);
	__atomic_fetch_add(&t->turns[port], 1, __ATOMIC_ACQ_REL);
}

/* So often was it told that @port was opened or closed; it is @open now. */
static void expect_turns(struct ctx *t, unsigned port, unsigned n, bool open)
{
	assert_int_equal(__atomic_load_n(&t->turns[port], __ATOMIC_ACQUIRE), n);
	assert_int_equal(__atomic_load_n(&t->open[port], __ATOMIC_ACQUIRE), open);
	assert_int_equal(virtio_console_is_open(t->c, port), open);
}

static void set_limit(struct ctx *t, unsigned port, size_t limit)
{
	pthread_mutex_lock(&t->lock);
	t->limit[port] = limit;
	pthread_mutex_unlock(&t->lock);
}

static size_t bytes_sent(struct ctx *t, unsigned port)
{
	size_t n;

	pthread_mutex_lock(&t->lock);
	n = t->out_len[port];
	pthread_mutex_unlock(&t->lock);
	return n;
}

static int setup(void **state)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));
	struct virtio_console_params p = {
		.ports = PORTS,
		.names = { NULL, "org.example.0", "b" },
		.output = on_output,
		.room = on_room,
		.opened = on_opened,
		.arg = t,
	};

	assert_non_null(t);
	pthread_mutex_init(&t->lock, NULL);
	for (unsigned i = 0; i < PORTS; i++)
		t->limit[i] = OUTPUT;
	assert_int_equal(virtio_console_create(&t->c, &p), 0);
	assert_int_equal(virtio_create(&t->d.v, &t->f.host, virtio_console_type(t->c), t->c), 0);
	virtio_console_attach(t->c, t->d.v);
	t->d.f = &t->f;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	virtio_destroy(t->d.v);
	virtio_console_destroy(t->c);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return 0;
}

static void send_control(struct ctx *t, u32 id, u16 event, u16 value)
{
	struct virtio_console_control m = { id, event, value };

	memcpy(t->f.ram + CTRL, &m, sizeof(m));
	driver_offer(&t->d, 3, CTRL, sizeof(m), false);
	assert_true(driver_wait(&t->d, 3) >= 0);
}

static void expect_message(struct ctx *t, u32 id, u16 event, const char *name)
{
	struct virtio_console_control m;
	s64 len;

	memset(t->f.ram + DATA, 0, 128);
	driver_offer(&t->d, 2, DATA, 128, true);
	len = driver_wait(&t->d, 2);
	assert_int_equal(len, sizeof(m) + strlen(name));
	memcpy(&m, t->f.ram + DATA, sizeof(m));
	assert_int_equal(m.id, id);
	assert_int_equal(m.event, event);
	assert_int_equal(m.value, 1);
	assert_memory_equal(t->f.ram + DATA + sizeof(m), name, strlen(name));
}

static void bring_up(struct ctx *t)
{
	driver_start(&t->d, MULTI);
	send_control(t, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (u32 i = 0; i < PORTS; i++)
		expect_message(t, i, VIRTIO_CONSOLE_PORT_ADD, "");
	send_control(t, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_message(t, 0, VIRTIO_CONSOLE_CONSOLE_PORT, "");
	expect_message(t, 0, VIRTIO_CONSOLE_PORT_OPEN, "");
	send_control(t, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_message(t, 1, VIRTIO_CONSOLE_PORT_NAME, "org.example.0");
	expect_message(t, 1, VIRTIO_CONSOLE_PORT_OPEN, "");
}

static void test_ports(void **state)
{
	struct ctx *t = *state;
	u32 ports = 0;

	virtio_config_io(t->d.v, 4, &ports, 4, false);
	assert_int_equal(ports, PORTS);
	bring_up(t);
	assert_false(virtio_console_is_open(t->c, 1));
	send_control(t, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(virtio_console_is_open(t->c, 1));
	assert_true(t->rooms[1]);
	send_control(t, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_false(virtio_console_is_open(t->c, 1));
}

/* Each change is told once, also that a reset closes what was open. */
static void test_turns(void **state)
{
	struct ctx *t = *state;

	bring_up(t);
	expect_turns(t, 1, 0, false);
	send_control(t, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_turns(t, 1, 1, true);
	send_control(t, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	send_control(t, PORTS, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_turns(t, 1, 1, true);
	send_control(t, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	send_control(t, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	expect_turns(t, 1, 2, false);
	send_control(t, 2, VIRTIO_CONSOLE_PORT_OPEN, 1);
	expect_turns(t, 2, 1, true);
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	expect_turns(t, 1, 2, false);
	expect_turns(t, 2, 2, false);
	/* A driver without the messages has opened port 0 by being there. */
	expect_turns(t, 0, 0, false);
	driver_start(&t->d, 0);
	expect_turns(t, 0, 1, true);
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	expect_turns(t, 0, 2, false);
}

static void test_output(void **state)
{
	struct ctx *t = *state;

	bring_up(t);
	memcpy(t->f.ram + DATA, "hello", 5);
	driver_offer(&t->d, 5, DATA, 5, false);
	assert_int_equal(driver_wait(&t->d, 5), 0);
	assert_int_equal(bytes_sent(t, 1), 5);
	assert_memory_equal(t->out[1], "hello", 5);
	driver_offer(&t->d, 1, DATA, 4, false);
	assert_int_equal(driver_wait(&t->d, 1), 0);
	assert_int_equal(bytes_sent(t, 0), 4);
}

/* Nobody takes it: the driver's buffer stays, the other ports go on. */
static void test_output_waits(void **state)
{
	struct ctx *t = *state;
	u32 len;

	bring_up(t);
	t->limit[1] = 3;
	memcpy(t->f.ram + DATA, "abcdefgh", 8);
	driver_offer(&t->d, 5, DATA, 8, false);
	driver_offer(&t->d, 5, DATA, 2, false);
	driver_offer(&t->d, 7, DATA, 8, false);
	assert_int_equal(driver_wait(&t->d, 7), 0);
	assert_false(driver_take(&t->d, 5, &len));
	assert_int_equal(bytes_sent(t, 1), 3);
	pthread_mutex_lock(&t->lock);
	t->limit[1] = OUTPUT;
	pthread_mutex_unlock(&t->lock);
	virtio_console_room(t->c, 1);
	assert_int_equal(driver_wait(&t->d, 5), 0);
	assert_int_equal(driver_wait(&t->d, 5), 0);
	assert_memory_equal(t->out[1], "abcdefghab", 10);
}

/* A driver that adds to a port as fast as it is served has nothing of the others' time. */
static void test_endless_output_holds_up_no_port(void **state)
{
	struct ctx *t = *state;
	unsigned left;

	bring_up(t);
	driver_offer(&t->d, 7, DATA, 8, false);
	assert_int_equal(driver_wait(&t->d, 7), 0);
	__atomic_store_n(&t->endless, ENDLESS, __ATOMIC_RELEASE);
	driver_offer(&t->d, 5, DATA, 4, false);
	/* That of port 2 is there before it comes to an end. */
	driver_offer(&t->d, 7, DATA, 8, false);
	for (unsigned i = 0; i < 5000 && bytes_sent(t, 2) < 16; i++)
		driver_nap();
	left = __atomic_load_n(&t->endless, __ATOMIC_ACQUIRE);
	assert_int_equal(bytes_sent(t, 2), 16);
	assert_true(left > 0);
}

/* Ten seconds' worth of output, to a backend that is slow but never full. */
static void test_a_reset_does_not_wait_for_output(void **state)
{
	struct ctx *t = *state;
	s64 begin;

	bring_up(t);
	__atomic_store_n(&t->slow, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 10; i++)
		driver_offer(&t->d, 5, DATA, FAKE_RAM - DATA, false);
	for (unsigned i = 0; i < 50; i++)
		driver_nap();
	begin = now_ms();
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_in_range(now_ms() - begin, 0, 500);
	__atomic_store_n(&t->slow, false, __ATOMIC_RELEASE);
	/* Nothing of it is left over. */
	bring_up(t);
	driver_offer(&t->d, 5, DATA, 4, false);
	assert_int_equal(driver_wait(&t->d, 5), 0);
	assert_int_equal(bytes_sent(t, 1), 4);
}

static void test_input(void **state)
{
	struct ctx *t = *state;
	u8 buf[3000];
	size_t taken;
	u32 len;

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (u8)(i * 7);
	bring_up(t);
	/* Before it is open it waits here, and beyond that with who feeds it. */
	taken = virtio_console_input(t->c, 1, buf, sizeof(buf));
	assert_true(taken && taken < sizeof(buf));
	driver_offer(&t->d, 4, DATA, 100, true);
	driver_nap();
	assert_false(driver_take(&t->d, 4, &len));
	send_control(t, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(driver_wait(&t->d, 4), 100);
	assert_memory_equal(t->f.ram + DATA, buf, 100);
	driver_offer(&t->d, 4, DATA, 4096, true);
	assert_int_equal(driver_wait(&t->d, 4), taken - 100);
	assert_memory_equal(t->f.ram + DATA, buf + 100, taken - 100);
	for (unsigned i = 0; i < 1000 && __atomic_load_n(&t->rooms[1], __ATOMIC_ACQUIRE) < 2; i++)
		driver_nap();
	assert_true(t->rooms[1] >= 2);
	assert_int_equal(virtio_console_input(t->c, 1, buf + taken, 10), 10);
	driver_offer(&t->d, 4, DATA, 4096, true);
	assert_int_equal(driver_wait(&t->d, 4), 10);
}

static void test_without_multiport(void **state)
{
	struct ctx *t = *state;

	assert_int_equal(virtio_console_input(t->c, 0, (const u8 *)"early", 5), 5);
	driver_start(&t->d, 0);
	assert_true(virtio_console_is_open(t->c, 0));
	driver_offer(&t->d, 0, DATA, 64, true);
	assert_int_equal(driver_wait(&t->d, 0), 5);
	assert_memory_equal(t->f.ram + DATA, "early", 5);
	memcpy(t->f.ram + DATA, "x", 1);
	driver_offer(&t->d, 1, DATA, 1, false);
	assert_int_equal(driver_wait(&t->d, 1), 0);
	assert_int_equal(bytes_sent(t, 0), 1);
}

static void test_nonsense(void **state)
{
	struct ctx *t = *state;

	bring_up(t);
	/* Ports that are not there, also those that would be one if a number were cut. */
	for (u32 i = PORTS; i < 300; i++)
		send_control(t, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	send_control(t, 0x10001, VIRTIO_CONSOLE_PORT_OPEN, 1);
	for (unsigned i = 0; i < PORTS; i++)
		assert_false(virtio_console_is_open(t->c, i));
	send_control(t, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(virtio_console_is_open(t->c, 1));
	/* Nobody has it open after a reset. */
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_false(virtio_console_is_open(t->c, 1));
	bring_up(t);
	send_control(t, 0xffffffff, VIRTIO_CONSOLE_PORT_READY, 1);
	send_control(t, 1, 0xffff, 1);
	for (unsigned i = 0; i < 1000; i++)
		send_control(t, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_message(t, 1, VIRTIO_CONSOLE_PORT_NAME, "org.example.0");
	/* A control buffer that no message fits in. */
	driver_offer(&t->d, 2, DATA, 3, true);
	assert_int_equal(driver_wait(&t->d, 2), -1);
	assert_true(driver_broken(&t->d));
	driver_start(&t->d, 0);
	/* A buffer for input that cannot be written. */
	driver_offer(&t->d, 0, DATA, 8, false);
	assert_int_equal(virtio_console_input(t->c, 0, (const u8 *)"x", 1), 1);
	assert_int_equal(driver_wait(&t->d, 0), -1);
	assert_true(driver_broken(&t->d));
	bring_up(t);
}

static void test_reset_storm(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 200; i++) {
		driver_start(&t->d, i % 2 ? MULTI : 0);
		driver_offer(&t->d, 1, DATA, 4096, false);
		virtio_console_input(t->c, 0, (const u8 *)"abc", 3);
		driver_offer(&t->d, 0, DATA, 4096, true);
		set_limit(t, 0, i % 3 ? OUTPUT : bytes_sent(t, 0));
		driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		memset(t->f.ram, 0xcc, FAKE_RAM);
		t->out_len[0] = 0;
		virtio_console_room(t->c, 0);
	}
	/*
	 * Output that waits when the reset comes is forgotten, and nobody waits for room any more.
	 */
	bring_up(t);
	t->limit[0] = t->out_len[0] = 0;
	driver_offer(&t->d, 1, DATA, 100, false);
	driver_nap();
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	t->limit[0] = OUTPUT;
	bring_up(t);
	memcpy(t->f.ram + DATA, "new", 3);
	driver_offer(&t->d, 1, DATA, 3, false);
	assert_int_equal(driver_wait(&t->d, 1), 0);
	assert_int_equal(t->out_len[0], 3);
	assert_memory_equal(t->out[0], "new", 3);
}

static void test_bad_params(void **state)
{
	struct virtio_console_params p = { .ports = 0 };
	struct virtio_console *c;

	(void)state;
	assert_int_equal(virtio_console_create(&c, &p), -EINVAL);
	p.ports = VIRTIO_CONSOLE_PORTS + 1;
	assert_int_equal(virtio_console_create(&c, &p), -EINVAL);
	virtio_console_destroy(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_ports),
		TEST(test_turns),
		TEST(test_output),
		TEST(test_output_waits),
		TEST(test_endless_output_holds_up_no_port),
		TEST(test_a_reset_does_not_wait_for_output),
		TEST(test_input),
		TEST(test_without_multiport),
		TEST(test_nonsense),
		TEST(test_reset_storm),
		cmocka_unit_test(test_bad_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
