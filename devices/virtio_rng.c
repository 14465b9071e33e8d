// SPDX-License-Identifier: GPL-2.0-only
/* Implements the entropy device: gives the host's random numbers, at a bounded rate. */
#include "devices/virtio_rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "devices/vq_worker.h"

#define PCI_CLASS  0xff0000
#define QUEUE_SIZE 16
#define WINDOW_MS  100
#define CHUNK	   256U /* getrandom() gives this much without being interrupted */

struct virtio_rng {
	struct virtio *v;
	struct vq_worker *worker;
	s64 window; /* beginning of the current tenth of a second, in ms */
	u32 given;  /* bytes in this window */
	struct vq_chain chain;
};

/* Returns how many bytes may still be given in this window. */
static u32 rng_budget(struct virtio_rng *r)
{
	s64 now = now_ms();

	if (now - r->window >= WINDOW_MS) {
		r->window = now;
		r->given = 0;
	}
	return VIRTIO_RNG_RATE - r->given;
}

/* Fills at most @limit bytes of the chain; returns how many. A part is an answer, too (5.4.6.2). */
static u32 rng_fill(struct virtio_rng *r, u32 limit)
{
	const struct iovec *iov = r->chain.iov + r->chain.n_out;
	u8 buf[CHUNK];
	u32 done = 0;

	while (done < limit && done < r->chain.in_len) {
		u64 want = r->chain.in_len - done;
		ssize_t got;

		if (want > limit - done)
			want = limit - done;
		if (want > sizeof(buf))
			want = sizeof(buf);
		got = getrandom(buf, (size_t)want, 0);
		if (got <= 0)
			break;
		iov_write(iov, r->chain.n_in, done, buf, (size_t)got);
		done += (u32)got;
	}
	return done;
}

static bool rng_serve(void *arg, const struct vq_worker *w)
{
	struct virtio_rng *r = arg;
	struct virtqueue *q = virtio_queue(r->v, 0);
	u32 left;
	int got;

	do {
		virtqueue_listen(q, false);
		while ((left = rng_budget(r)) && !vq_worker_ending(w)) {
			u32 n;

			got = virtqueue_pop(q, &r->chain);
			if (got < 0 || (got && !r->chain.n_in))
				return false;
			if (!got)
				break;
			n = rng_fill(r, left);
			r->given += n;
			virtqueue_push(q, r->chain.head, n);
		}
		virtio_queue_done(r->v, 0);
		/* (Q10): without a budget the next window's beginning wakes this thread. */
	} while (left && !vq_worker_ending(w) && virtqueue_listen(q, true));
	return true;
}

static unsigned rng_watch(void *arg, struct pollfd *p, int *timeout_ms)
{
	struct virtio_rng *r = arg;

	(void)p;
	if (r->given == VIRTIO_RNG_RATE)
		*timeout_ms = WINDOW_MS;
	return 0;
}

static int rng_start(void *arg, u64 features)
{
	static const struct vq_worker_ops ops = { "virtio-rng", rng_serve, rng_watch };
	struct virtio_rng *r = arg;

	(void)features;
	return virtio_queue(r->v, 0) ? vq_worker_start(&r->worker, r->v, &ops, r) : -EINVAL;
}

static void rng_stop(void *arg)
{
	struct virtio_rng *r = arg;

	vq_worker_stop(r->worker);
	r->worker = NULL;
}

/* Does nothing: the device has no configuration. */
static void rng_config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	(void)arg;
	(void)offset;
	(void)data;
	(void)len;
	(void)write;
}

int virtio_rng_create(struct virtio_rng **out)
{
	struct virtio_rng *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*out = r;
	return 0;
}

void virtio_rng_destroy(struct virtio_rng *r)
{
	free(r);
}

const struct virtio_type *virtio_rng_type(void)
{
	static const struct virtio_type type = {
		.id = VIRTIO_ID_RNG,
		.class = PCI_CLASS,
		.queues = 1,
		.queue_size = QUEUE_SIZE,
		.start = rng_start,
		.stop = rng_stop,
		.config = rng_config,
	};

	return &type;
}

void virtio_rng_attach(struct virtio_rng *r, struct virtio *v)
{
	r->v = v;
}
