// SPDX-License-Identifier: GPL-2.0-only
/*
 * Serves one queue of a block device by io_uring, by one request after the other, or by both.
 *
 * The user data of a completion names its operation: a request, NULL for the poll of the kick, or
 * the queue itself for a cancellation.
 */
#include "devices/blk_queue.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/eventfd.h"
#include "devices/blk_request.h"
#include "devices/blk_ring.h"
#include "devices/vq_pace.h"

#define DEPTH 64 /* requests in flight */

struct blk_queue {
	struct blk_queue_config c;
	bool no_ring;	  /* as it was asked for, or since io_uring does not work */
	bool copies;	  /* writes to the page cache are this thread's, too */
	bool slow;	  /* the last of them took BLK_COPY_NS or more */
	unsigned no_copy; /* so many of them go by the ring, since one has waited */
	struct io_uring ring;
	struct host_thread thread;
	bool started;
	bool stop;   /* atomic */
	bool busy;   /* atomic: the thread is in blk_queue_run() */
	s64 stop_ms; /* atomic: when it was asked to stop; 0: it was not */

	/* Only the thread uses these from start to stop. */
	struct virtio *v;
	struct virtqueue *vq;
	int kick;
	bool durable;
	struct blk_request *requests, *idle;
	unsigned finished; /* since the last interrupt */
	bool polling;	   /* the ring has a poll of the kick */
	bool one_shot;	   /* the kernel has no multishot poll: each ends with its event */
	unsigned in_flight, cancelling; /* operations of the ring */
	struct vq_pace pace;
};

static bool blk_queue_stopping(const struct blk_queue *q)
{
	return __atomic_load_n(&q->stop, __ATOMIC_ACQUIRE);
}

/* --- requests ------------------------------------------------------------------------------ */

static void blk_queue_interrupt(struct blk_queue *q)
{
	if (q->finished)
		virtio_queue_done(q->v, q->c.index);
	q->finished = 0;
}

static void request_put(struct blk_queue *q, struct blk_request *r)
{
	r->next = q->idle;
	q->idle = r;
}

static void request_complete(struct blk_queue *q, struct blk_request *r)
{
	blk_stats_count(q->c.stats, r);
	virtqueue_push(q->vq, r->chain.head, blk_request_written(r));
	request_put(q, r);
	if (++q->finished >= VQ_PACE_BATCH)
		blk_queue_interrupt(q);
}

/* Carries out all of @r by plain system calls; drops it if the queue is told to stop meanwhile. */
static void request_run(struct blk_queue *q, struct blk_request *r)
{
	if (blk_request_run(r, q->c.image, q->durable, &q->stop))
		request_complete(q, r);
	else
		request_put(q, r);
}

/*
 * Prepares the next piece of @r for the ring. There is always an entry: a request has one at a
 * time, so has the poll, and a stop submits the prepared entries before it cancels.
 */
static void request_submit(struct blk_queue *q, struct blk_request *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);
	unsigned n;
	int fd;

	if (!sqe) {
		request_run(q, r);
		return;
	}
	if (r->step == BLK_FLUSH) {
		io_uring_prep_fsync(sqe, q->c.image->fd, IORING_FSYNC_DATASYNC);
	} else {
		n = blk_request_piece(r);
		fd = blk_image_fd(q->c.image, r->iov, n, r->offset);
		if (r->step == BLK_WRITE)
			io_uring_prep_writev(sqe, fd, r->iov, n, r->offset);
		else
			io_uring_prep_readv(sqe, fd, r->iov, n, r->offset);
		if (r->step == BLK_WRITE && q->durable)
			sqe->rw_flags = RWF_DSYNC;
	}
	io_uring_sqe_set_data(sqe, r);
	r->in_flight = true;
	q->in_flight++;
}

/* Handles the end of an operation for @r, whose result is @res. */
static void request_on_completion(struct blk_queue *q, struct blk_request *r, int res)
{
	bool more = r->step != BLK_FLUSH && blk_request_piece_done(r, res > 0 ? (u64)res : 0);

	q->in_flight--;
	r->in_flight = false;
	if (blk_queue_stopping(q) && (res == -ECANCELED || res == -EINTR || (res > 0 && more))) {
		request_put(q, r);
		return;
	}
	if (res == -EINTR || (res > 0 && more)) {
		request_submit(q, r);
		return;
	}
	/* io_uring cannot carry the operation out without waiting, and would give EAGAIN again. */
	if (res == -EAGAIN) {
		request_run(q, r);
		return;
	}
	if (r->step == BLK_FLUSH)
		res = blk_image_flushed(q->c.image, res);
	else if (!res)
		res = -EIO; /* the file was truncated */
	blk_request_finish(r, res < 0 ? res : 0);
	request_complete(q, r);
}

/* --- the ring ------------------------------------------------------------------------------ */

/*
 * Handles a report of the poll of the kick. A multishot poll reports each signal, whatever the
 * counter's value is: it is neither read nor submitted again.
 */
static void ring_on_kick(struct blk_queue *q, const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	q->polling = false;
	if (cqe->res == -EINVAL && !q->one_shot)
		q->one_shot = true; /* before Linux 5.13 */
	else
		virtio_kick_clear(q->kick);
}

static void ring_reap(struct blk_queue *q)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&q->ring, &cqe)) {
		struct io_uring_cqe got = *cqe;
		void *what = io_uring_cqe_get_data(cqe);

		io_uring_cqe_seen(&q->ring, cqe);
		if (!what)
			ring_on_kick(q, &got);
		else if (what == q)
			q->cancelling--;
		else
			request_on_completion(q, what, got.res);
	}
}

/*
 * Submits all prepared operations, waits for @n completions and handles all that there are; false:
 * the ring does not work any more.
 */
static bool ring_enter(struct blk_queue *q, unsigned n)
{
	int ret = io_uring_submit_and_wait(&q->ring, n);

	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return false;
	ring_reap(q);
	return true;
}

static bool ring_wait(struct blk_queue *q)
{
	struct io_uring_sqe *sqe = q->polling ? NULL : io_uring_get_sqe(&q->ring);

	if (sqe) {
		if (q->one_shot)
			io_uring_prep_poll_add(sqe, q->kick, POLLIN);
		else
			io_uring_prep_poll_multishot(sqe, q->kick, POLLIN);
		io_uring_sqe_set_data(sqe, NULL);
		q->polling = true;
	}
	return ring_enter(q, 1);
}

static void ring_cancel(struct blk_queue *q, struct blk_request *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);

	if (!sqe)
		return; /* it is not cancelled, and ends by itself */
	io_uring_prep_cancel(sqe, r, 0);
	io_uring_sqe_set_data(sqe, q);
	q->cancelling++;
}

/*
 * Returns when no operation of the ring is in flight: those that the kernel has not begun are
 * cancelled, the others end by themselves, one piece at most of each request. False: the ring does
 * not work any more.
 */
static bool ring_end(struct blk_queue *q)
{
	if (!ring_enter(q, 0))
		return false;
	for (unsigned i = 0; i < DEPTH; i++)
		if (q->requests[i].in_flight)
			ring_cancel(q, &q->requests[i]);
	if (q->polling)
		ring_cancel(q, NULL);
	while (q->in_flight || q->cancelling || q->polling)
		if (!ring_enter(q, 1))
			return false;
	return true;
}

/* --- how a request begins ------------------------------------------------------------------ */

/* Returns true if @r is a write that is a mere copy into the page cache, as far as is known. */
static bool request_is_copy(struct blk_queue *q, const struct blk_request *r)
{
	if (!q->copies || q->durable || r->step != BLK_WRITE)
		return false;
	if (q->no_copy) {
		q->no_copy--;
		return false;
	}
	return true;
}

/* Returns how often this thread has given up its CPU by itself; -1: it is not known. */
static long thread_sleeps(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) ? -1 : u.ru_nvcsw;
}

/*
 * Carries out a write that request_is_copy(), and notes whether it was one. The clock alone does
 * not tell: on a busy host a copy takes as long as the other threads' turns. So one that follows a
 * slow one is looked at more closely, at the cost of two system calls.
 */
static void request_copy(struct blk_queue *q, struct blk_request *r)
{
	long sleeps = q->slow ? thread_sleeps() : -1;
	u64 begun;

	/* What is prepared does not wait for it. A ring that fails is noticed in ring_wait(). */
	if (io_uring_sq_ready(&q->ring))
		io_uring_submit(&q->ring);
	begun = now_ns();
	request_run(q, r);
	q->slow = now_ns() - begun > BLK_COPY_NS;
	if (q->slow && sleeps >= 0 && thread_sleeps() > sleeps)
		q->no_copy = BLK_COPY_PAUSE;
	/*
	 * A copy keeps no request, so a driver that goes on writing would keep blk_queue_drain()
	 * busy for ever, and reads that have ended would not be told.
	 */
	if (q->in_flight && blk_ring_ready(&q->ring)) {
		ring_reap(q);
		blk_queue_interrupt(q);
	}
}

static void request_begin(struct blk_queue *q, struct blk_request *r)
{
	if (r->step == BLK_DONE)
		request_complete(q, r);
	else if (r->step == BLK_LEFT)
		request_put(q, r);
	else if (q->no_ring)
		request_run(q, r);
	else if (request_is_copy(q, r))
		request_copy(q, r);
	else
		request_submit(q, r);
}

/* --- the thread ---------------------------------------------------------------------------- */

/*
 * Takes the requests that the driver has added; false: the driver broke the rules, and the queue is
 * served no more.
 */
static bool blk_queue_drain(struct blk_queue *q)
{
	int got = 0;

	virtqueue_listen(q->vq, false);
	while (q->idle && !blk_queue_stopping(q) &&
	       (got = virtqueue_pop(q->vq, &q->idle->chain)) == 1) {
		struct blk_request *r = q->idle;

		q->idle = r->next;
		if (blk_request_start(r, q->c.image, q->c.id, q->durable, &q->stop) == BLK_BAD)
			return false;
		request_begin(q, r);
	}
	return got >= 0;
}

static bool blk_queue_has_work(void *arg)
{
	struct blk_queue *q = arg;

	return blk_queue_stopping(q) || (q->idle && virtqueue_waiting(q->vq)) ||
	       (!q->no_ring && blk_ring_ready(&q->ring));
}

/*
 * Polls for more work, if that pays, and raises the interrupt for finished requests: busy polling
 * and interrupt coalescing (vq_pace.h). Returns true if there is more work, false if the thread is
 * to sleep.
 */
static bool blk_queue_poll(struct blk_queue *q)
{
	bool may = vq_pace_may_poll(&q->pace), found;

	/*
	 * Submits now only if polling follows: otherwise ring_wait() submits and waits by one
	 * system call. A ring that does not work is noticed there, too.
	 */
	if (may && !q->no_ring && io_uring_sq_ready(&q->ring))
		ring_enter(q, 0);
	/*
	 * The kernel's threads work on these and may need this CPU; their completions wake this
	 * thread.
	 */
	if (q->in_flight) {
		blk_queue_interrupt(q);
		if (may)
			vq_pace_polled(&q->pace, false);
		return false;
	}
	if (q->finished && vq_pace_enough(&q->pace, q->finished))
		blk_queue_interrupt(q);
	if (q->finished) {
		if (vq_pace_poll(blk_queue_has_work, q))
			return true;
		vq_pace_stalled(&q->pace, q->finished);
		blk_queue_interrupt(q);
	}
	if (!may)
		return false;
	found = vq_pace_poll(blk_queue_has_work, q);
	vq_pace_polled(&q->pace, found);
	return found;
}

/* Sleeps until there is something to do; false: the ring does not work any more. */
static bool blk_queue_wait(struct blk_queue *q)
{
	struct pollfd p = { .fd = q->kick, .events = POLLIN };

	/*
	 * (Q10): no notification is needed with all requests in flight, since the next
	 * completion wakes this thread.
	 */
	if (q->idle && virtqueue_listen(q->vq, true))
		return true;
	if (!q->no_ring)
		return ring_wait(q);
	if (poll(&p, 1, -1) > 0)
		virtio_kick_clear(q->kick);
	return true;
}

static void blk_queue_run(struct blk_queue *q)
{
	bool working = true;

	for (unsigned i = 0; i < (q->no_ring ? 1 : DEPTH); i++)
		request_put(q, &q->requests[i]);
	while (working && !blk_queue_stopping(q)) {
		if (!q->no_ring)
			ring_reap(q);
		if (!blk_queue_drain(q)) {
			virtio_needs_reset(q->v);
			break;
		}
		if (!blk_queue_stopping(q))
			working = blk_queue_poll(q) || blk_queue_wait(q);
	}
	/*
	 * Set even if the driver broke the rules: then requests in flight are dropped, not
	 * completed.
	 */
	__atomic_store_n(&q->stop, true, __ATOMIC_RELEASE);
	if (working && !q->no_ring)
		working = ring_end(q);
	if (working)
		return;
	/*
	 * The kernel ends requests in flight when the thread exits; no other ring can be made now.
	 */
	q->no_ring = true;
	virtio_needs_reset(q->v);
}

static void blk_queue_main(void *arg)
{
	struct blk_queue *q = arg;

	__atomic_store_n(&q->busy, true, __ATOMIC_RELEASE);
	blk_queue_run(q);
	__atomic_store_n(&q->busy, false, __ATOMIC_RELEASE);
}

static void blk_queue_thread_failed(void *arg)
{
	struct blk_queue *q = arg;

	virtio_needs_reset(q->v);
}

/* --- life ---------------------------------------------------------------------------------- */

int blk_queue_create(struct blk_queue **out, const struct blk_queue_config *c)
{
	struct blk_queue *q = calloc(1, sizeof(*q));
	bool cached;

	if (!q)
		return -ENOMEM;
	q->c = *c;
	q->ring.ring_fd = -1;
	cached = c->aio == BLK_AIO_AUTO && c->image->direct < 0;
	q->no_ring = c->aio == BLK_AIO_THREADS || (cached && c->storage == BLK_STORAGE_MEMORY);
	q->copies = cached && c->storage == BLK_STORAGE_DEVICE;
	if (!q->no_ring && blk_ring_open(&q->ring, 2 * DEPTH)) {
		q->no_ring = true;
		q->ring.ring_fd = -1;
	}
	vq_pace_init(&q->pace, c->queues);
	*out = q;
	return 0;
}

void blk_queue_destroy(struct blk_queue *q)
{
	if (!q)
		return;
	if (q->ring.ring_fd >= 0)
		io_uring_queue_exit(&q->ring);
	free(q);
}

int blk_queue_start(struct blk_queue *q, struct virtio *v, bool durable)
{
	int ret = -ENOMEM;

	q->v = v;
	q->vq = virtio_queue(v, q->c.index);
	q->kick = virtio_kick(v, q->c.index);
	q->durable = durable;
	q->idle = NULL;
	q->finished = q->in_flight = q->cancelling = 0;
	q->polling = false;
	q->thread = (struct host_thread){
		.kind = HOST_THREAD_BLOCK,
		.name = "virtio-blk",
		.run = blk_queue_main,
		.failed = blk_queue_thread_failed,
		.arg = q,
	};
	__atomic_store_n(&q->stop, false, __ATOMIC_RELEASE);
	__atomic_store_n(&q->stop_ms, 0, __ATOMIC_RELEASE);
	/* calloc() touches no page that is not used: a request has a page of addresses. */
	q->requests = calloc(DEPTH, sizeof(*q->requests));
	if (q->requests)
		ret = host_thread_start(virtio_host(v), &q->thread);
	if (ret) {
		free(q->requests);
		q->requests = NULL;
	}
	q->started = !ret;
	return ret;
}

void blk_queue_stop_begin(struct blk_queue *q)
{
	s64 never = 0;

	if (!q->started)
		return;
	__atomic_compare_exchange_n(&q->stop_ms, &never, now_ms(), false, __ATOMIC_ACQ_REL,
				    __ATOMIC_ACQUIRE);
	__atomic_store_n(&q->stop, true, __ATOMIC_RELEASE);
	eventfd_signal(q->kick);
}

s64 blk_queue_held_ms(const struct blk_queue *q)
{
	s64 since = __atomic_load_n(&q->stop_ms, __ATOMIC_ACQUIRE), held;

	if (!since || !__atomic_load_n(&q->busy, __ATOMIC_ACQUIRE))
		return 0;
	held = now_ms() - since;
	return held > 0 ? held : 1;
}

void blk_queue_stop_wait(struct blk_queue *q)
{
	if (!q->started)
		return;
	host_thread_stop(virtio_host(q->v), &q->thread);
	free(q->requests);
	q->requests = NULL;
	q->started = false;
}
