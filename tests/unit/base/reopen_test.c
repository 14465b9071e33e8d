// SPDX-License-Identifier: GPL-2.0-only
/* Tests which descriptors are opened once more, and that the first ones stay as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/reopen.h"
#include "tests/unit/base/child.h"

#define NOBODY 65534

static int reopen_fd(int fd, int access)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return reopen_nonblock(fd, &st, access);
}

static void a_pipe_is_opened(void **state)
{
	char byte;
	int p[2], in, out;

	(void)state;
	assert_int_equal(pipe(p), 0);
	in = reopen_fd(p[0], O_RDONLY);
	out = reopen_fd(p[1], O_WRONLY);
	assert_true(in >= 0 && out >= 0);
	assert_true(fcntl(in, F_GETFL) & O_NONBLOCK && fcntl(out, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(in, F_GETFD) & FD_CLOEXEC);
	assert_false((fcntl(p[0], F_GETFL) | fcntl(p[1], F_GETFL)) & O_NONBLOCK);
	assert_int_equal(read(in, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	/* It is the same pipe. */
	assert_int_equal(write(out, "x", 1), 1);
	assert_int_equal(read(p[0], &byte, 1), 1);
	close(in);
	close(out);
	close(p[0]);
	close(p[1]);
}

static void others_are_not(void **state)
{
	char path[] = "/tmp/umbra-unit-XXXXXX";
	int file = mkstemp(path), pair[2];

	(void)state;
	assert_true(file >= 0);
	unlink(path);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(reopen_fd(file, O_WRONLY), -ENOTSUP);
	assert_int_equal(reopen_fd(pair[0], O_RDONLY), -ENOTSUP);
	close(file);
	close(pair[0]);
	close(pair[1]);
}

/* The slave of a terminal is opened; of its master another opening is another terminal. */
static void a_terminal_is_opened_but_not_its_master(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, own;
	struct stat st[2];

	(void)state;
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	own = reopen_fd(slave, O_WRONLY);
	assert_true(own >= 0 && !fstat(own, &st[0]) && !fstat(slave, &st[1]));
	assert_int_equal(st[0].st_rdev, st[1].st_rdev);
	assert_int_equal(reopen_fd(master, O_WRONLY), -ENOTSUP);
	close(own);
	close(slave);
	close(master);
}

static void another_users_is_refused(void **state)
{
	int p[2], status;
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(pipe(p), 0);
	pid = child_fork();
	if (!pid)
		_exit(setresuid(NOBODY, NOBODY, NOBODY) || reopen_fd(p[0], O_RDONLY) != -EACCES);
	child_await(pid, &status);
	assert_int_equal(status, 0);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipe_is_opened),
		cmocka_unit_test(others_are_not),
		cmocka_unit_test(a_terminal_is_opened_but_not_its_master),
		cmocka_unit_test(another_users_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
