// SPDX-License-Identifier: GPL-2.0-only
/* Implements the memory balloon: gives pages back to the host, and reads the guest's statistics. */
#include "devices/virtio_balloon.h"

#include <errno.h>
#include <limits.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/little_endian.h"
#include "devices/vq_worker.h"

#define PCI_CLASS  0x00ff00
#define QUEUES	   5
#define QUEUE_SIZE 128
#define PAGE	   4096ULL
#define PAGE_SHIFT VIRTIO_BALLOON_PFN_SHIFT
#define BATCH	   256U		 /* page numbers between two looks whether the thread is to end */
#define PIECE	   (32ULL << 20) /* bytes of a report between two such looks */
#define TURN	   16U		 /* chains of a queue before the next queue has its turn */
#define STAT_SIZE  10U		 /* a tag of 16 bits and a value of 64 */
#define STATS_READ (64 * STAT_SIZE) /* more than that no driver tells */

enum role { ROLE_NONE, ROLE_INFLATE, ROLE_DEFLATE, ROLE_STATS, ROLE_REPORT };

struct virtio_balloon {
	struct virtio_type type;
	struct virtio *v;
	struct host *h;
	struct virtio_balloon_params params;
	u32 total;	      /* pages of RAM */
	u32 wanted;	      /* atomic: pages that the driver is to hold */
	u32 held;	      /* atomic: pages that it holds, as it says */
	u32 poison;	      /* atomic: what free pages are filled with */
	bool running;	      /* atomic: between start() and stop() */
	bool unseen;	      /* atomic: changed() was called, and nobody has looked */
	u64 inflated;	      /* atomic: pages given back */
	u64 reported;	      /* atomic: bytes given back */
	unsigned interval;    /* atomic: seconds */
	bool refresh;	      /* atomic: statistics are wanted now */
	pthread_mutex_t lock; /* of the next two; taken for a moment only */
	struct vq_worker *worker;
	struct balloon_stats stats;

	/* The thread's. */
	u64 features;
	struct vq_chain chain;
	u32 pages[BATCH];
	bool has_buffer; /* the driver's buffer for statistics is here; given back, it asks */
	u16 buffer;	 /* the head of its chain */
	s64 stats_ms;	 /* when it came */
};

/* Tells that the driver holds another number of pages; once until somebody looks. */
static void balloon_changed(struct virtio_balloon *b)
{
	if (!__atomic_exchange_n(&b->unseen, true, __ATOMIC_SEQ_CST) && b->params.changed)
		b->params.changed(b->params.arg);
}

static void balloon_set_held(struct virtio_balloon *b, u32 pages)
{
	if (__atomic_exchange_n(&b->held, pages, __ATOMIC_SEQ_CST) != pages)
		balloon_changed(b);
}

/* --- pages ----------------------------------------------------------------------------------- */

static int page_compare(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

/* Gives @n pages from @first on back; those of them that are no RAM are ignored. */
static void balloon_give_back_run(struct virtio_balloon *b, u64 first, u64 n)
{
	void *p = b->h->ops->ram(b->h, first << PAGE_SHIFT, n << PAGE_SHIFT);

	if (p) {
		if (!b->h->ops->ram_discard(b->h, p, n << PAGE_SHIFT))
			__atomic_fetch_add(&b->inflated, n, __ATOMIC_RELAXED);
	} else if (n > 1) {
		balloon_give_back_run(b, first, n / 2);
		balloon_give_back_run(b, first + n / 2, n - n / 2);
	}
}

/* Gives the first @n pages of b->pages back, neighbours together. */
static void balloon_give_back(struct virtio_balloon *b, size_t n)
{
	const u32 *pages = b->pages;

	qsort(b->pages, n, sizeof(b->pages[0]), page_compare);
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && pages[k] - pages[k - 1] <= 1; k++)
			;
		balloon_give_back_run(b, pages[i], (u64)pages[k - 1] - pages[i] + 1);
	}
}

/* Serves a chain of page numbers; returns false if no correct driver makes such a chain. */
static bool balloon_inflate(struct virtio_balloon *b, struct virtqueue *q,
			    const struct vq_worker *w)
{
	const struct vq_chain *c = &b->chain;
	size_t got;

	if (!c->n_out || c->out_len / sizeof(u32) > b->total)
		return false;
	for (u64 at = 0; at < c->out_len; at += got) {
		/* A chain that is taken at STOP is dropped without an answer. */
		if (vq_worker_ending(w))
			return true;
		got = iov_read(c->iov, c->n_out, at, b->pages, sizeof(b->pages));
		/* What is left of a number that is cut off is none. */
		balloon_give_back(b, got / sizeof(u32));
	}
	virtqueue_push(q, c->head, 0);
	return true;
}

/* Gives back the whole pages of a range of RAM, in pieces; false: the thread is to end. */
static bool balloon_give_back_range(struct virtio_balloon *b, const struct iovec *iov,
				    const struct vq_worker *w)
{
	u8 *p = (u8 *)ALIGN_UP((uintptr_t)iov->iov_base, PAGE);
	const u8 *end = (u8 *)iov->iov_base + iov->iov_len;
	u64 len = p < end ? (u64)(end - p) & ~(PAGE - 1) : 0;

	for (u64 at = 0, n; at < len; at += n) {
		n = len - at < PIECE ? len - at : PIECE;
		if (vq_worker_ending(w))
			return false;
		if (!b->h->ops->ram_discard(b->h, p + at, n))
			__atomic_fetch_add(&b->reported, n, __ATOMIC_RELAXED);
	}
	return true;
}

/*
 * Serves a chain of free ranges (5.5.6.7). A driver whose free pages have a content of their own
 * (5.5.6.6) would miss it after that: they are kept, unless it is zero.
 */
static bool balloon_report(struct virtio_balloon *b, struct virtqueue *q, const struct vq_worker *w)
{
	const struct vq_chain *c = &b->chain;
	bool keep = b->features >> VIRTIO_BALLOON_F_PAGE_POISON & 1 &&
		    __atomic_load_n(&b->poison, __ATOMIC_RELAXED);

	if (!c->n_in || c->in_len >> PAGE_SHIFT > b->total)
		return false;
	for (unsigned i = 0; i < c->n_in && !keep; i++)
		if (!balloon_give_back_range(b, &c->iov[c->n_out + i], w))
			return true;
	virtqueue_push(q, c->head, 0);
	return true;
}

/* --- statistics ------------------------------------------------------------------------------ */

static void stats_forget(struct virtio_balloon *b)
{
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < BALLOON_STATS; i++)
		b->stats.value[i] = BALLOON_STAT_UNKNOWN;
	b->stats.updated = 0;
	pthread_mutex_unlock(&b->lock);
}

/* Takes the values of @len bytes; a tag that is not known is of a later version, and skipped. */
static void stats_take(struct virtio_balloon *b, const u8 *data, size_t len)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	stats_forget(b);
	pthread_mutex_lock(&b->lock);
	for (; len >= STAT_SIZE; data += STAT_SIZE, len -= STAT_SIZE)
		if (load_u16(data) < BALLOON_STATS)
			b->stats.value[load_u16(data)] = load_u64(data + 2);
	b->stats.updated = (u64)now.tv_sec;
	b->stats.count++;
	pthread_mutex_unlock(&b->lock);
}

/* Keeps the driver's buffer: it is given back when statistics are wanted again (5.5.6.3). */
static bool balloon_take_stats(struct virtio_balloon *b, struct virtqueue *q)
{
	u8 data[STATS_READ];

	if (!b->chain.n_out)
		return false;
	/* A correct driver has one buffer only. */
	if (b->has_buffer)
		virtqueue_push(q, b->buffer, 0);
	stats_take(b, data, iov_read(b->chain.iov, b->chain.n_out, 0, data, sizeof(data)));
	b->has_buffer = true;
	b->buffer = b->chain.head;
	b->stats_ms = now_ms();
	__atomic_store_n(&b->refresh, false, __ATOMIC_RELAXED);
	return true;
}

/* Returns in how many milliseconds statistics are to be asked for; -1: not by itself. */
static int stats_due_in(const struct virtio_balloon *b)
{
	unsigned interval = __atomic_load_n(&b->interval, __ATOMIC_RELAXED);
	s64 left;

	if (!b->has_buffer)
		return -1;
	if (__atomic_load_n(&b->refresh, __ATOMIC_RELAXED))
		return 0;
	if (!interval)
		return -1;
	left = b->stats_ms + (s64)interval * 1000 - now_ms();
	if (left <= 0)
		return 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}

static void stats_ask(struct virtio_balloon *b)
{
	struct virtqueue *q = virtio_queue(b->v, 2);

	b->has_buffer = false;
	virtqueue_push(q, b->buffer, 0);
	virtio_queue_done(b->v, 2);
}

/* --- queues ---------------------------------------------------------------------------------- */

/* Returns what queue @i is for, by what the driver has accepted. */
static enum role queue_role(const struct virtio_balloon *b, unsigned i)
{
	bool report = b->features >> VIRTIO_BALLOON_F_REPORTING & 1;

	switch (i) {
	case 0:
		return ROLE_INFLATE;
	case 1:
		return ROLE_DEFLATE;
	case 2:
		if (b->features >> VIRTIO_BALLOON_F_STATS_VQ & 1)
			return ROLE_STATS;
		break;
	default:
		break;
	}
	return report ? ROLE_REPORT : ROLE_NONE;
}

/* Serves the chain that was taken; false: no correct driver makes such a chain. */
static bool chain_serve(struct virtio_balloon *b, unsigned i, const struct vq_worker *w)
{
	struct virtqueue *q = virtio_queue(b->v, i);

	switch (queue_role(b, i)) {
	case ROLE_INFLATE:
		return balloon_inflate(b, q, w);
	case ROLE_DEFLATE:
		virtqueue_push(q, b->chain.head, 0);
		return b->chain.n_out;
	case ROLE_STATS:
		return balloon_take_stats(b, q);
	case ROLE_REPORT:
		return balloon_report(b, q, w);
	case ROLE_NONE:
	default:
		return false;
	}
}

/* Serves some chains of a queue. 1: there are more; 0: no more; -EIO: the driver broke a rule. */
static int queue_serve(struct virtio_balloon *b, unsigned i, const struct vq_worker *w)
{
	struct virtqueue *q = virtio_queue(b->v, i);
	int got = 1;

	virtqueue_listen(q, false);
	for (unsigned n = 0; n < TURN && got && !vq_worker_ending(w); n++) {
		got = virtqueue_pop(q, &b->chain);
		if (got < 0 || (got && !chain_serve(b, i, w)))
			return -EIO;
	}
	virtio_queue_done(b->v, i);
	return got || virtqueue_listen(q, true); /* (Q10) */
}

static bool balloon_serve(void *arg, const struct vq_worker *w)
{
	struct virtio_balloon *b = arg;
	bool more;

	do {
		more = false;
		for (unsigned i = 0; i < QUEUES && !vq_worker_ending(w); i++) {
			int ret = virtio_queue(b->v, i) ? queue_serve(b, i, w) : 0;

			if (ret < 0)
				return false;
			more |= ret > 0;
		}
		if (!stats_due_in(b))
			stats_ask(b);
	} while (more && !vq_worker_ending(w));
	return true;
}

static unsigned balloon_watch(void *arg, struct pollfd *p, int *timeout_ms)
{
	(void)p;
	*timeout_ms = stats_due_in(arg);
	return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static int balloon_start(void *arg, u64 features)
{
	static const struct vq_worker_ops ops = { "virtio-balloon", balloon_serve, balloon_watch };
	struct virtio_balloon *b = arg;
	int ret;

	if (!virtio_queue(b->v, 0) || !virtio_queue(b->v, 1))
		return -EINVAL;
	b->features = features;
	b->has_buffer = false;
	pthread_mutex_lock(&b->lock);
	ret = vq_worker_start(&b->worker, b->v, &ops, b);
	pthread_mutex_unlock(&b->lock);
	__atomic_store_n(&b->running, !ret, __ATOMIC_RELEASE);
	return ret;
}

static void balloon_stop(void *arg)
{
	struct virtio_balloon *b = arg;
	struct vq_worker *w;

	__atomic_store_n(&b->running, false, __ATOMIC_RELEASE);
	pthread_mutex_lock(&b->lock);
	w = b->worker;
	b->worker = NULL;
	pthread_mutex_unlock(&b->lock);
	vq_worker_stop(w);
	__atomic_store_n(&b->poison, 0, __ATOMIC_RELAXED);
	stats_forget(b);
	balloon_set_held(b, 0);
}

static void balloon_config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	struct virtio_balloon *b = arg;
	struct virtio_balloon_config c = { 0 };
	u32 value;

	if (!write) {
		c.num_pages = __atomic_load_n(&b->wanted, __ATOMIC_RELAXED);
		c.actual = __atomic_load_n(&b->held, __ATOMIC_RELAXED);
		c.poison_val = __atomic_load_n(&b->poison, __ATOMIC_RELAXED);
		if (offset < sizeof(c))
			memcpy(data, (u8 *)&c + offset,
			       len < sizeof(c) - offset ? len : sizeof(c) - offset);
		return;
	}
	if (len != sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	if (offset == offsetof(struct virtio_balloon_config, poison_val))
		__atomic_store_n(&b->poison, value, __ATOMIC_RELAXED);
	else if (offset == offsetof(struct virtio_balloon_config, actual) &&
		 __atomic_load_n(&b->running, __ATOMIC_ACQUIRE))
		balloon_set_held(b, value);
}

int virtio_balloon_create(struct virtio_balloon **out, const struct virtio_balloon_params *params)
{
	struct virtio_balloon *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->params = *params;
	b->type = (struct virtio_type){
		.id = VIRTIO_ID_BALLOON,
		.class = PCI_CLASS,
		.features = 1ULL << VIRTIO_BALLOON_F_STATS_VQ |
			    1ULL << VIRTIO_BALLOON_F_PAGE_POISON |
			    (u64)params->reporting << VIRTIO_BALLOON_F_REPORTING |
			    (u64)params->deflate_on_oom << VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
		.queues = QUEUES,
		.queue_size = QUEUE_SIZE,
		.start = balloon_start,
		.stop = balloon_stop,
		.config = balloon_config,
	};
	pthread_mutex_init(&b->lock, NULL);
	stats_forget(b);
	*out = b;
	return 0;
}

void virtio_balloon_destroy(struct virtio_balloon *b)
{
	if (!b)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b);
}

const struct virtio_type *virtio_balloon_type(const struct virtio_balloon *b)
{
	return &b->type;
}

void virtio_balloon_attach(struct virtio_balloon *b, struct virtio *v)
{
	struct host_region r;

	b->v = v;
	b->h = virtio_host(v);
	for (unsigned i = 0; b->h->ops->ram_region(b->h, i, &r); i++)
		b->total += (u32)(r.len >> PAGE_SHIFT);
}

/* --- for the host ---------------------------------------------------------------------------- */

void virtio_balloon_look(struct virtio_balloon *b, struct balloon_state *out)
{
	u32 held;

	/* First the mark, then the value: a change between them is told once more. */
	__atomic_store_n(&b->unseen, false, __ATOMIC_SEQ_CST);
	held = __atomic_load_n(&b->held, __ATOMIC_SEQ_CST);
	*out = (struct balloon_state){
		.total = (u64)b->total << PAGE_SHIFT,
		.target = (u64)(b->total - __atomic_load_n(&b->wanted, __ATOMIC_RELAXED))
			  << PAGE_SHIFT,
		.actual = (u64)(held < b->total ? b->total - held : 0) << PAGE_SHIFT,
		.inflated = __atomic_load_n(&b->inflated, __ATOMIC_RELAXED) << PAGE_SHIFT,
		.reported = __atomic_load_n(&b->reported, __ATOMIC_RELAXED),
		.driver = __atomic_load_n(&b->running, __ATOMIC_ACQUIRE),
		.interval = __atomic_load_n(&b->interval, __ATOMIC_RELAXED),
	};
	pthread_mutex_lock(&b->lock);
	out->stats = b->stats;
	pthread_mutex_unlock(&b->lock);
}

void virtio_balloon_set_target(struct virtio_balloon *b, u64 bytes)
{
	u64 pages = bytes >> PAGE_SHIFT;
	u32 wanted = pages < b->total ? b->total - (u32)pages : 0;

	if (__atomic_exchange_n(&b->wanted, wanted, __ATOMIC_SEQ_CST) != wanted)
		virtio_config_changed(b->v);
}

/* Has the thread look at what is wanted of it, if there is one. */
static void balloon_wake(struct virtio_balloon *b)
{
	pthread_mutex_lock(&b->lock);
	if (b->worker)
		vq_worker_wake(b->worker);
	pthread_mutex_unlock(&b->lock);
}

void virtio_balloon_refresh(struct virtio_balloon *b)
{
	__atomic_store_n(&b->refresh, true, __ATOMIC_RELAXED);
	balloon_wake(b);
}

void virtio_balloon_set_interval(struct virtio_balloon *b, unsigned seconds)
{
	unsigned old = __atomic_exchange_n(&b->interval, seconds, __ATOMIC_RELAXED);

	if (seconds && !old)
		virtio_balloon_refresh(b);
	else if (seconds != old)
		balloon_wake(b);
}
