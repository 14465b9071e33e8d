// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests one control socket from its file to its end: a good client is answered among a silent one,
 * one that babbles, and one that sends a hundred slow commands at once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"
#include "tests/unit/vmm/send_fds.h"
#include "vmm/control/control.h"

static void answer_echo(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	control_reply(r, json_deep_copy(args));
}

static void stop_loop(void *arg, struct control_request *r, const json_t *args)
{
	(void)args;
	control_fail(r, "stopping");
	loop_stop(arg);
}

static const struct control_command commands[] = { { "echo", answer_echo },
						   { "stop", stop_loop },
						   { NULL, NULL } };

static int dial_control(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void stop_at_once(void *arg, u32 expiries)
{
	(void)expiries;
	loop_stop(arg);
}

/* Serves the loop for some rounds. */
static void serve_once(struct loop *l)
{
	int timer = loop_timer(l, 500000, 0, stop_at_once, l);

	loop_again(l);
	assert_int_equal(loop_run(l), 0);
	loop_timer_del(l, timer);
}

static void control_serves_good_clients_among_bad_ones(void **state)
{
	static const char talk[] =
		"{\"execute\":\"echo\"}{\"execute\":\"qmp_capabilities\"}"
		"{\"execute\":\"echo\",\"id\":7,\"arguments\":{\"a\":1}}"
		"{\"execute\":\"nothing\"}\r\n"
		"{\"execute\":\"echo\",\"arguments\":{\"a\":99999999999999999999}}\r\n"
		"{\"execute\":\"stop\"}";
	char path[] = "/tmp/umbra-unit-XXXXXX", got[4096];
	struct control *c, *second;
	int silent, babbler, good;
	struct stat st;
	struct loop *l;
	struct err e;
	ssize_t n;

	(void)state;
	assert_int_equal(mkstemp(path) < 0, 0);
	unlink(path);
	assert_int_equal(loop_create(&l), 0);
	assert_int_equal(control_create(&c, l, path, &e), 0);
	assert_int_equal(control_add(c, commands, l), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(control_create(&second, l, path, &e), -EADDRINUSE);
	silent = dial_control(path);
	babbler = dial_control(path);
	good = dial_control(path);
	memset(got, '{', sizeof(got));
	assert_int_equal(send(babbler, got, sizeof(got), 0), sizeof(got));
	assert_int_equal(send(good, talk, sizeof(talk) - 1, 0), sizeof(talk) - 1);
	assert_int_equal(loop_run(l), 0);
	n = recv(good, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = 0;
	assert_non_null(strstr(got, "{\"QMP\""));
	assert_non_null(strstr(got, "qmp_capabilities"));
	assert_non_null(strstr(got, "{\"return\":{\"a\":1},\"id\":7}"));
	assert_non_null(strstr(got, "The command nothing has not been found"));
	/* A number that is too large costs no client its connection. */
	assert_non_null(strstr(got, "Invalid JSON syntax"));
	assert_non_null(strstr(got, "stopping"));
	control_destroy(c);
	assert_int_equal(access(path, F_OK), -1);
	loop_destroy(l);
	close(silent);
	close(babbler);
	close(good);
}

/* Serves @l for as long as @fd has nothing new for the client; what there is then goes to @got. */
static void expect_answer(struct loop *l, int fd, const char *want)
{
	char got[4096];
	size_t used = 0;
	ssize_t n;

	got[0] = '\0';
	for (unsigned i = 0; i < 20000 && !strstr(got, want); i++) {
		serve_once(l);
		n = recv(fd, got + used, sizeof(got) - 1 - used, MSG_DONTWAIT);
		used += n > 0 ? (size_t)n : 0;
		got[used] = '\0';
	}
	if (!strstr(got, want))
		fail_msg("no %s: %s", want, got);
}

/*
 * A command may come in pieces, which end anywhere: in a word, a number, an escape, a character.
 * One that has no end, and one that is none, cost no client its connection.
 */
static void commands_come_in_pieces(void **state)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}";
	static const char text[] = "{\"execute\":\"echo\",\"arguments\":{\"a\":true,\"b\":-1.5e3,"
				   "\"c\":\"\\u00e9 \xc3\xa9\"}}\r\n";
	static char junk[70000];
	char path[] = "/tmp/umbra-unit-XXXXXX";
	struct control *c;
	struct loop *l;
	struct err e;
	int fd;

	(void)state;
	assert_int_equal(mkstemp(path) < 0, 0);
	unlink(path);
	assert_int_equal(loop_create(&l), 0);
	assert_int_equal(control_create(&c, l, path, &e), 0);
	assert_int_equal(control_add(c, commands, l), 0);
	fd = dial_control(path);
	assert_int_equal(send(fd, hello, sizeof(hello) - 1, 0), sizeof(hello) - 1);
	expect_answer(l, fd, "{\"return\":{}}");
	for (size_t i = 1; i < sizeof(text) - 1; i++) {
		assert_int_equal(send(fd, text, i, 0), i);
		serve_once(l);
		assert_int_equal(send(fd, text + i, sizeof(text) - 1 - i, 0), sizeof(text) - 1 - i);
		expect_answer(l, fd, "{\"return\":{\"a\":true,\"b\":-1500.0,");
	}
	memset(junk, ' ', sizeof(junk));
	memcpy(junk, "{\"execute\":", 11);
	junk[sizeof(junk) - 1] = '\n';
	assert_int_equal(send(fd, junk, sizeof(junk), 0), sizeof(junk));
	expect_answer(l, fd, "QMP input is longer than 64 KiB");
	assert_int_equal(send(fd, "truth\n", 6, 0), 6);
	expect_answer(l, fd, "Invalid JSON syntax");
	assert_int_equal(send(fd, text, sizeof(text) - 1, 0), sizeof(text) - 1);
	expect_answer(l, fd, "{\"return\":{\"a\":true,");
	close(fd);
	control_destroy(c);
	loop_destroy(l);
}

#define CHECKS 100

/*
 * A loop with a socket, whose command "check" takes 5 ms. It ends after CHECKS of them, or after
 * 5 s.
 */
struct crowd {
	struct loop *l;
	struct control *c;
	char path[32];
	unsigned checks;	  /* that have been executed */
	unsigned checks_at_hello; /* when another client's first command was */
};

static void crowd_check(void *arg, struct control_request *r, const json_t *args)
{
	struct crowd *w = arg;

	(void)args;
	usleep(5000);
	control_reply(r, NULL);
	if (++w->checks == CHECKS)
		loop_stop(w->l);
}

static void crowd_hello(void *arg, struct control_request *r, const json_t *args)
{
	struct crowd *w = arg;

	(void)args;
	w->checks_at_hello = w->checks;
	control_reply(r, NULL);
}

/* Answers with more than a socket takes that nobody reads. */
static void crowd_big(void *arg, struct control_request *r, const json_t *args)
{
	static char text[1 << 20];

	(void)arg;
	(void)args;
	memset(text, 'x', sizeof(text) - 1);
	control_reply(r, json_string(text));
}

static void crowd_halt(void *arg, struct control_request *r, const json_t *args)
{
	struct crowd *w = arg;

	(void)args;
	control_reply(r, NULL);
	loop_stop(w->l);
}

static const struct control_command crowd_commands[] = { { "check", crowd_check },
							 { "hello", crowd_hello },
							 { "halt", crowd_halt },
							 { "big", crowd_big },
							 { NULL, NULL } };

static void on_time_out(void *arg, u32 expiries)
{
	(void)expiries;
	loop_stop(arg);
}

static void crowd_begin(struct crowd *w)
{
	struct err e;

	*w = (struct crowd){ .path = "/tmp/umbra-unit-XXXXXX", .checks_at_hello = CHECKS };
	assert_int_equal(mkstemp(w->path) < 0, 0);
	unlink(w->path);
	assert_int_equal(loop_create(&w->l), 0);
	assert_int_equal(control_create(&w->c, w->l, w->path, &e), 0);
	assert_int_equal(control_add(w->c, crowd_commands, w), 0);
	loop_timer(w->l, 5 * NS_PER_SECOND, 0, on_time_out, w->l);
}

static void crowd_end(struct crowd *w)
{
	control_destroy(w->c);
	loop_destroy(w->l);
}

/* Sends @n times @command behind the capabilities, in one piece. */
static void send_batch(int fd, const char *command, unsigned n)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}";
	static char talk[32768];
	size_t len = sizeof(hello) - 1, one = strlen(command);

	memcpy(talk, hello, len);
	for (; n; n--, len += one) {
		assert_true(len + one < sizeof(talk));
		memcpy(talk + len, command, one);
	}
	assert_int_equal(send(fd, talk, len, 0), len);
}

/* Returns how often @what is in all that @fd has to be read. */
static unsigned count_answers(int fd, const char *what)
{
	static char got[65536];
	size_t len = 0;
	ssize_t n;
	unsigned seen = 0;

	while ((n = recv(fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	for (const char *p = got; (p = strstr(p, what)); p += strlen(what))
		seen++;
	return seen;
}

/* Commands that come in one piece, and take their time, do not hold up another client. */
static void many_commands_are_many_turns(void **state)
{
	struct crowd w;
	int busy, other;

	(void)state;
	crowd_begin(&w);
	busy = dial_control(w.path);
	other = dial_control(w.path);
	send_batch(busy, "{\"execute\":\"check\",\"id\":7}", CHECKS);
	send_batch(other, "{\"execute\":\"hello\"}", 1);
	assert_int_equal(loop_run(w.l), 0);
	assert_true(w.checks_at_hello < CHECKS / 2);
	assert_int_equal(w.checks, CHECKS);
	assert_int_equal(count_answers(busy, "\"id\":7}"), CHECKS);
	crowd_end(&w);
	close(busy);
	close(other);
}

#define BUSY 10 /* clients */

struct rounds {
	struct crowd w; /* first: the commands' */
	unsigned seen;	/* checks at the last round of the loop */
	unsigned most;	/* in one of them */
};

static void on_round(void *arg, u32 expiries)
{
	struct rounds *r = arg;

	(void)expiries;
	if (r->w.checks - r->seen > r->most)
		r->most = r->w.checks - r->seen;
	r->seen = r->w.checks;
}

/* Clients that all have many commands share one turn, and each has its part of it. */
static void clients_share_a_turn(void **state)
{
	struct rounds r = { .seen = 0 };
	int busy[BUSY], other;

	(void)state;
	crowd_begin(&r.w);
	for (size_t i = 0; i < BUSY; i++)
		busy[i] = dial_control(r.w.path);
	/* Once the last of them is served, all are in. */
	other = dial_control(r.w.path);
	send_batch(other, "{\"execute\":\"halt\"}", 1);
	assert_int_equal(loop_run(r.w.l), 0);
	loop_again(r.w.l);
	for (size_t i = 0; i < BUSY; i++)
		send_batch(busy[i], "{\"execute\":\"check\",\"id\":7}", CHECKS / BUSY);
	send_batch(other, "{\"execute\":\"hello\"}", 1);
	loop_timer(r.w.l, 1, 1, on_round, &r);
	assert_int_equal(loop_run(r.w.l), 0);
	assert_int_equal(r.w.checks, CHECKS);
	assert_in_range(r.most, 1, 20 / 5);
	/* It has waited for two commands of each at most: one round may end before its turn. */
	assert_true(r.w.checks_at_hello <= 2 * BUSY);
	for (size_t i = 0; i < BUSY; i++) {
		assert_int_equal(count_answers(busy[i], "\"id\":7}"), CHECKS / BUSY);
		close(busy[i]);
	}
	crowd_end(&r.w);
	close(other);
}

/* A client's end does not undo the commands that it has sent before. */
static void commands_of_a_client_that_is_gone(void **state)
{
	struct crowd w;
	int fd;

	(void)state;
	crowd_begin(&w);
	fd = dial_control(w.path);
	send_batch(fd, "{\"execute\":\"check\"}", CHECKS);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(loop_run(w.l), 0);
	assert_int_equal(w.checks, CHECKS);
	crowd_end(&w);
	close(fd);
}

/* A client that reads no answer still has all commands executed that it has sent. */
static void client_that_reads_nothing(void **state)
{
	struct crowd w;
	int fd;

	(void)state;
	crowd_begin(&w);
	fd = dial_control(w.path);
	send_batch(fd, "{\"execute\":\"big\"}", 1);
	send_batch(fd, "{\"execute\":\"check\"}", CHECKS / 2);
	send_batch(fd, "{\"execute\":\"check\"}", CHECKS / 2);
	assert_int_equal(loop_run(w.l), 0);
	assert_int_equal(w.checks, CHECKS);
	crowd_end(&w);
	close(fd);
}

static unsigned dropped;

static void count_drop(void *arg, int fd)
{
	(void)arg;
	dropped++;
	close(fd);
}

static void pass_stdin(int to)
{
	const int fd = STDIN_FILENO;

	assert_int_equal(send_fds(to, " ", 1, &fd, 1, 0), 1);
}

/* What clients pass that were never let in is not closed with the listener. */
static void descriptors_of_clients_that_wait_are_dropped(void **state)
{
	char path[] = "/tmp/umbra-unit-XXXXXX";
	struct control *c;
	struct loop *l;
	struct err e;
	int fd[2];

	(void)state;
	close(mkstemp(path));
	unlink(path);
	assert_int_equal(loop_create(&l), 0);
	assert_int_equal(control_create(&c, l, path, &e), 0);
	control_set_closer(c, count_drop, NULL);
	for (unsigned i = 0; i < 2; i++) {
		fd[i] = dial_control(path);
		pass_stdin(fd[i]);
	}
	dropped = 0;
	control_drop_fds(c);
	control_destroy(c);
	assert_int_equal(dropped, 2);
	loop_destroy(l);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_serves_good_clients_among_bad_ones),
		cmocka_unit_test(commands_come_in_pieces),
		cmocka_unit_test(many_commands_are_many_turns),
		cmocka_unit_test(clients_share_a_turn),
		cmocka_unit_test(commands_of_a_client_that_is_gone),
		cmocka_unit_test(client_that_reads_nothing),
		cmocka_unit_test(descriptors_of_clients_that_wait_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
