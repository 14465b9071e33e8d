// SPDX-License-Identifier: GPL-2.0-only
#include "devices/blk_queue.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "devices/blk_request.h"
#include "devices/blk_ring.h"
#include "devices/vq_pace.h"

#define DEPTH 64 /* requests in flight */

struct blk_queue {
	struct blk_queue_config c;
	struct host_thread thread;
	bool stop; /* atomic */

	/* The thread's own. */
	struct virtqueue *vq;
	int kick;
	struct blk_request *requests, *idle;
	unsigned finished; /* since the last interrupt */
	bool has_ring, listening;
	bool one_shot; /* the kernel has no poll that stays: each ends with the event that it reports */
	unsigned in_flight;
	struct vq_pace pace;
	struct io_uring ring;
};

static bool stopping(const struct blk_queue *q)
{
	return __atomic_load_n(&q->stop, __ATOMIC_ACQUIRE);
}

static void interrupt(struct blk_queue *q)
{
	if (q->finished)
		virtio_queue_done(q->c.v, q->c.index);
	q->finished = 0;
}

static void complete(struct blk_queue *q, struct blk_request *r)
{
	blk_stats_count(q->c.stats, r);
	virtqueue_push(q->vq, r->chain.head, blk_request_written(r));
	r->next = q->idle;
	q->idle = r;
	if (++q->finished >= VQ_PACE_MOST)
		interrupt(q);
}

/* There is always room: a request has one entry at a time, and so has the poll of the kick. */
static void submit(struct blk_queue *q, struct blk_request *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);
	int fd = blk_image_fd(q->c.image, r->iov, r->n, r->offset);

	if (!sqe) {
		blk_request_run(r, q->c.image, q->c.durable);
		complete(q, r);
		return;
	}
	if (r->step == BLK_FLUSH) {
		io_uring_prep_fsync(sqe, q->c.image->fd, IORING_FSYNC_DATASYNC);
	} else if (r->step == BLK_WRITE) {
		io_uring_prep_writev(sqe, fd, r->iov, r->n, r->offset);
		sqe->rw_flags = q->c.durable ? RWF_DSYNC : 0;
	} else {
		io_uring_prep_readv(sqe, fd, r->iov, r->n, r->offset);
	}
	io_uring_sqe_set_data(sqe, r);
	q->in_flight++;
}

static void on_completion(struct blk_queue *q, struct blk_request *r, int res)
{
	q->in_flight--;
	if (res == -EINTR) {
		submit(q, r);
		return;
	}
	/* Asked again it would say so again. */
	if (res == -EAGAIN) {
		blk_request_run(r, q->c.image, q->c.durable);
		complete(q, r);
		return;
	}
	if (res > 0 && r->step != BLK_FLUSH) {
		r->offset += (u64)res;
		r->n = iov_cut(r->iov, r->n, (u64)res, UINT64_MAX);
		if (r->n) {
			submit(q, r);
			return;
		}
	} else if (r->step == BLK_FLUSH) {
		res = blk_image_flushed(q->c.image, res);
	} else if (!res) {
		res = -EIO; /* the end of a file that was truncated under us */
	}
	blk_request_finish(r, res < 0 ? res : 0);
	complete(q, r);
}

/*
 * The poll of the kick has reported. A multishot poll reports each signal, whatever the counter says:
 * so nothing is to be read, and nothing submitted anew.
 */
static void on_kick(struct blk_queue *q, const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	q->listening = false;
	if (cqe->res == -EINVAL && !q->one_shot)
		q->one_shot = true; /* before Linux 5.13 */
	else
		virtio_kick_clear(q->kick);
}

static void reap(struct blk_queue *q)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&q->ring, &cqe)) {
		struct io_uring_cqe got = *cqe;
		struct blk_request *r = io_uring_cqe_get_data(cqe);

		io_uring_cqe_seen(&q->ring, cqe);
		if (r)
			on_completion(q, r, got.res);
		else
			on_kick(q, &got);
	}
}

/*
 * Hand over what was prepared, wait for @n completions and take what is there; false: the ring does
 * not work any more.
 */
static bool ring_enter(struct blk_queue *q, unsigned n)
{
	int ret = io_uring_submit_and_wait(&q->ring, n);

	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return false;
	reap(q);
	return true;
}

static bool ring_wait(struct blk_queue *q)
{
	struct io_uring_sqe *sqe = q->listening ? NULL : io_uring_get_sqe(&q->ring);

	if (sqe) {
		if (q->one_shot)
			io_uring_prep_poll_add(sqe, q->kick, POLLIN);
		else
			io_uring_prep_poll_multishot(sqe, q->kick, POLLIN);
		io_uring_sqe_set_data(sqe, NULL);
		q->listening = true;
	}
	return ring_enter(q, 1);
}

static bool plain_wait(struct blk_queue *q)
{
	struct pollfd p = { .fd = q->kick, .events = POLLIN };

	if (poll(&p, 1, -1) > 0)
		virtio_kick_clear(q->kick);
	return true;
}

static void start_request(struct blk_queue *q, struct blk_request *r)
{
	if (r->step != BLK_DONE && q->has_ring) {
		submit(q, r);
		return;
	}
	if (r->step != BLK_DONE)
		blk_request_run(r, q->c.image, q->c.durable);
	complete(q, r);
}

/* Take what is there; false: the driver broke the rules. */
static bool drain(struct blk_queue *q)
{
	int got = 0;

	virtqueue_listen(q->vq, false);
	while (q->idle && !stopping(q) && (got = virtqueue_pop(q->vq, &q->idle->chain)) == 1) {
		struct blk_request *r = q->idle;

		q->idle = r->next;
		if (blk_request_start(r, q->c.image, q->c.id, q->c.durable) == BLK_BAD)
			return false;
		start_request(q, r);
	}
	return got >= 0;
}

static bool something_there(void *arg)
{
	struct blk_queue *q = arg;

	return stopping(q) || (q->idle && virtqueue_waiting(q->vq)) ||
	       (q->has_ring && blk_ring_ready(&q->ring));
}

/* What was taken is being done: look for more, without being kicked. False: nothing came. */
static bool more(struct blk_queue *q)
{
	bool may = vq_pace_may_look(&q->pace), found;

	/*
	 * Who will not look has one system call for this and for waiting. If the ring does not work,
	 * waiting says so.
	 */
	if (may && q->has_ring && io_uring_sq_ready(&q->ring))
		ring_enter(q, 0);
	/* What is in flight is done by others, who may want this CPU, and wakes us. */
	if (q->in_flight) {
		interrupt(q);
		if (may)
			vq_pace_looked(&q->pace, false);
		return false;
	}
	if (q->finished && vq_pace_enough(&q->pace, q->finished))
		interrupt(q);
	if (q->finished) {
		if (vq_pace_look(something_there, q))
			return true;
		vq_pace_too_few(&q->pace, q->finished);
		interrupt(q);
	}
	if (!may)
		return false;
	found = vq_pace_look(something_there, q);
	vq_pace_looked(&q->pace, found);
	return found;
}

/* False: the ring does not work any more. */
static bool wait(struct blk_queue *q)
{
	/* With all in flight the next completion brings us back here: no kick is needed. */
	if (q->idle && virtqueue_listen(q->vq, true))
		return true;
	return q->has_ring ? ring_wait(q) : plain_wait(q);
}

static void prepare(void *arg)
{
	struct blk_queue *q = arg;

	vq_pace_init(&q->pace, virtio_type(q->c.v)->queues);
	q->has_ring = !q->c.one_by_one && !blk_ring_open(&q->ring, 2 * DEPTH);
}

static void serve(void *arg)
{
	struct blk_queue *q = arg;
	bool working = true;

	for (unsigned i = 0; i < (q->has_ring ? DEPTH : 1); i++) {
		q->requests[i].next = q->idle;
		q->idle = &q->requests[i];
	}
	while (working && !stopping(q)) {
		if (q->has_ring)
			reap(q);
		if (!drain(q)) {
			virtio_needs_reset(q->c.v);
			break;
		}
		if (!stopping(q))
			working = more(q) || wait(q);
	}
	while (working && q->in_flight)
		working = ring_wait(q);
	if (!working)
		virtio_needs_reset(q->c.v);
	if (q->has_ring)
		io_uring_queue_exit(&q->ring);
}

static void cannot_serve(void *arg)
{
	struct blk_queue *q = arg;

	virtio_needs_reset(q->c.v);
}

int blk_queue_start(struct blk_queue **out, const struct blk_queue_config *c)
{
	struct blk_queue *q = calloc(1, sizeof(*q));
	int ret = -ENOMEM;

	if (!q)
		return ret;
	q->c = *c;
	q->vq = virtio_queue(c->v, c->index);
	q->kick = virtio_kick(c->v, c->index);
	q->thread = (struct host_thread){
		.kind = HOST_THREAD_BLOCK,
		.name = "virtio-blk",
		.prepare = prepare,
		.run = serve,
		.failed = cannot_serve,
		.arg = q,
	};
	/* Only what is used is touched: a request has a page of addresses. */
	q->requests = calloc(DEPTH, sizeof(*q->requests));
	if (q->requests)
		ret = host_thread_start(virtio_host(c->v), &q->thread);
	if (ret) {
		free(q->requests);
		free(q);
		return ret;
	}
	*out = q;
	return 0;
}

void blk_queue_stop(struct blk_queue *q)
{
	u64 one = 1;

	if (!q)
		return;
	__atomic_store_n(&q->stop, true, __ATOMIC_RELEASE);
	/* A full counter wakes the thread as well. */
	if (write(q->kick, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN)
		host_thread_stop(virtio_host(q->c.v), &q->thread);
	free(q->requests);
	free(q);
}
