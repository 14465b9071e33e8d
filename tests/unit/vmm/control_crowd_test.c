// SPDX-License-Identifier: GPL-2.0-only
/*
 * Crowds the control socket: clients that are silent, babble, do not read, die, dribble, half close
 * or pass descriptors, more of them than there is room for, all at once. A client that asks
 * properly is answered within a second all the time, and nothing is left of any of them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/sanitizer.h"
#include "tests/unit/vmm/send_fds.h"
#include "vmm/control/control.h"

#define CROWD (CONTROL_CLIENTS + 16)
/* A sanitizer's own work is not the VMM's: beside other tests it makes the answers slower. */
#if SANITIZER_ADDRESS || SANITIZER_THREAD
#define ANSWER_MS 5000
#else
#define ANSWER_MS 1000
#endif
#define HELLO "{\"execute\":\"qmp_capabilities\"}"

struct crowd {
	struct loop *loop;
	struct control *control;
	pthread_t thread, members[CROWD];
	char path[64];
	bool end;	 /* atomic */
	u64 echoes;	 /* the loop's */
	u64 answers;	 /* of well-behaved members; atomic */
	u64 connections; /* of all; atomic */
};

struct member {
	struct crowd *crowd;
	unsigned kind;
};

/* --- the VMM's side ------------------------------------------------------------------------ */

/* Answers, and now and then tells all clients something, as a guest that is paused and resumed. */
static void echo(void *arg, struct control_request *r, const json_t *args)
{
	struct crowd *c = arg;

	if (c->echoes++ % 8 == 0)
		control_event(c->control, "TICK", json_pack("{s:i}", "n", 1));
	control_reply(r, json_deep_copy(args));
}

static const struct control_command commands[] = { { "echo", echo }, { NULL, NULL } };

static void *crowd_serve(void *arg)
{
	struct crowd *c = arg;

	return (void *)(intptr_t)loop_run(c->loop);
}

/* --- clients ------------------------------------------------------------------------------- */

static bool is_over(struct crowd *c)
{
	return __atomic_load_n(&c->end, __ATOMIC_RELAXED);
}

static void nap(void)
{
	usleep(4000);
}

static int dial(struct crowd *c)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s64 until = now_ms() + ANSWER_MS;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", c->path);
	while (fd >= 0 && connect(fd, (const struct sockaddr *)(const void *)&sa, sizeof(sa))) {
		if (errno != EAGAIN || now_ms() >= until) {
			close(fd);
			return -1;
		}
		nap(); /* the backlog is full */
	}
	__atomic_add_fetch(&c->connections, 1, __ATOMIC_RELAXED);
	return fd;
}

/* Sends all of @text, unless the connection is lost or the time is up. */
static bool say(int fd, const char *text, s64 until)
{
	size_t len = strlen(text);

	while (len && now_ms() < until) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			nap();
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return !len;
}

/* Reads until @word has come; events and other answers come between. */
static bool hear(int fd, const char *word, s64 until)
{
	char buf[65536];
	size_t len = 0;

	while (now_ms() < until) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (len > sizeof(buf) / 2) {
			memmove(buf, buf + len - 4096, 4096);
			len = 4096;
		}
		if (poll(&p, 1, 20) <= 0)
			continue;
		n = recv(fd, buf + len, sizeof(buf) - 1 - len, 0);
		if (!n || (n < 0 && errno != EAGAIN))
			return false;
		len += n > 0 ? (size_t)n : 0;
		buf[len] = '\0';
		if (strstr(buf, word))
			return true;
	}
	return false;
}

/* Acts as a correct client: a greeting, an answer; false: it was dropped, or it took too long. */
static bool ask_properly(struct crowd *c, unsigned id, s64 until)
{
	char question[100], word[32];
	int fd = dial(c);
	bool ok;

	snprintf(question, sizeof(question), "{\"execute\":\"echo\",\"id\":\"%u.\"}", id);
	snprintf(word, sizeof(word), "\"id\":\"%u.\"", id);
	ok = fd >= 0 && hear(fd, "QMP", until) && say(fd, HELLO, until) &&
	     hear(fd, "return", until) && say(fd, question, until) && hear(fd, word, until);
	close(fd);
	return ok;
}

static void be_silent(struct crowd *c, int fd)
{
	(void)fd;
	for (unsigned i = 0; i < 200 && !is_over(c); i++)
		nap();
}

static void babble(struct crowd *c, int fd)
{
	for (unsigned i = 1; !is_over(c) && say(fd, "[[[[{\"a\":[[[[", now_ms() + 50); i++)
		if (i % 16 == 0)
			nap();
}

/* Asks on and on, and reads nothing: also of the events. */
static void be_deaf(struct crowd *c, int fd)
{
	char question[1100];
	bool ok = say(fd, HELLO, now_ms() + 50);

	snprintf(question, sizeof(question), "{\"execute\":\"echo\",\"id\":\"%01000d\"}", 0);
	while (ok && !is_over(c)) {
		ok = say(fd, question, now_ms() + 50);
		nap(); /* a crowd is tried, not one that has all processors */
	}
}

static void die_in_the_middle(struct crowd *c, int fd)
{
	(void)c;
	say(fd, HELLO "{\"execute\":\"echo\",\"id\"", now_ms() + 50);
}

static void dribble(struct crowd *c, int fd)
{
	static const char text[] = HELLO "{\"execute\":\"echo\",\"id\":1}";

	for (size_t i = 0; i < sizeof(text) - 1 && !is_over(c); i++) {
		const char one[2] = { text[i], '\0' };

		if (!say(fd, one, now_ms() + 50))
			return;
		nap();
	}
}

static void close_one_half(struct crowd *c, int fd)
{
	(void)c;
	say(fd, HELLO "{\"execute\":\"echo\",\"id\":\"half\"}", now_ms() + 50);
	shutdown(fd, SHUT_WR);
	hear(fd, "half", now_ms() + 50);
}

/* Descriptors with names, without, and more than are asked for. */
static void pass_descriptors(struct crowd *c, int fd)
{
	static const char text[] = "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"x\"}}";
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), three[] = { null, null, null };

	/* Answers are waited for: what was sent before an end that comes early is not looked at. */
	say(fd, HELLO, now_ms() + 50);
	if (hear(fd, "return", now_ms() + ANSWER_MS))
		for (unsigned i = 0; i < 20 && !is_over(c); i++)
			if (send_fds(fd, text, sizeof(text) - 1, three, 3, MSG_NOSIGNAL) < 0)
				break;
	hear(fd, "nothing that comes", now_ms() + 50);
	close(null);
}

static void (*const kinds[])(struct crowd *c, int fd) = {
	be_silent, babble, be_deaf, die_in_the_middle, dribble, close_one_half, pass_descriptors,
};

static void *member_run(void *arg)
{
	struct member m = *(struct member *)arg;

	free(arg);
	while (!is_over(m.crowd)) {
		int fd;

		if (m.kind == ARRAY_SIZE(kinds)) {
			if (ask_properly(m.crowd, 7, now_ms() + ANSWER_MS))
				__atomic_add_fetch(&m.crowd->answers, 1, __ATOMIC_RELAXED);
			nap();
			continue;
		}
		fd = dial(m.crowd);
		if (fd >= 0) {
			kinds[m.kind](m.crowd, fd);
			close(fd);
		}
		nap();
	}
	return NULL;
}

/* --- the test ------------------------------------------------------------------------------ */

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void crowd_start(struct crowd *c)
{
	struct err e = { "" };

	memset(c, 0, sizeof(*c));
	snprintf(c->path, sizeof(c->path), "/tmp/umbra-crowd-%d", getpid());
	assert_int_equal(loop_create(&c->loop), 0);
	if (control_create(&c->control, c->loop, c->path, &e))
		fail_msg("%s", e.text);
	assert_int_equal(control_add(c->control, commands, c), 0);
	assert_int_equal(pthread_create(&c->thread, NULL, crowd_serve, c), 0);
	for (unsigned i = 0; i < CROWD; i++) {
		struct member *m = malloc(sizeof(*m));

		assert_non_null(m);
		*m = (struct member){ c, i % (ARRAY_SIZE(kinds) + 1) };
		assert_int_equal(pthread_create(&c->members[i], NULL, member_run, m), 0);
	}
}

static void crowd_end(struct crowd *c)
{
	void *ret;

	__atomic_store_n(&c->end, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < CROWD; i++)
		pthread_join(c->members[i], NULL);
	loop_stop(c->loop);
	pthread_join(c->thread, &ret);
	assert_null(ret);
	control_destroy(c->control);
	loop_destroy(c->loop);
	assert_int_equal(access(c->path, F_OK), -1);
}

static void who_asks_properly_is_answered_in_time(void **state)
{
	unsigned before = open_descriptors(), asked = 0, dropped = 0;
	s64 end = now_ms() + 3000, worst = 0;
	static struct crowd c;

	(void)state;
	crowd_start(&c);
	while (now_ms() < end) {
		s64 begin = now_ms();

		/* One that lost its place to newer ones before it had said anything asks again. */
		while (!ask_properly(&c, ++asked, begin + ANSWER_MS)) {
			dropped++;
			if (now_ms() - begin >= ANSWER_MS)
				fail_msg("no answer within %d ms", ANSWER_MS);
		}
		worst = now_ms() - begin > worst ? now_ms() - begin : worst;
	}
	crowd_end(&c);
	print_message("# asked %u times, dropped %u times, worst %lld ms; the crowd: %llu "
		      "connections, %llu answers\n",
		      asked, dropped, (long long)worst, (unsigned long long)c.connections,
		      (unsigned long long)c.answers);
	assert_true(c.connections > CROWD && c.answers);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_asks_properly_is_answered_in_time),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
