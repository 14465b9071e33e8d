// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the helper that connects to a disk's back end, with this test as its VMM: what is told when
 * the process that connects dies, that it is started again, and what a slow one does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "tests/unit/base/child.h"
#include "vmm/backend/dialer.h"
#include "vmm/confine/helper.h"

#define PATIENCE_MS 10000
#define LIAR	    "dialer_test_liar" /* the name of a socket whose helper is hostile */

struct fixture {
	struct dialer *d;
	char path[64];
	int listener;
	pid_t keeper;
	struct err why;
};

/* Returns the first child of @pid that is not @but, or 0. */
static pid_t child_of(pid_t pid, pid_t but)
{
	char path[64], text[256];
	char *at = text;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = '\0';
	while (*at) {
		pid_t child = (pid_t)strtol(at, &at, 10);

		if (child && child != but)
			return child;
		at += *at == ' ';
	}
	return 0;
}

/* Waits for the keeper's next news. */
static enum keeper_news await_news(struct fixture *f)
{
	struct pollfd p = { .fd = dialer_keeper(f->d), .events = POLLIN };

	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail_msg("the keeper says nothing");
	return dialer_news(f->d, &f->why);
}

static int start(void **state, const char *name)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct err e;

	snprintf(f->path, sizeof(f->path), "/tmp/%s.%d", name, getpid());
	memcpy(a.sun_path, f->path, strlen(f->path));
	unlink(f->path);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(f->listener, 4), 0);
	if (dialer_create(&f->d, f->path, CONFINE_OFF, &e))
		fail_msg("%s", e.text);
	f->keeper = child_of(getpid(), 0);
	assert_int_equal(await_news(f), KEEPER_UP);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return start(state, "dialer_test");
}

static int setup_liar(void **state)
{
	return start(state, LIAR);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dialer_destroy(f->d);
	child_await(f->keeper, NULL);
	close(f->listener);
	unlink(f->path);
	free(f);
	return 0;
}

/* Returns how many connections have come to the socket since the last call. */
static unsigned connections(const struct fixture *f)
{
	unsigned n = 0;
	int fd;

	while ((fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		close(fd);
		n++;
	}
	return n;
}

static void expect_connection(struct fixture *f)
{
	int fd = dialer_dial(f->d, -1);

	assert_true(fd >= 0);
	assert_int_equal(connections(f), 1);
	close(fd);
}

static void it_connects_whenever_it_is_asked(void **state)
{
	struct fixture *f = *state;

	expect_connection(f);
	expect_connection(f);
	unlink(f->path);
	assert_int_equal(dialer_dial(f->d, -1), -ENOENT);
	assert_int_equal(dialer_dial(f->d, -1), -ENOENT);
}

static void its_death_is_told_and_it_is_started_again(void **state)
{
	struct fixture *f = *state;
	pid_t first = child_of(f->keeper, 0);
	char want[300];

	assert_true(first > 0);
	assert_int_equal(kill(first, SIGKILL), 0);
	assert_int_equal(await_news(f), KEEPER_DOWN);
	snprintf(want, sizeof(want),
		 "--disk vhost-user=%s: the process that connects to its back end has ended "
		 "(signal 9, Killed); a back end that comes back is not found until it is started "
		 "again",
		 f->path);
	assert_string_equal(f->why.text, want);
	/* Meanwhile there is an answer at once, and none that is kept for later. */
	assert_int_equal(dialer_dial(f->d, -1), -EPIPE);
	assert_int_equal(dialer_dial(f->d, -1), -EPIPE);
	assert_int_equal(await_news(f), KEEPER_UP);
	assert_int_not_equal(child_of(f->keeper, 0), first);
	expect_connection(f);
	expect_connection(f);
}

static void it_is_not_started_for_ever(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < KEEPER_RESTARTS; i++) {
		assert_int_equal(kill(child_of(f->keeper, 0), SIGKILL), 0);
		assert_int_equal(await_news(f), KEEPER_DOWN);
		assert_int_equal(await_news(f), KEEPER_UP);
	}
	assert_int_equal(kill(child_of(f->keeper, 0), SIGKILL), 0);
	assert_int_equal(await_news(f), KEEPER_DOWN);
	assert_non_null(strstr(f->why.text, "4 times within a minute, so it is not started again"));
	assert_int_equal(await_news(f), KEEPER_GONE);
	assert_int_equal(dialer_dial(f->d, -1), -EPIPE);
}

/* Its keeper may die, too: then the process goes with it, and nothing is left. */
static void its_keepers_death_is_told(void **state)
{
	struct fixture *f = *state;
	char path[64], exe[8];

	/* Nothing stands there of a zombie, which may wait for an init that does not reap. */
	snprintf(path, sizeof(path), "/proc/%d/exe", child_of(f->keeper, 0));
	assert_true(readlink(path, exe, sizeof(exe)) > 0);
	assert_int_equal(kill(f->keeper, SIGKILL), 0);
	assert_int_equal(await_news(f), KEEPER_GONE);
	for (int i = 0; i < PATIENCE_MS / 10 && readlink(path, exe, sizeof(exe)) > 0; i++)
		poll(NULL, 0, 10);
	assert_int_equal(readlink(path, exe, sizeof(exe)), -1);
	assert_int_equal(dialer_dial(f->d, -1), -EPIPE);
}

/* One that does not answer in time is asked once, and its late answer is good. */
static void a_late_answer_is_not_lost(void **state)
{
	struct fixture *f = *state;
	pid_t server = child_of(f->keeper, 0);
	s64 begin = now_ms();
	int fd;

	assert_int_equal(kill(server, SIGSTOP), 0);
	assert_int_equal(dialer_dial(f->d, -1), -ETIMEDOUT);
	assert_in_range(now_ms() - begin, 1900, 4000);
	assert_int_equal(dialer_dial(f->d, -1), -ETIMEDOUT);
	assert_int_equal(kill(server, SIGCONT), 0);
	fd = dialer_dial(f->d, -1);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(connections(f), 1);
	expect_connection(f);
}

/* Nor does the end of a guest wait for one that does not answer. */
static void a_slow_one_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	int cancel = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), fd;
	pid_t server = child_of(f->keeper, 0);
	s64 begin = now_ms();

	assert_int_equal(kill(server, SIGSTOP), 0);
	assert_int_equal(dialer_dial(f->d, cancel), -ECANCELED);
	assert_in_range(now_ms() - begin, 0, 900);
	assert_int_equal(kill(server, SIGCONT), 0);
	fd = dialer_dial(f->d, -1);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(connections(f), 1);
	close(cancel);
}

/* Returns how many descriptors this process has. */
static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Sends @len bytes with @n_fds descriptors, as helper_send() never does. */
static void send_lie(int to, size_t len, unsigned n_fds)
{
	const int fds[2] = { STDERR_FILENO, STDERR_FILENO };
	char bytes[8] = "", space[CMSG_SPACE(sizeof(fds))] __attribute__((aligned(8))) = "";
	struct iovec iov = { bytes, len };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space,
			    .msg_controllen = CMSG_SPACE(n_fds * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	*c = (struct cmsghdr){ CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	sendmsg(to, &h, 0);
}

/* Is a helper that answers with two descriptors, and with an answer of one byte in the end. */
static int liar_serve(void)
{
	int pair[2];
	s32 value;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) ||
	    helper_send(HELPER_FD, "", 1, pair[0]))
		return EXIT_CODE_ERROR;
	close(pair[0]);
	for (unsigned i = 0; recv(pair[1], &value, sizeof(value), 0) > 0; i++)
		send_lie(pair[1], i < 4 ? sizeof(value) : 1, i < 4 ? 2 : 1);
	return 0;
}

/* A process that connects, and was taken over, cannot use up its VMM's descriptors. */
static void its_lies_leave_no_descriptors(void **state)
{
	struct fixture *f = *state;
	unsigned before;
	int fd = dialer_dial(f->d, -1);

	if (fd >= 0)
		close(fd);
	before = descriptors();
	for (unsigned i = 1; i < 4; i++) {
		fd = dialer_dial(f->d, -1);
		if (fd >= 0)
			close(fd);
		assert_int_equal(descriptors(), before);
	}
	/* The channel goes with an answer that is none. */
	assert_int_equal(dialer_dial(f->d, -1), -EPIPE);
	assert_int_equal(descriptors(), before - 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		TEST(it_connects_whenever_it_is_asked),
		TEST(its_death_is_told_and_it_is_started_again),
		TEST(it_is_not_started_for_ever),
		TEST(its_keepers_death_is_told),
		TEST(a_late_answer_is_not_lost),
		TEST(a_slow_one_is_not_waited_for),
		cmocka_unit_test_setup_teardown(its_lies_leave_no_descriptors, setup_liar,
						teardown),
	};

	/* The helper is this program again, as it is `vmm` itself otherwise. */
	if (argc == 4 && !strcmp(argv[1], "dial-helper") && strstr(argv[2], LIAR))
		return liar_serve();
	if (argc == 4 && !strcmp(argv[1], "dial-helper"))
		return dialer_serve(argv[2], CONFINE_OFF) ? EXIT_CODE_ERROR : 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
