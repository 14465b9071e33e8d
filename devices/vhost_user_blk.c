// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks: the core's lock of the device is held around start() and stop(), and is taken inside
 * virtio_config_update(); ours comes after it. So the thread calls the core only without ours.
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
#include <unistd.h>

#include "devices/vhost_user.h"

#define PCI_CLASS    0x010000
#define QUEUE_SIZE   256
#define PATIENCE_MS  5000
#define RECONNECT_MS 1000
#define F(n)	     (1ULL << VIRTIO_BLK_F_##n)
/* Without CONFIG_WCE, whose register would be written to the back end. */
#define BLK_FEATURES                                                                             \
	(F(SIZE_MAX) | F(SEG_MAX) | F(GEOMETRY) | F(RO) | F(BLK_SIZE) | F(FLUSH) | F(TOPOLOGY) | \
	 F(MQ) | F(DISCARD) | F(WRITE_ZEROES))
#define RING_FEATURES (1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_RING_F_EVENT_IDX)
/* What every back end has: all up to the fields of write-zeroes. */
#define CONFIG_LEN ((u32)offsetof(struct virtio_blk_config, max_secure_erase_sectors))

struct vhost_user_blk {
	struct host *h;
	char *path;
	unsigned reconnect_ms;
	int (*dial)(void *arg);
	void (*note)(void *arg, const char *line);
	void *arg;
	struct virtio_type type;
	struct virtio *v;
	struct host_thread thread;
	int wake;     /* -1: there is no thread */
	bool leaving; /* atomic */

	pthread_mutex_t lock;
	struct vhost_user u; /* u.fd -1: there is no back end now */
	struct virtio_blk_config config;
	bool started; /* the driver is ready */
	bool serving; /* and the back end serves its queues */
	bool lost;    /* nobody knows what is unanswered; until the driver resets the device */
	u64 features;
	int calls[VIRTIO_MAX_QUEUES];
	struct vhost_user_inflight inflight;
};

static void tell(const struct vhost_user_blk *b, const char *what)
{
	char line[300];

	if (!b->note)
		return;
	snprintf(line, sizeof(line), "disk vhost-user=%s: %s", b->path, what);
	b->note(b->arg, line);
}

/* --- the queues, with the lock ------------------------------------------------------------- */

static void forget_inflight(struct vhost_user_blk *b)
{
	if (b->inflight.fd >= 0)
		close(b->inflight.fd);
	b->inflight.fd = -1;
}

/* A new record, or the one of the back end's predecessor. */
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

static int start_ring(struct vhost_user_blk *b, unsigned i, const struct virtqueue *q)
{
	struct vhost_user_ring r = {
		.size = q->size,
		.desc = q->desc,
		.avail = q->avail,
		.used = q->used,
		.kick = virtio_kick(b->v, i),
		.call = b->calls[i],
	};
	int ret;

	virtqueue_resume_at(q, &r.base);
	ret = vhost_user_start_ring(&b->u, i, &r);
	/* For kicks and answers that came while nobody listened. A full counter is as good. */
	eventfd_write(r.kick, 1);
	eventfd_write(r.call, 1);
	return ret;
}

static int serve(struct vhost_user_blk *b)
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
			ret = start_ring(b, i, q);
	}
	b->serving = !ret;
	return ret;
}

static void hang_up(struct vhost_user_blk *b)
{
	vhost_user_close(&b->u);
	b->serving = false;
	/* The thread waits for descriptors that are closed now. */
	eventfd_write(b->wake, 1);
}

static int start(void *arg, u64 features)
{
	struct vhost_user_blk *b = arg;
	int ret = 0;

	pthread_mutex_lock(&b->lock);
	for (unsigned i = 0; i < b->type.queues && ret >= 0; i++)
		if (virtio_queue(b->v, i))
			ret = b->calls[i] = virtio_call(b->v, i);
	if (ret >= 0) {
		ret = 0;
		b->features = features;
		b->started = true;
		if (b->u.fd >= 0 && serve(b))
			hang_up(b); /* its successor will serve */
	}
	pthread_mutex_unlock(&b->lock);
	return ret;
}

static void stop(void *arg)
{
	struct vhost_user_blk *b = arg;
	int ret = 0;

	pthread_mutex_lock(&b->lock);
	if (b->serving) {
		vhost_user_patience(&b->u, PATIENCE_MS);
		for (unsigned i = 0; i < b->type.queues && !ret; i++)
			if (virtio_queue(b->v, i))
				ret = vhost_user_stop_ring(&b->u, i);
		if (ret)
			hang_up(b);
	}
	b->started = b->serving = b->lost = false;
	forget_inflight(b);
	pthread_mutex_unlock(&b->lock);
}

/* --- configuration ------------------------------------------------------------------------- */

static void config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	struct vhost_user_blk *b = arg;

	if (write || offset >= CONFIG_LEN)
		return;
	pthread_mutex_lock(&b->lock);
	memcpy(data, (u8 *)&b->config + offset,
	       len < CONFIG_LEN - offset ? len : CONFIG_LEN - offset);
	pthread_mutex_unlock(&b->lock);
}

struct new_config {
	struct vhost_user_blk *b;
	struct virtio_blk_config config;
};

static bool take_config(void *arg)
{
	struct new_config *n = arg;
	struct vhost_user_blk *b = n->b;
	bool differs;

	n->config.num_queues = (u16)b->type.queues;
	pthread_mutex_lock(&b->lock);
	differs = memcmp(&b->config, &n->config, CONFIG_LEN) != 0;
	memcpy(&b->config, &n->config, CONFIG_LEN);
	pthread_mutex_unlock(&b->lock);
	return differs;
}

/* --- the thread ---------------------------------------------------------------------------- */

/* One message of the back end's. */
static void on_message(struct vhost_user_blk *b)
{
	struct new_config n = { .b = b };
	int ret = -ECONNRESET;

	pthread_mutex_lock(&b->lock);
	if (b->u.channel >= 0) {
		vhost_user_patience(&b->u, PATIENCE_MS);
		ret = vhost_user_on_channel(&b->u);
		if (ret > 0)
			ret = vhost_user_get_config(&b->u, &n.config, CONFIG_LEN);
		else if (!ret)
			ret = -EAGAIN; /* nothing new */
		if (ret && ret != -EAGAIN)
			hang_up(b);
	}
	pthread_mutex_unlock(&b->lock);
	if (!ret)
		virtio_config_update(b->v, take_config, &n);
}

/* Can @u do for the driver what its predecessor could? */
static bool fits(const struct vhost_user_blk *b, const struct vhost_user *u)
{
	u64 offered = b->type.features | (RING_FEATURES & ~b->type.without);

	return u->queues >= b->type.queues && !(offered & ~F(MQ) & ~u->features) &&
	       (u->features & F(RO)) == (b->type.features & F(RO));
}

/* May a successor serve the queues as they are? With the lock. */
static bool resumable(const struct vhost_user_blk *b, const struct vhost_user *u)
{
	u16 index;

	if (b->inflight.fd >= 0 && (u->protocol >> VHOST_USER_P_INFLIGHT & 1))
		return true;
	for (unsigned i = 0; i < b->type.queues; i++) {
		const struct virtqueue *q = virtio_queue(b->v, i);

		if (q && !virtqueue_resume_at(q, &index))
			return false;
	}
	return true;
}

/* Let @u serve. 1: it does; 0: it cannot know what to; -errno: it failed. */
static int install(struct vhost_user_blk *b, const struct vhost_user *u)
{
	int ret = 0;

	pthread_mutex_lock(&b->lock);
	b->u = *u;
	if (b->started && !b->lost && !resumable(b, u))
		b->lost = true;
	if (b->started && !b->lost)
		ret = serve(b);
	if (ret)
		hang_up(b);
	else
		ret = !b->lost;
	pthread_mutex_unlock(&b->lock);
	return ret;
}

static void reconnect(struct vhost_user_blk *b)
{
	struct new_config n = { .b = b };
	int fd = b->dial ? b->dial(b->arg) : vhost_user_dial(b->path), ret;
	struct vhost_user u;

	if (fd < 0 || vhost_user_open(&u, fd, PATIENCE_MS))
		return;
	if (!fits(b, &u) || vhost_user_get_config(&u, &n.config, CONFIG_LEN)) {
		vhost_user_close(&u);
		return;
	}
	ret = install(b, &u);
	if (ret < 0)
		return;
	tell(b, ret ? "a back end is there again"
		    : "a back end is there again, but the one before left requests unanswered, "
		      "out of order and without a record; restart the guest");
	if (!ret)
		virtio_needs_reset(b->v);
	virtio_config_update(b->v, take_config, &n);
}

static void attend(void *arg)
{
	struct vhost_user_blk *b = arg;
	bool there = true;

	while (!__atomic_load_n(&b->leaving, __ATOMIC_ACQUIRE)) {
		struct pollfd p[3] = { { .fd = b->wake, .events = POLLIN } };

		/* A reply is for who asked: of the connection only its end is of interest. */
		pthread_mutex_lock(&b->lock);
		p[1] = (struct pollfd){ .fd = b->u.fd, .events = POLLRDHUP };
		p[2] = (struct pollfd){ .fd = b->u.channel, .events = POLLIN };
		pthread_mutex_unlock(&b->lock);
		if (there && p[1].fd < 0)
			tell(b,
			     "the back end is gone; the guest's requests wait for another one at "
			     "this socket");
		there = p[1].fd >= 0;
		if (poll(p, 3, there ? -1 : (int)b->reconnect_ms) < 0)
			continue;
		if (p[0].revents)
			virtio_kick_clear(b->wake);
		if (p[1].revents) {
			pthread_mutex_lock(&b->lock);
			hang_up(b);
			pthread_mutex_unlock(&b->lock);
		} else if (p[2].revents) {
			on_message(b);
		}
		if (!there && !p[0].revents)
			reconnect(b);
	}
}

static void cannot_serve(void *arg)
{
	struct vhost_user_blk *b = arg;

	virtio_needs_reset(b->v);
}

/* --- life ---------------------------------------------------------------------------------- */

static int unusable(const struct vhost_user_blk_params *p, int ret, struct err *e)
{
	return err_set(e, ret, "--disk vhost-user=%s: the back end %s", p->path,
		       ret == -ETIMEDOUT ? "does not answer; does it serve another guest already?"
		       : ret == -ECONNRESET ? "hung up; does it speak vhost-user?"
		       : ret == -EOPNOTSUPP ? "is no virtio 1 block device with a configuration"
		       : ret == -EPROTO	    ? "does not speak vhost-user"
		       : ret == -ENOTSUP    ? "cannot share the guest's memory"
					    : strerror(-ret));
}

static int open_back_end(struct vhost_user_blk *b, const struct vhost_user_blk_params *p,
			 struct err *e)
{
	int fd = vhost_user_dial(p->path), ret;

	if (fd < 0)
		return err_set(
			e, fd,
			"--disk vhost-user=%s: cannot connect: %s; start the back end first, "
			"qemu-storage-daemon --export type=vhost-user-blk,... for example",
			p->path, strerror(-fd));
	ret = vhost_user_open(&b->u, fd, PATIENCE_MS);
	if (!ret)
		ret = vhost_user_get_config(&b->u, &b->config, CONFIG_LEN);
	if (ret)
		return unusable(p, ret, e);
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
	unsigned queues;
	int ret;

	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&b->lock, NULL);
	b->h = h;
	b->wake = b->u.fd = b->u.channel = b->inflight.fd = -1;
	b->note = p->note;
	b->dial = p->dial;
	b->arg = p->arg;
	b->reconnect_ms = p->reconnect_ms ? p->reconnect_ms : RECONNECT_MS;
	b->path = strdup(p->path);
	ret = b->path ? open_back_end(b, p, e) : err_set(e, -ENOMEM, "out of memory");
	if (!ret && (!h->ops->ram_region(h, 0, &r) || r.fd < 0))
		ret = unusable(p, -ENOTSUP, e);
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
		.start = start,
		.stop = stop,
		.config = config,
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
		.run = attend,
		.failed = cannot_serve,
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
	__atomic_store_n(&b->leaving, true, __ATOMIC_RELEASE);
	eventfd_write(b->wake, 1);
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
