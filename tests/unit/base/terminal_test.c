// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that any thread may ask whether the terminal is raw while the main thread makes it so and
 * takes it back, as it does at fg; ThreadSanitizer looks on in `make tsan`.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/terminal.h"
#include "tests/unit/base/child.h"

#define TURNS 200

static bool over, seen; /* atomic */

static void *ask(void *arg)
{
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		if (terminal_is_raw())
			__atomic_store_n(&seen, true, __ATOMIC_RELEASE);
	return arg;
}

static bool is_raw(int fd)
{
	struct termios t;

	return !tcgetattr(fd, &t) && !(t.c_lflag & ICANON);
}

/* Ends with 0 if all is well, as the leader of a session whose terminal is @path. */
_Noreturn static void use_terminal(const char *path)
{
	pthread_t thread;
	int fd;

	setsid();
	fd = open(path, O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) || pthread_create(&thread, NULL, ask, NULL))
		_exit(1);
	for (unsigned i = 0; i < TURNS; i++) {
		if (terminal_raw(fd, -1) || !terminal_is_raw() || !is_raw(fd))
			_exit(2);
		terminal_restore();
		if (terminal_is_raw() || is_raw(fd))
			_exit(3);
	}
	/* The other one sees it, too, when it has the CPU. */
	if (terminal_raw(fd, -1))
		_exit(4);
	for (unsigned i = 0; i < 20000 && !__atomic_load_n(&seen, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	terminal_restore();
	_exit(seen ? 0 : 5);
}

static void every_thread_may_ask_for_raw(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), status;
	const char *path;
	pid_t child;

	(void)state;
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	path = ptsname(master);
	assert_non_null(path);
	child = child_fork();
	if (!child)
		use_terminal(path);
	child_await(child, &status);
	close(master);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_thread_may_ask_for_raw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
