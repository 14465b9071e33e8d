// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the front end of vhost-user against back ends that lie in the first message: each is
 * refused with its error, in time, and no descriptor of theirs is left open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "devices/vhost_user.h"

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/*
 * Returns the result of opening a back end that sends @text, or descriptors, and then hangs up, or
 * stays and sends nothing more.
 */
static int greet_liar(const void *text, size_t len, bool stay, const int *fds, unsigned n_fds)
{
	struct vhost_user_msg m = { .request = 1, .n_fds = n_fds };
	struct vhost_user u;
	int pair[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	if (n_fds) {
		m.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
		m.size = 8;
		memcpy(m.fds, fds, n_fds * sizeof(*fds));
		assert_int_equal(vhost_user_send(pair[1], &m, vhost_user_deadline(100)), 0);
	}
	assert_int_equal(write(pair[1], text, len), (ssize_t)len);
	if (!stay)
		shutdown(pair[1], SHUT_WR);
	ret = vhost_user_open(&u, pair[0], vhost_user_deadline(100));
	close(pair[1]);
	return ret;
}

static void test_liars(void **state)
{
	const u32 wrong_request[] = { 2, 5, 8, 0, 0 };
	const u32 no_reply[] = { 1, 1, 8, 0, 0 };
	const u32 version[] = { 1, 6, 8, 0, 0 };
	const u32 too_long[] = { 1, 5, 100000, 0, 0 };
	const u32 too_short[] = { 1, 5, 4, 0 };
	const u32 no_virtio_1[] = { 1, 5, 8, 1U << 30, 0 };
	const int two[] = { 0, 1 };
	unsigned before = count_fds();

	(void)state;
	assert_int_equal(greet_liar("", 0, true, NULL, 0), -ETIMEDOUT);
	assert_int_equal(greet_liar("", 0, false, NULL, 0), -ECONNRESET);
	assert_int_equal(greet_liar("abc", 3, true, NULL, 0), -ETIMEDOUT);
	assert_int_equal(greet_liar("abc", 3, false, NULL, 0), -ECONNRESET);
	assert_int_equal(greet_liar(wrong_request, 20, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(no_reply, 20, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(version, 20, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(too_long, 20, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(too_short, 16, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(no_virtio_1, 20, true, NULL, 0), -EOPNOTSUPP);
	assert_int_equal(greet_liar("", 0, true, two, 2), -EPROTO);
	/* No descriptor of theirs is left. */
	assert_int_equal(count_fds(), before);
}

static void send_fds(int to, void *bytes, size_t len, unsigned n)
{
	union {
		char space[CMSG_SPACE(40 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { bytes, len };
	struct msghdr h = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};

	memset(&control, 0, sizeof(control));
	control.align = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	assert_int_equal(sendmsg(to, &h, 0), (ssize_t)len);
}

/* In one piece, or with the head and with the rest. None of them is left. */
static void test_too_many_descriptors(void **state)
{
	u8 text[20] = { 1, 0, 0, 0, 5, 0, 0, 0, 8 };
	unsigned before = count_fds();
	struct vhost_user u;
	int pair[2];

	(void)state;
	for (unsigned pieces = 1; pieces <= 2; pieces++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		if (pieces == 1) {
			send_fds(pair[1], text, 20, 40);
		} else {
			send_fds(pair[1], text, 12, 5);
			send_fds(pair[1], text + 12, 8, 5);
		}
		assert_int_equal(vhost_user_open(&u, pair[0], vhost_user_deadline(100)), -EPROTO);
		close(pair[1]);
	}
	assert_int_equal(count_fds(), before);
}

/* A connection that blocks, from whoever made it, does not undo the deadline. */
static void test_a_blocking_connection(void **state)
{
	struct vhost_user u;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	alarm(20);
	assert_int_equal(vhost_user_open(&u, pair[0], vhost_user_deadline(100)), -ETIMEDOUT);
	alarm(0);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_liars),
		cmocka_unit_test(test_too_many_descriptors),
		cmocka_unit_test(test_a_blocking_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
