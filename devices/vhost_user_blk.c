// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements a disk that another process serves: one thread talks to the back end, and has it serve
 * or leave the queues as the driver starts or resets the device.
 *
 *               disk_start()             start_back_end_rings()
 *	 +---------+           +---------+                        +---------+
 *	 | stopped |---------->| started |----------------------->| serving |
 *	 +---------+           +---------+                        +---------+
 *	   ^  ^    disk_stop()  |  ^                                |    |
 *	   |  +-----------------+  +--------------------------------+    |
 *	   |                   hang_up_back_end(): the back end is gone  |
 *	   +-------------------------------------------------------------+
 *	     disk_stop(): stop_back_end_rings(), or hang_up_back_end() if that takes too long
 *
 * Locks: the core's lock of the device is held around disk_start() and disk_stop(), which waits for
 * the thread; so the thread never waits for the core's lock, it only tries. b->lock comes after the
 * core's, and is never held by a thread that waits for the back end.
 */
#include "devices/vhost_user_blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/eventfd.h"
#include "devices/vhost_user.h"
#include "devices/vq_history.h"

#define PCI_CLASS    0x010000
#define QUEUE_SIZE   256
#define PATIENCE_MS  5000
#define STOP_MS	     400 /* for a back end to leave the queues, before it is hung up on */
#define NEWS_MS	     10	 /* between attempts to take the core's lock */
#define RECONNECT_MS 1000
#define F(n)	     (1ULL << VIRTIO_BLK_F_##n)
/* CONFIG_WCE is left out: writes to its register would have to be sent to the back end. */
#define BLK_FEATURES                                                                             \
	(F(SIZE_MAX) | F(SEG_MAX) | F(GEOMETRY) | F(RO) | F(BLK_SIZE) | F(FLUSH) | F(TOPOLOGY) | \
	 F(MQ) | F(DISCARD) | F(WRITE_ZEROES))
#define RING_FEATURES (1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_RING_F_EVENT_IDX)
/* The fields that every back end has: all up to those of write-zeroes. */
#define CONFIG_LEN ((u32)offsetof(struct virtio_blk_config, max_secure_erase_sectors))

struct vhost_user_blk {
	struct host *h;
	char *path;
	unsigned reconnect_ms;
	int (*dial)(void *arg, int cancel);
	void (*note)(void *arg, const char *line);
	void *arg;
	struct virtio_type type;
	struct virtio *v;
	struct host_thread thread;
	int wake;   /* eventfd: wakes the thread; -1: there is no thread */
	int cancel; /* eventfd: ends the thread's exchange with the back end with an error */

	/* Only the thread uses these, and before it runs the creator. */
	struct vhost_user u; /* u.fd -1: there is no back end now */
	struct vhost_user_inflight inflight;
	struct virtio_blk_config news; /* the back end's configuration */
	bool has_news;		       /* the driver was not told it yet */
	struct vq_history history[VIRTIO_MAX_QUEUES];

	pthread_mutex_t lock; /* protects all members below */
	pthread_cond_t quiet; /* serving or running became false */
	struct virtio_blk_config config;
	bool running; /* the thread */
	bool leaving; /* it is to end */
	bool started; /* the driver is ready */
	bool serving; /* the back end may be using the queues; changed by the thread only */
	bool lost;    /* unanswered requests are not known, so the driver has to reset the device */
	bool forget;  /* the driver has reset the device: record and history are of no use */
	u64 features;
	int calls[VIRTIO_MAX_QUEUES];
};

static void blk_note(const struct vhost_user_blk *b, const char *what)
{
	char line[300];

	if (!b->note)
		return;
	snprintf(line, sizeof(line), "disk vhost-user=%s: %s", b->path, what);
	b->note(b->arg, line);
}

/* --- the queues, on the thread ------------------------------------------------------------- */

static void forget_inflight(struct vhost_user_blk *b)
{
	if (b->inflight.fd >= 0)
		close(b->inflight.fd);
	b->inflight.fd = -1;
}

/* Gives the back end the record of its predecessor, or has it make a new one. */
static int set_inflight(struct vhost_user_blk *b)
{
	int ret = 0;

	if (!(b->u.protocol >> VHOST_USER_P_INFLIGHT & 1)) {
		forget_inflight(b);
		return 0;
	}
	if (b->inflight.fd < 0) {
		b->inflight.queues = (u16)b->type.queues;
		b->inflight.queue_size = QUEUE_SIZE;
		ret = vhost_user_make_inflight(&b->u, &b->inflight);
		if (ret)
			b->inflight.fd = -1;
	}
	return ret ? ret : vhost_user_set_inflight(&b->u, &b->inflight);
}

/* Returns true if the back end that is there can go on by the record of its predecessor. */
static bool has_record(const struct vhost_user_blk *b)
{
	return b->inflight.fd >= 0 && (b->u.protocol >> VHOST_USER_P_INFLIGHT & 1);
}

static int start_back_end_ring(struct vhost_user_blk *b, unsigned i, const struct virtqueue *q)
{
	struct vhost_user_ring r = {
		.size = q->size,
		.desc = q->desc,
		.avail = q->avail,
		.used = q->used,
		.kick = virtio_kick(b->v, i),
		.call = b->calls[i],
	};
	bool known;
	int ret;

	/* By a record the back end finds what is not answered; then only the index is of use. */
	known = vq_history_resume(&b->history[i], q, &r.base);
	vq_history_begin(&b->history[i], r.base, known, now_ms());
	ret = vhost_user_start_ring(&b->u, i, &r);
	/* Repeats kicks and answers that came while there was no back end. */
	eventfd_signal(r.kick);
	eventfd_signal(r.call);
	return ret;
}

static int start_back_end_rings(struct vhost_user_blk *b)
{
	int ret;

	vhost_user_patience(&b->u, PATIENCE_MS);
	ret = vhost_user_set_features(&b->u, b->features & b->u.features);
	if (!ret)
		ret = vhost_user_set_memory(&b->u, b->h);
	if (!ret)
		ret = set_inflight(b);
	for (unsigned i = 0; i < b->type.queues && !ret; i++) {
		const struct virtqueue *q = virtio_queue(b->v, i);

		if (q)
			ret = start_back_end_ring(b, i, q);
	}
	return ret;
}

static int stop_back_end_rings(struct vhost_user_blk *b)
{
	int ret = 0;

	vhost_user_patience(&b->u, STOP_MS);
	for (unsigned i = 0; i < b->type.queues && !ret; i++)
		if (virtio_queue(b->v, i))
			ret = vhost_user_stop_ring(&b->u, i);
	return ret;
}

/* Notes that the back end does not use the queues any more, so that disk_stop() may return. */
static void disk_set_quiet(struct vhost_user_blk *b)
{
	pthread_mutex_lock(&b->lock);
	b->serving = false;
	pthread_cond_broadcast(&b->quiet);
	pthread_mutex_unlock(&b->lock);
}

/* Looks at the queues that the back end serves, or has served until now. */
static void look_at_queues(struct vhost_user_blk *b)
{
	s64 now = now_ms();

	for (unsigned i = 0; i < b->type.queues && b->serving; i++) {
		const struct virtqueue *q = virtio_queue(b->v, i);

		if (q)
			vq_history_look(&b->history[i], q, now);
	}
}

static void hang_up_back_end(struct vhost_user_blk *b)
{
	vhost_user_close(&b->u);
	look_at_queues(b);
	disk_set_quiet(b);
}

/* Returns true if the back end that is there can know which requests are unanswered. */
static bool queues_resumable(const struct vhost_user_blk *b)
{
	u16 index;

	if (has_record(b))
		return true;
	for (unsigned i = 0; i < b->type.queues; i++) {
		const struct virtqueue *q = virtio_queue(b->v, i);

		if (q && !vq_history_resume(&b->history[i], q, &index))
			return false;
	}
	return true;
}

/* Requests from before a reset are not to be carried out. */
static void forget_requests(struct vhost_user_blk *b)
{
	forget_inflight(b);
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		vq_history_reset(&b->history[i]);
}

/*
 * Sets serving and returns true if the queues are to be served, and are not, by a back end that is
 * there.
 */
static bool claim_queues(struct vhost_user_blk *b)
{
	bool begin;

	pthread_mutex_lock(&b->lock);
	if (b->forget)
		forget_requests(b);
	b->forget = false;
	begin = b->started && !b->serving && !b->lost && b->u.fd >= 0;
	if (begin)
		b->serving = true;
	pthread_mutex_unlock(&b->lock);
	return begin;
}

static void lose_queues(struct vhost_user_blk *b)
{
	pthread_mutex_lock(&b->lock);
	b->lost = true;
	pthread_mutex_unlock(&b->lock);
	disk_set_quiet(b);
	virtio_needs_reset(b->v);
}

static bool queues_unwanted(struct vhost_user_blk *b)
{
	bool unwanted;

	pthread_mutex_lock(&b->lock);
	unwanted = !b->started && b->serving;
	pthread_mutex_unlock(&b->lock);
	return unwanted;
}

/*
 * Has the back end serve the queues, or leave them, as the driver wants it by now. While serving is
 * set disk_stop() waits for this thread, which is the queues' owner then, by (Q2). False: the back
 * end that is there cannot know which requests its predecessor left unanswered.
 */
static bool follow_driver(struct vhost_user_blk *b)
{
	if (queues_unwanted(b)) {
		if (stop_back_end_rings(b))
			hang_up_back_end(b);
		else
			disk_set_quiet(b);
	}
	if (!claim_queues(b))
		return true;
	if (!queues_resumable(b)) {
		lose_queues(b);
		return false;
	}
	if (start_back_end_rings(b))
		hang_up_back_end(b);
	return true;
}

/* --- the queues, for the core -------------------------------------------------------------- */

static int disk_start(void *arg, u64 features)
{
	struct vhost_user_blk *b = arg;
	int ret = 0;

	pthread_mutex_lock(&b->lock);
	for (unsigned i = 0; i < b->type.queues && ret >= 0; i++)
		if (virtio_queue(b->v, i))
			ret = b->calls[i] = virtio_call(b->v, i);
	if (ret >= 0) {
		b->features = features;
		b->started = true;
	}
	pthread_mutex_unlock(&b->lock);
	/*
	 * The thread talks to the back end: neither a vCPU nor a holder of the core's lock waits
	 * for it.
	 */
	eventfd_signal(b->wake);
	return ret < 0 ? ret : 0;
}

/*
 * Waits until *busy is false or the thread has ended; cancels its exchange after STOP_MS. The
 * caller holds the lock.
 */
static void await_quiet(struct vhost_user_blk *b, const bool *busy)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += STOP_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (b->running && *busy && !ret)
		ret = pthread_cond_timedwait(&b->quiet, &b->lock, &until);
	if (!b->running || !*busy)
		return;
	eventfd_signal(b->cancel);
	while (b->running && *busy)
		pthread_cond_wait(&b->quiet, &b->lock);
}

static void disk_stop(void *arg)
{
	struct vhost_user_blk *b = arg;

	pthread_mutex_lock(&b->lock);
	b->started = false;
	eventfd_signal(b->wake);
	await_quiet(b, &b->serving);
	b->lost = false;
	b->forget = true;
	pthread_mutex_unlock(&b->lock);
}

/* --- configuration ------------------------------------------------------------------------- */

static void disk_config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	struct vhost_user_blk *b = arg;

	if (write || offset >= CONFIG_LEN)
		return;
	pthread_mutex_lock(&b->lock);
	memcpy(data, (u8 *)&b->config + offset,
	       len < CONFIG_LEN - offset ? len : CONFIG_LEN - offset);
	pthread_mutex_unlock(&b->lock);
}

static bool config_take_news(void *arg)
{
	struct vhost_user_blk *b = arg;
	bool differs;

	b->news.num_queues = (u16)b->type.queues;
	pthread_mutex_lock(&b->lock);
	differs = memcmp(&b->config, &b->news, CONFIG_LEN) != 0;
	memcpy(&b->config, &b->news, CONFIG_LEN);
	pthread_mutex_unlock(&b->lock);
	return differs;
}

/* --- the thread ---------------------------------------------------------------------------- */

/* Handles one message of the back end's. */
static void on_back_end_message(struct vhost_user_blk *b)
{
	int ret;

	vhost_user_patience(&b->u, PATIENCE_MS);
	ret = vhost_user_on_channel(&b->u);
	if (!ret)
		return; /* nothing new */
	if (ret > 0)
		ret = vhost_user_get_config(&b->u, &b->news, CONFIG_LEN);
	if (ret)
		hang_up_back_end(b);
	else
		b->has_news = true;
}

/* Returns true if @u has all queues and features that the driver was offered. */
static bool successor_fits(const struct vhost_user_blk *b, const struct vhost_user *u)
{
	u64 offered = b->type.features | (RING_FEATURES & ~b->type.without);

	return u->queues >= b->type.queues && !(offered & ~F(MQ) & ~u->features) &&
	       (u->features & F(RO)) == (b->type.features & F(RO));
}

static void reconnect_back_end(struct vhost_user_blk *b)
{
	struct vhost_user_limit limit = vhost_user_deadline(PATIENCE_MS);
	int fd = b->dial ? b->dial(b->arg, b->cancel) : vhost_user_dial(b->path);
	struct vhost_user u;

	limit.cancel = b->cancel;
	if (fd < 0 || vhost_user_open(&u, fd, limit))
		return;
	if (!successor_fits(b, &u) || vhost_user_get_config(&u, &b->news, CONFIG_LEN)) {
		vhost_user_close(&u);
		return;
	}
	b->u = u;
	b->has_news = true;
	if (!follow_driver(b))
		blk_note(b,
			 "a back end is there again, but it is not known which requests the one "
			 "before left unanswered: it kept no record, and may answer out of order; "
			 "restart the guest");
	else if (b->u.fd >= 0)
		blk_note(b, "a back end is there again");
}

/*
 * Does one round of the thread: follows the driver, then waits for it, for the back end, or until
 * it is time to connect again.
 */
static void attend_back_end_once(struct vhost_user_blk *b, bool *there)
{
	struct pollfd p[3] = { { .fd = b->wake, .events = POLLIN } };
	int timeout = -1;

	follow_driver(b);
	/* The exchange that was to be cancelled has ended. */
	virtio_kick_clear(b->cancel);
	if (*there && b->u.fd < 0)
		blk_note(b, "the back end is gone; the guest's requests wait for another one at "
			    "this socket");
	*there = b->u.fd >= 0;
	if (!*there)
		timeout = (int)b->reconnect_ms;
	/*
	 * The core's lock may be held for disk_stop(), which waits for this thread: so it is only
	 * tried.
	 */
	if (b->has_news && virtio_config_update_try(b->v, config_take_news, b))
		b->has_news = false;
	if (b->serving && !has_record(b))
		timeout = VQ_HISTORY_LOOK_MS;
	if (b->has_news)
		timeout = NEWS_MS;
	/*
	 * Only the connection's end is of interest: a reply is read by the function that asked for
	 * it.
	 */
	p[1] = (struct pollfd){ .fd = b->u.fd, .events = POLLRDHUP };
	p[2] = (struct pollfd){ .fd = b->u.channel, .events = POLLIN };
	if (poll(p, 3, timeout) < 0)
		return;
	if (!has_record(b))
		look_at_queues(b);
	if (p[0].revents)
		virtio_kick_clear(b->wake);
	if (p[1].revents)
		hang_up_back_end(b);
	else if (p[2].revents)
		on_back_end_message(b);
	if (!*there && !p[0].revents && !b->has_news)
		reconnect_back_end(b);
}

static bool blk_is_leaving(struct vhost_user_blk *b)
{
	bool leaving;

	pthread_mutex_lock(&b->lock);
	leaving = b->leaving;
	pthread_mutex_unlock(&b->lock);
	return leaving;
}

static void attend_back_end(void *arg)
{
	struct vhost_user_blk *b = arg;
	bool there = true;

	pthread_mutex_lock(&b->lock);
	b->running = true;
	pthread_mutex_unlock(&b->lock);
	while (!blk_is_leaving(b))
		attend_back_end_once(b, &there);
	if (b->serving && b->u.fd >= 0)
		stop_back_end_rings(b);
	hang_up_back_end(b);
	pthread_mutex_lock(&b->lock);
	b->running = false;
	pthread_cond_broadcast(&b->quiet);
	pthread_mutex_unlock(&b->lock);
}

static void disk_thread_failed(void *arg)
{
	struct vhost_user_blk *b = arg;

	virtio_needs_reset(b->v);
}

/* --- life ---------------------------------------------------------------------------------- */

static int refuse_back_end(const struct vhost_user_blk_params *p, int ret, struct err *e)
{
	return err_set(e, ret, "--disk vhost-user=%s: the back end %s", p->path,
		       ret == -ETIMEDOUT ? "does not answer; does it serve another guest already?"
		       : ret == -ECONNRESET ? "hung up; does it speak vhost-user?"
		       : ret == -EOPNOTSUPP ? "is no virtio 1 block device with a configuration"
		       : ret == -EPROTO	    ? "does not speak vhost-user"
					    : strerror(-ret));
}

static int open_back_end(struct vhost_user_blk *b, const struct vhost_user_blk_params *p,
			 struct err *e)
{
	struct vhost_user_limit limit = vhost_user_deadline(PATIENCE_MS);
	int fd = vhost_user_dial(p->path), ret;

	limit.cancel = b->cancel;
	if (fd < 0)
		return err_set(
			e, fd,
			"--disk vhost-user=%s: cannot connect: %s; start the back end first, "
			"qemu-storage-daemon --export type=vhost-user-blk,... for example",
			p->path, strerror(-fd));
	ret = vhost_user_open(&b->u, fd, limit);
	if (!ret)
		ret = vhost_user_get_config(&b->u, &b->config, CONFIG_LEN);
	if (ret)
		return refuse_back_end(p, ret, e);
	if (!p->fewer && p->queues > b->u.queues)
		return err_set(e, -EINVAL,
			       "--disk vhost-user=%s: the back end has %u queue%s, not %u; give it "
			       "more (num-queues=%u) or leave out queues=",
			       p->path, b->u.queues, b->u.queues == 1 ? "" : "s", p->queues,
			       p->queues);
	return 0;
}

int vhost_user_blk_create(struct vhost_user_blk **out, struct host *h,
			  const struct vhost_user_blk_params *p, struct err *e)
{
	struct vhost_user_blk *b = calloc(1, sizeof(*b));
	struct host_region r = { .fd = -1 };
	pthread_condattr_t a;
	unsigned queues;
	int ret;

	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&b->quiet, &a);
	b->h = h;
	b->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->wake = b->u.fd = b->u.channel = b->inflight.fd = -1;
	b->note = p->note;
	b->dial = p->dial;
	b->arg = p->arg;
	b->reconnect_ms = p->reconnect_ms ? p->reconnect_ms : RECONNECT_MS;
	b->path = strdup(p->path);
	if (!b->path)
		ret = err_set(e, -ENOMEM, "out of memory");
	else if (b->cancel < 0)
		ret = err_set(e, -errno, "cannot make an eventfd: %s", strerror(errno));
	else
		ret = open_back_end(b, p, e);
	if (!ret && (!h->ops->ram_region(h, 0, &r) || r.fd < 0))
		ret = err_set(e, -ENOTSUP,
			      "--disk vhost-user=%s: the guest's memory cannot be shared", p->path);
	if (ret) {
		vhost_user_blk_destroy(b);
		return ret;
	}
	queues = p->queues < b->u.queues ? p->queues : b->u.queues;
	b->type = (struct virtio_type){
		.id = VIRTIO_ID_BLOCK,
		.class = PCI_CLASS,
		.features = b->u.features & BLK_FEATURES,
		.without = RING_FEATURES & ~b->u.features,
		.queues = queues ? queues : 1,
		.queue_size = QUEUE_SIZE,
		.start = disk_start,
		.stop = disk_stop,
		.config = disk_config,
	};
	if (b->type.queues < 2)
		b->type.features &= ~F(MQ);
	b->config.num_queues = (u16)b->type.queues;
	*out = b;
	return 0;
}

int vhost_user_blk_attach(struct vhost_user_blk *b, struct virtio *v)
{
	int ret;

	b->v = v;
	b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->wake < 0)
		return -errno;
	b->thread = (struct host_thread){
		.kind = HOST_THREAD_QUEUE,
		.name = "vhost-user",
		.run = attend_back_end,
		.failed = disk_thread_failed,
		.arg = b,
	};
	ret = host_thread_start(b->h, &b->thread);
	if (ret) {
		close(b->wake);
		b->wake = -1;
	}
	return ret;
}

void vhost_user_blk_shut(struct vhost_user_blk *b)
{
	if (!b || b->wake < 0)
		return;
	pthread_mutex_lock(&b->lock);
	b->leaving = true;
	eventfd_signal(b->wake);
	await_quiet(b, &b->running);
	pthread_mutex_unlock(&b->lock);
	host_thread_stop(b->h, &b->thread);
	close(b->wake);
	b->wake = -1;
}

void vhost_user_blk_destroy(struct vhost_user_blk *b)
{
	if (!b)
		return;
	vhost_user_blk_shut(b);
	vhost_user_close(&b->u);
	forget_inflight(b);
	if (b->cancel >= 0)
		close(b->cancel);
	pthread_cond_destroy(&b->quiet);
	pthread_mutex_destroy(&b->lock);
	free(b->path);
	free(b);
}

const struct virtio_type *vhost_user_blk_type(const struct vhost_user_blk *b)
{
	return &b->type;
}

u64 vhost_user_blk_size(struct vhost_user_blk *b)
{
	u64 sectors;

	pthread_mutex_lock(&b->lock);
	sectors = b->config.capacity;
	pthread_mutex_unlock(&b->lock);
	return sectors << 9;
}

bool vhost_user_blk_is_readonly(const struct vhost_user_blk *b)
{
	return b->type.features & F(RO);
}
