// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that a socket's file is removed by the process that made it and by nobody else, unless it
 * is a leftover.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/socket_file.h"

static char dir[64], path[96];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/umbra-socket-file-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/guest.sock", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static int bind_at(const char *at)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", at);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void ones_own_is_removed(void **state)
{
	struct socket_id id;
	int fd = bind_at(path);

	(void)state;
	assert_int_equal(socket_file_id(path, &id), 0);
	assert_int_equal(socket_file_remove(path, &id), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(socket_file_remove(path, &id), -ENOENT);
	close(fd);
}

/* Waits until files get another time, which is that of the kernel's last tick. */
static void wait_for_tick(void)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &begin);
	do {
		usleep(100);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (now.tv_sec == begin.tv_sec && now.tv_nsec == begin.tv_nsec);
}

/* Many times: a file system is quick to use an inode number again. */
static void a_successor_stays(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		struct socket_id id;
		int fd = bind_at(path), successor;

		assert_int_equal(socket_file_id(path, &id), 0);
		assert_int_equal(unlink(path), 0);
		close(fd);
		wait_for_tick();
		successor = bind_at(path);
		assert_int_equal(socket_file_remove(path, &id), -ESTALE);
		assert_int_equal(access(path, F_OK), 0);
		unlink(path);
		close(successor);
	}
}

static void a_file_that_is_no_socket_stays(void **state)
{
	struct socket_id id;
	int fd = bind_at(path);

	(void)state;
	assert_int_equal(socket_file_id(path, &id), 0);
	unlink(path);
	close(fd);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(socket_file_id(path, &id), -ENOTSOCK);
	assert_int_equal(socket_file_remove(path, &id), -ESTALE);
	assert_int_equal(socket_file_remove_stale(path), -EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	/* Nor the socket that a link leads to. */
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(socket_file_id(path, &id), -ENOTSOCK);
	assert_int_equal(socket_file_remove_stale(path), -EADDRINUSE);
}

static void only_an_old_leftover_goes(void **state)
{
	int fd = bind_at(path);

	(void)state;
	/* It does not listen: perhaps it will. */
	assert_int_equal(socket_file_remove_stale(path), -EBUSY);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(socket_file_remove_stale(path), -EADDRINUSE);
	close(fd);
	/* It is a leftover when it is older than a second, which nothing makes it before. */
	usleep(1100000);
	assert_int_equal(socket_file_remove_stale(path), 0);
	assert_int_equal(socket_file_remove_stale(path), -ENOENT);
}

/* Opens and locks the directory of the sockets, until this process closes it. */
static int lock_dir(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(flock(fd, LOCK_EX), 0);
	return fd;
}

/* Any user can lock /tmp, and keep it: that ends nothing and removes nothing. */
static void a_lock_that_is_kept_holds_up_nobody(void **state)
{
	struct socket_id id;
	int fd = bind_at(path), keeper = lock_dir();
	s64 begin;

	(void)state;
	assert_int_equal(socket_file_id(path, &id), 0);
	alarm(10); /* the fault is to wait here */
	begin = now_ms();
	assert_int_equal(socket_file_remove(path, &id), -ETIMEDOUT);
	assert_int_equal(socket_file_remove_stale(path), -ETIMEDOUT);
	assert_in_range(now_ms() - begin, 0, 2000);
	alarm(0);
	assert_int_equal(access(path, F_OK), 0);
	close(keeper);
	assert_int_equal(socket_file_remove(path, &id), 0);
	close(fd);
}

static void *let_go(void *keeper)
{
	usleep(100000);
	close(*(int *)keeper);
	return NULL;
}

/* One that is held for a moment, as by another vmm, is waited for. */
static void a_lock_is_waited_for(void **state)
{
	struct socket_id id;
	int fd = bind_at(path), keeper = lock_dir();
	pthread_t t;

	(void)state;
	assert_int_equal(socket_file_id(path, &id), 0);
	assert_int_equal(pthread_create(&t, NULL, let_go, &keeper), 0);
	assert_int_equal(socket_file_remove(path, &id), 0);
	pthread_join(t, NULL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ones_own_is_removed, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_successor_stays, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_stays, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(only_an_old_leftover_goes, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_lock_that_is_kept_holds_up_nobody, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(a_lock_is_waited_for, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
