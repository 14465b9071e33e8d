// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the way of a key through the serial port while the guest prints more than the reader of its
 * console takes: stdout is a pipe whose reader is silent or slow, a terminal, or a socket; somebody
 * types on stdin, and another vCPU of the guest reads the keys.
 */
#include <linux/serial_reg.h>
#include <termios.h>

#include "tests/unit/vmm/endpoint_fixture.h"
#include "vmm/backend/console.h"
#include "vmm/machine/io.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_int.h"

#define KEYS   10
#define KEY_MS 250 /* at most from the key to the guest */

enum stream { PIPE, SOCKETS, TERMINAL };

struct port {
	struct fixture f;
	struct console *c;
	struct guest_spec spec;
	pthread_t printer, reader;
	int keys[2];		/* stdin */
	int out[2];		/* the reader's end of stdout, and stdout */
	bool stop;		/* atomic */
	u64 printed;		/* atomic: bytes */
	unsigned got;		/* atomic: keys */
	unsigned read_len;	/* of the reader of stdout; 0: it is silent */
	unsigned read_pause_us; /* between two of its reads */
};

static u8 port_access(const struct port *p, u16 reg, u8 value, bool write)
{
	struct io_pio_access a = { .port = (u16)(LAYOUT_PORT_COM1 + reg),
				   .size = 1,
				   .write = write,
				   .count = 1,
				   .data = &value };

	io_pio(machine_io(p->f.m), NULL, &a);
	return value;
}

static bool port_stops(const struct port *p)
{
	return __atomic_load_n(&p->stop, __ATOMIC_ACQUIRE);
}

/* A vCPU that prints without end. */
static void *print_lines(void *arg)
{
	struct port *p = arg;

	for (u64 i = 1; !port_stops(p); i++) {
		port_access(p, UART_TX, i % 64 ? 'x' : '\n', true);
		__atomic_store_n(&p->printed, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *read_output(void *arg)
{
	const struct port *p = arg;
	char buf[4096];

	while (p->read_len && !port_stops(p) && read(p->out[0], buf, p->read_len) > 0)
		usleep(p->read_pause_us);
	return NULL;
}

static void open_streams(struct port *p, enum stream kind)
{
	struct termios t;

	if (kind == TERMINAL) {
		p->out[0] = posix_openpt(O_RDWR | O_NOCTTY);
		assert_true(p->out[0] >= 0 && !grantpt(p->out[0]) && !unlockpt(p->out[0]));
		p->out[1] = open(ptsname(p->out[0]), O_RDWR | O_NOCTTY);
		assert_true(p->out[1] >= 0 && !tcgetattr(p->out[1], &t));
		cfmakeraw(&t);
		assert_int_equal(tcsetattr(p->out[1], TCSANOW, &t), 0);
	} else {
		assert_int_equal(kind == PIPE ? pipe(p->out)
					      : socketpair(AF_UNIX, SOCK_STREAM, 0, p->out),
				 0);
	}
	assert_int_equal(pipe(p->keys), 0);
	fixture_streams(&p->f, p->keys[0], p->out[1]);
}

static void port_begin(struct port *p, enum stream kind)
{
	const struct console_config config = { .polled_input = true };
	struct err e;

	fixture_init(&p->f);
	open_streams(p, kind);
	p->spec.console.kind = SPEC_STDIO;
	if (console_create(&p->c, p->f.m, &p->spec, &config, &e))
		fail_msg("%s", e.text);
	assert_int_equal(console_part.start(p->c, false, &e), 0);
	assert_int_equal(pthread_create(&p->f.loop, NULL, serve_loop, &p->f), 0);
	assert_int_equal(pthread_create(&p->printer, NULL, print_lines, p), 0);
	assert_int_equal(pthread_create(&p->reader, NULL, read_output, p), 0);
}

static void port_end(struct port *p)
{
	__atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
	pthread_join(p->printer, NULL);
	loop_stop(machine_loop(p->f.m));
	pthread_join(p->f.loop, NULL);
	console_destroy(p->c);
	dup2(p->f.old_stdin, 0);
	dup2(p->f.old_stdout, 1);
	close(p->f.old_stdin);
	close(p->f.old_stdout);
	close(p->out[1]);
	pthread_join(p->reader, NULL);
	close(p->out[0]);
	close(p->keys[0]);
	close(p->keys[1]);
	fixture_fini(&p->f);
}

/* Waits until more has been printed than ring and reader have room for. */
static void await_full(const struct port *p)
{
	s64 end = now_ms() + 10000;

	while (__atomic_load_n(&p->printed, __ATOMIC_ACQUIRE) < 400000 && now_ms() < end) {
		u64 before = __atomic_load_n(&p->printed, __ATOMIC_ACQUIRE);

		usleep(60000);
		/* A slow reader holds it up. */
		if (before > ENDPOINT_RING &&
		    __atomic_load_n(&p->printed, __ATOMIC_ACQUIRE) - before < 8192)
			return;
	}
}

/* Types a key; returns how long it took until another vCPU had it, in ms. */
static s64 type_key(const struct port *p, char key)
{
	s64 begin = now_ms();

	assert_int_equal(write(p->keys[1], &key, 1), 1);
	while (!(port_access(p, UART_LSR, 0, false) & UART_LSR_DR)) {
		if (now_ms() > begin + 10000)
			fail_msg("a key does not arrive");
		usleep(500);
	}
	assert_int_equal(port_access(p, UART_RX, 0, false), key);
	return now_ms() - begin;
}

static void check_keys(enum stream kind, unsigned read_len, unsigned read_pause_us)
{
	struct port p = { .read_len = read_len, .read_pause_us = read_pause_us };
	s64 worst = 0;

	port_begin(&p, kind);
	await_full(&p);
	for (int i = 0; i < KEYS; i++) {
		s64 ms = type_key(&p, (char)('a' + i));

		worst = ms > worst ? ms : worst;
		assert_loop_answers(&p.f);
	}
	port_end(&p);
	print_message("# the slowest key took %lld ms\n", (long long)worst);
	assert_in_range(worst, 0, KEY_MS);
}

static void keys_with_a_slow_pipe(void **state)
{
	(void)state;
	check_keys(PIPE, 4096, 200000);
}

static void keys_with_a_silent_pipe(void **state)
{
	(void)state;
	check_keys(PIPE, 0, 0);
}

static void keys_with_a_slow_socket(void **state)
{
	(void)state;
	check_keys(SOCKETS, 4096, 100000);
}

static void keys_with_a_slow_terminal(void **state)
{
	(void)state;
	check_keys(TERMINAL, 512, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_with_a_slow_pipe),
		cmocka_unit_test(keys_with_a_silent_pipe),
		cmocka_unit_test(keys_with_a_slow_socket),
		cmocka_unit_test(keys_with_a_slow_terminal),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
