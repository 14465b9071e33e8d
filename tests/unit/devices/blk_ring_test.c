// SPDX-License-Identifier: GPL-2.0-only
/* Tests that a disk's ring does what disks need and nothing else, whoever asks. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/blk_ring.h"

static int setup(void **state)
{
	static struct io_uring ring;
	int ret = blk_ring_open(&ring, 8);

	*state = ret ? NULL : &ring;
	if (ret)
		print_message("no ring: %d\n", ret);
	return 0;
}

static int teardown(void **state)
{
	if (*state)
		io_uring_queue_exit(*state);
	return 0;
}

/* Returns the result of the one operation that was prepared. */
static int completion_result(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret;

	assert_int_equal(io_uring_submit_and_wait(ring, 1), 1);
	assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static void disks_operations_work(void **state)
{
	struct io_uring *ring = *state;
	char out[4] = "abc", in[4] = "";
	struct iovec w = { out, 3 }, r = { in, 3 };
	int pair[2];

	if (!ring)
		skip();
	assert_int_equal(pipe(pair), 0);
	io_uring_prep_writev(io_uring_get_sqe(ring), pair[1], &w, 1, 0);
	assert_int_equal(completion_result(ring), 3);
	io_uring_prep_poll_add(io_uring_get_sqe(ring), pair[0], 1);
	assert_int_equal(completion_result(ring), 1);
	io_uring_prep_readv(io_uring_get_sqe(ring), pair[0], &r, 1, 0);
	assert_int_equal(completion_result(ring), 3);
	assert_string_equal(in, "abc");
	io_uring_prep_fsync(io_uring_get_sqe(ring), pair[0], IORING_FSYNC_DATASYNC);
	assert_int_equal(completion_result(ring), -EINVAL); /* a pipe's own answer */
	close(pair[0]);
	close(pair[1]);
}

static void others_are_refused(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/dev/null" };
	struct io_uring *ring = *state;
	struct io_uring_sqe *sqe;
	struct iovec byte = { &to, 1 };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	if (!ring)
		skip();
	io_uring_prep_openat(io_uring_get_sqe(ring), AT_FDCWD, "/dev/null", O_RDONLY, 0);
	assert_int_equal(completion_result(ring), -EACCES);
	io_uring_prep_connect(io_uring_get_sqe(ring), s, (struct sockaddr *)&to, sizeof(to));
	assert_int_equal(completion_result(ring), -EACCES);
	/* Nor an allowed one with a flag, such as what links operations. */
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_writev(sqe, s, &byte, 1, 0);
	sqe->flags |= IOSQE_ASYNC;
	assert_int_equal(completion_result(ring), -EACCES);
	close(s);
}

static void what_it_may_do_is_fixed(void **state)
{
	struct io_uring_restriction r = { .opcode = IORING_RESTRICTION_SQE_OP,
					  .sqe_op = IORING_OP_OPENAT };
	struct io_uring *ring = *state;
	int fd = 0;

	if (!ring)
		skip();
	assert_true(io_uring_register_restrictions(ring, &r, 1) < 0);
	assert_int_equal(io_uring_register_files(ring, &fd, 1), -EACCES);
	io_uring_prep_openat(io_uring_get_sqe(ring), AT_FDCWD, "/dev/null", O_RDONLY, 0);
	assert_int_equal(completion_result(ring), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(disks_operations_work, setup, teardown),
		cmocka_unit_test_setup_teardown(others_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_it_may_do_is_fixed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
