// SPDX-License-Identifier: GPL-2.0-only
/* Tests the UART as the kernel's 8250 driver uses it, and the promise that no input is lost. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <linux/serial_reg.h>

#include "devices/power.h"
#include "devices/serial.h"
#include "tests/unit/devices/fake_host.h"

#define PORT 0x3f8

struct ctx {
	struct fake_host f;
	struct serial *s;
	char out[64];
	unsigned n_out, rooms;
};

static void on_output(void *arg, u8 byte)
{
	struct ctx *t = arg;

	if (t->n_out < sizeof(t->out))
		t->out[t->n_out++] = (char)byte;
}

static void on_room(void *arg)
{
	((struct ctx *)arg)->rooms++;
}

static int setup(void **state)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));
	struct serial_config c = { .port = PORT, .gsi = 4, .output = on_output, .room = on_room };

	assert_non_null(t);
	c.arg = t;
	assert_int_equal(serial_create(&t->s, &t->f.host, &c), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	serial_destroy(t->s);
	free(t);
	return 0;
}

static u8 uart_in(struct ctx *t, unsigned reg)
{
	return (u8)fake_in(&t->f, (u16)(PORT + reg), 1);
}

static void uart_out(struct ctx *t, unsigned reg, u8 value)
{
	fake_out(&t->f, (u16)(PORT + reg), value, 1);
}

static void test_output(void **state)
{
	struct ctx *t = *state;

	for (const char *p = "hi\n"; *p; p++) {
		assert_true(uart_in(t, UART_LSR) & UART_LSR_THRE);
		uart_out(t, UART_TX, (u8)*p);
	}
	assert_memory_equal(t->out, "hi\n", 3);
	/* The divisor is not data. */
	uart_out(t, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	uart_out(t, UART_DLL, 12);
	uart_out(t, UART_DLM, 3);
	assert_int_equal(uart_in(t, UART_DLL), 12);
	assert_int_equal(uart_in(t, UART_DLM), 3);
	uart_out(t, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(t->n_out, 3);
	assert_int_equal(uart_in(t, UART_IER), 0);
}

/* What the 8250 driver does to find out what it has. */
static void test_probe(void **state)
{
	struct ctx *t = *state;

	uart_out(t, UART_IER, 0);
	assert_int_equal(uart_in(t, UART_IER), 0);
	uart_out(t, UART_IER, 0x0f);
	assert_int_equal(uart_in(t, UART_IER), 0x0f);
	uart_out(t, UART_IER, 0xff);
	assert_int_equal(uart_in(t, UART_IER), 0x0f); /* no power management bits */
	uart_out(t, UART_IER, 0);
	uart_out(t, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(uart_in(t, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	uart_out(t, UART_TX, 'x');
	assert_int_equal(t->n_out, 0);
	assert_int_equal(uart_in(t, UART_RX), 'x');
	/* What went round is gone with the loop. */
	uart_out(t, UART_TX, 'y');
	uart_out(t, UART_MCR, 0);
	assert_int_equal(uart_in(t, UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(uart_in(t, UART_RX), 0);
	assert_int_equal(uart_in(t, UART_IIR) & 0xc0, 0);
	uart_out(t, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(uart_in(t, UART_IIR) & 0xc0, 0xc0); /* 16550A */
	uart_out(t, UART_SCR, 0xa5);
	assert_int_equal(uart_in(t, UART_SCR), 0xa5);
	assert_int_equal(uart_in(t, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}

static void test_input_survives_open(void **state)
{
	struct ctx *t = *state;

	assert_int_equal(serial_input(t->s, (const u8 *)"ab", 2), 2);
	/* Start-up of the driver: FIFOs cleared, every register read idly. */
	uart_out(t, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	uart_out(t, UART_FCR, 0);
	assert_false(uart_in(t, UART_LSR) & UART_LSR_DR);
	for (unsigned i = 0; i < 4; i++)
		uart_in(t, UART_RX);
	assert_int_equal(t->f.edges, 0);
	uart_out(t, UART_IER, UART_IER_RDI);
	assert_true(t->f.line);
	assert_int_equal(uart_in(t, UART_IIR) & UART_IIR_ID, UART_IIR_RDI);
	assert_true(uart_in(t, UART_LSR) & UART_LSR_DR);
	assert_int_equal(uart_in(t, UART_RX), 'a');
	assert_int_equal(uart_in(t, UART_RX), 'b');
	assert_false(uart_in(t, UART_LSR) & UART_LSR_DR);
	assert_false(t->f.line);
	assert_int_equal(uart_in(t, UART_IIR) & 0x0f, UART_IIR_NO_INT);
}

static void test_flow_control(void **state)
{
	struct ctx *t = *state;
	u8 data[3000];
	size_t given = 0, got = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i * 7);
	uart_out(t, UART_IER, UART_IER_RDI);
	given = serial_input(t->s, data, sizeof(data));
	assert_in_range(given, 1, sizeof(data) - 1);
	assert_int_equal(serial_input(t->s, data + given, 1), 0);
	while (uart_in(t, UART_LSR) & UART_LSR_DR) {
		assert_int_equal(uart_in(t, UART_RX), data[got]);
		got++;
		if (t->rooms) {
			t->rooms = 0;
			given += serial_input(t->s, data + given, sizeof(data) - given);
		}
	}
	assert_int_equal(got, sizeof(data));
	assert_int_equal(given, sizeof(data));
}

static void test_transmit_interrupt(void **state)
{
	struct ctx *t = *state;

	uart_out(t, UART_IER, UART_IER_THRI);
	assert_true(t->f.line);
	assert_int_equal(uart_in(t, UART_IIR) & UART_IIR_ID, UART_IIR_THRI);
	assert_false(t->f.line); /* reading it acknowledges */
	uart_out(t, UART_TX, 'x');
	assert_true(t->f.line);
	assert_int_equal(t->f.edges, 2);
	uart_out(t, UART_IER, 0);
	assert_false(t->f.line);
	/* Wide accesses are as many narrow ones. */
	fake_out(&t->f, PORT, 0x03010041, 4);
	assert_int_equal(fake_in(&t->f, PORT, 4) >> 24, 3);
}

/* What a kernel had set up, the next one does not find. */
static void test_reset(void **state)
{
	struct ctx *t = *state;

	fake_out(&t->f, PORT + 3, 0x80, 1);
	fake_out(&t->f, PORT, 12, 1);
	fake_out(&t->f, PORT + 3, 3, 1);
	fake_out(&t->f, PORT + 1, 3, 1);
	fake_out(&t->f, PORT + 7, 0x5a, 1);
	assert_int_equal(serial_input(t->s, (const u8 *)"abc", 3), 3);
	assert_int_equal(fake_in(&t->f, PORT + 5, 1) & 1, 1);
	serial_reset(t->s);
	assert_int_equal(fake_in(&t->f, PORT + 1, 1), 0);
	assert_int_equal(fake_in(&t->f, PORT + 3, 1), 0);
	assert_int_equal(fake_in(&t->f, PORT + 7, 1), 0);
	fake_out(&t->f, PORT + 1, 1, 1);
	assert_int_equal(fake_in(&t->f, PORT + 5, 1) & 1, 0);
	fake_out(&t->f, PORT + 3, 0x80, 1);
	assert_int_equal(fake_in(&t->f, PORT, 1), 1);
	fake_out(&t->f, PORT + 3, 0, 1);
}

struct slow_reader {
	struct ctx *t;
	sem_t entered, leave;
	bool late;    /* nothing let a byte go on for two seconds */
	int inside;   /* calls of output() at a time; atomic */
	bool crowded; /* more than one; atomic */
	char got[4];
	unsigned n;
};

static void on_slow_output(void *arg, u8 byte)
{
	struct slow_reader *r = arg;
	struct timespec until;

	if (__atomic_fetch_add(&r->inside, 1, __ATOMIC_SEQ_CST))
		__atomic_store_n(&r->crowded, true, __ATOMIC_SEQ_CST);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	sem_post(&r->entered);
	if (sem_timedwait(&r->leave, &until))
		r->late = true;
	if (r->n < sizeof(r->got))
		r->got[r->n++] = (char)byte;
	__atomic_fetch_sub(&r->inside, 1, __ATOMIC_SEQ_CST);
}

static void on_slow_room(void *arg)
{
	(void)arg;
}

static void *send_x(void *arg)
{
	uart_out(arg, UART_TX, 'x');
	return NULL;
}

static void *send_y(void *arg)
{
	uart_out(arg, UART_TX, 'y');
	return NULL;
}

/* The main thread gives the guest a key, and another vCPU reads it, while a reader is slow. */
static void test_input_does_not_wait_for_output(void **state)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	struct slow_reader r = { .t = fake_host_alloc(sizeof(*r.t)) };
	struct serial_config c = {
		.port = PORT,
		.gsi = 4,
		.output = on_slow_output,
		.room = on_slow_room,
		.arg = &r,
	};
	pthread_t x, y;

	(void)state;
	assert_non_null(r.t);
	sem_init(&r.entered, 0, 0);
	sem_init(&r.leave, 0, 0);
	assert_int_equal(serial_create(&r.t->s, &r.t->f.host, &c), 0);
	assert_int_equal(pthread_create(&x, NULL, send_x, r.t), 0);
	sem_wait(&r.entered);
	assert_int_equal(serial_input(r.t->s, (const u8 *)"k", 1), 1);
	uart_out(r.t, UART_IER, UART_IER_RDI);
	assert_int_equal(uart_in(r.t, UART_RX), 'k');
	assert_false(r.late);
	/* The next byte waits for its turn. */
	assert_int_equal(pthread_create(&y, NULL, send_y, r.t), 0);
	nanosleep(&moment, NULL);
	sem_post(&r.leave);
	sem_wait(&r.entered);
	sem_post(&r.leave);
	pthread_join(x, NULL);
	pthread_join(y, NULL);
	assert_false(r.late);
	assert_false(r.crowded);
	assert_memory_equal(r.got, "xy", 2);
	sem_destroy(&r.entered);
	sem_destroy(&r.leave);
	serial_destroy(r.t->s);
	free(r.t);
}

static void test_power(void **state)
{
	struct ctx *t = *state;
	static const struct power_config c = {
		.sleep_port = 0x600,
		.reset_port = 0x604,
		.pvpanic_port = 0x505,
		.ged_port = 0x610,
		.ged_gsi = 9,
		.sleep_type_off = 5,
	};
	struct power *p;

	assert_int_equal(power_create(&p, &t->f.host, &c), 0);
	fake_out(&t->f, 0x601, 0x80, 1);
	fake_out(&t->f, 0x600, 0x20, 1); /* another sleep type */
	fake_out(&t->f, 0x604, 0, 1);
	fake_out(&t->f, 0x64, 0xd1, 1);
	fake_out(&t->f, 0x505, 2, 1);
	assert_int_equal(t->f.power_calls, 0);
	fake_out(&t->f, 0x600, 0x34, 1);
	assert_int_equal(t->f.power, HOST_POWEROFF);
	fake_out(&t->f, 0x604, 1, 1);
	assert_int_equal(t->f.power, HOST_RESET);
	fake_out(&t->f, 0x505, 1, 1);
	assert_int_equal(t->f.power, HOST_PANICKED);
	fake_out(&t->f, 0x64, 0xfe, 1);
	assert_int_equal(t->f.power, HOST_RESET);
	assert_int_equal(t->f.power_calls, 4);
	assert_int_equal(fake_in(&t->f, 0x505, 1), 1);
	assert_int_equal(fake_in(&t->f, 0x64, 1) & 2, 0);
	power_button(p);
	assert_int_equal(t->f.edges, 1);
	assert_int_equal(fake_in(&t->f, 0x610, 1), 1);
	assert_int_equal(fake_in(&t->f, 0x610, 1), 0);
	power_destroy(p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_output),
		TEST(test_probe),
		TEST(test_input_survives_open),
		TEST(test_flow_control),
		TEST(test_transmit_interrupt),
		TEST(test_reset),
		cmocka_unit_test(test_input_does_not_wait_for_output),
		TEST(test_power),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
