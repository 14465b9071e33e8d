// SPDX-License-Identifier: GPL-2.0-only
/* Makes a ring of io_uring, restricts it for good, and tries it. */
#include "devices/blk_ring.h"

#include <errno.h>

#include "base/types.h"

static int restrict_ring(struct io_uring *ring)
{
	static const u8 used[] = { IORING_OP_NOP,   IORING_OP_READV,	IORING_OP_WRITEV,
				   IORING_OP_FSYNC, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL };
	struct io_uring_restriction r[ARRAY_SIZE(used)] = { { 0 } };
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(used); i++) {
		r[i].opcode = IORING_RESTRICTION_SQE_OP;
		r[i].sqe_op = used[i];
	}
	ret = io_uring_register_restrictions(ring, r, ARRAY_SIZE(r));
	return ret ? ret : io_uring_enable_rings(ring);
}

bool blk_ring_ready(const struct io_uring *ring)
{
	return io_uring_cq_ready(ring) ||
	       (__atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN);
}

/* Carries out a no-op: a kernel may make rings and refuse every operation. */
static int blk_ring_try(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int ret;

	if (!sqe)
		return -EIO;
	io_uring_prep_nop(sqe);
	ret = io_uring_submit_and_wait(ring, 1);
	if (ret != 1)
		return ret < 0 ? ret : -EIO;
	if (io_uring_peek_cqe(ring, &cqe))
		return -EIO;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

int blk_ring_open(struct io_uring *ring, unsigned entries)
{
	static const unsigned flags[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_R_DISABLED,
	};
	int ret = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && ret; i++)
		ret = io_uring_queue_init(entries, ring, flags[i]);
	if (ret)
		return ret;
	ret = restrict_ring(ring);
	if (!ret)
		ret = blk_ring_try(ring);
	if (ret)
		io_uring_queue_exit(ring);
	return ret;
}
