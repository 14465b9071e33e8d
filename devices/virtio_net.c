// SPDX-License-Identifier: GPL-2.0-only
#include "devices/virtio_net.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/vq_worker.h"

#define PCI_CLASS  0x020000
#define QUEUE_SIZE 256
#define RX	   0
#define TX	   1
#define HEADER	   sizeof(struct virtio_net_hdr_v1) /* 12: always so with VERSION_1 */
#define ROUND	   256 /* frames of one direction before the other has its turn */

struct virtio_net {
	struct virtio *v;
	struct net_backend b;
	struct vq_worker *worker;
	u16 status; /* atomic */

	/* The worker's own. */
	bool again;	       /* a round ended before its queue did */
	bool rx_starved;       /* no buffer for frames */
	bool rx_held, tx_held; /* the chain is not given back yet */
	struct vq_chain rx, tx;
	u8 frame[HEADER + NET_FRAME_MAX];
};

static bool link_is_up(const struct virtio_net *n)
{
	return __atomic_load_n(&n->status, __ATOMIC_ACQUIRE) & VIRTIO_NET_S_LINK_UP;
}

static void link_down(struct virtio_net *n)
{
	if (!link_is_up(n))
		return;
	__atomic_store_n(&n->status, 0, __ATOMIC_RELEASE);
	virtio_config_changed(n->v);
}

/* --- to the driver ------------------------------------------------------------------------- */

/* One frame behind room for the header; 0: none now. */
static size_t next_frame(struct virtio_net *n)
{
	ssize_t len;

	do {
		len = read(n->b.fd, n->frame + HEADER, NET_FRAME_MAX);
	} while (len < 0 && errno == EINTR);
	/* A tap whose interface is down gives EIO; it may come up again. */
	if (!len || (len < 0 && errno != EAGAIN && errno != EIO))
		link_down(n);
	return len > 0 ? (size_t)len : 0;
}

/* 1: go on, 0: no frame or no buffer, -EIO */
static int receive_one(struct virtio_net *n, struct virtqueue *q)
{
	static const struct virtio_net_hdr_v1 hdr = { .num_buffers = 1 };
	struct vq_chain *c = &n->rx;
	size_t len;
	int got;

	if (!n->rx_held) {
		got = virtqueue_pop(q, c);
		n->rx_starved = !got;
		if (got <= 0)
			return got;
		if (c->in_len <= HEADER)
			return -EIO;
		n->rx_held = true;
	}
	len = next_frame(n);
	if (!len)
		return 0;
	if (len < NET_FRAME_MIN || len > c->in_len - HEADER)
		return 1; /* dropped */
	memcpy(n->frame, &hdr, sizeof(hdr));
	iov_write(c->iov + c->n_out, c->n_in, 0, n->frame, HEADER + len);
	n->rx_held = false;
	virtqueue_push(q, c->head, (u32)(HEADER + len));
	return 1;
}

static bool receive(struct virtio_net *n)
{
	struct virtqueue *q = virtio_queue(n->v, RX);
	int ret = 0;

	if (!q || !link_is_up(n))
		return true;
	do {
		virtqueue_listen(q, false);
		for (unsigned i = 0; i < ROUND; i++) {
			ret = receive_one(n, q);
			if (ret <= 0)
				break;
		}
		virtio_queue_done(n->v, RX);
	} while (!ret && n->rx_starved && virtqueue_listen(q, true));
	/* After a full round the descriptor is still readable, and says so. */
	return ret >= 0;
}

/* --- from the driver ----------------------------------------------------------------------- */

/* True: the frame is on its way, or dropped; false: the backend takes none now. */
static bool send_frame(struct virtio_net *n)
{
	struct vq_chain *c = &n->tx;
	ssize_t done;

	if (!c->n_out)
		return true;
	do {
		done = writev(n->b.fd, c->iov, (int)c->n_out);
	} while (done < 0 && errno == EINTR);
	if (done >= 0 || (errno != EAGAIN && errno != EPIPE && errno != ECONNRESET))
		return true;
	if (errno == EAGAIN)
		return false;
	link_down(n);
	return true;
}

/* Strip the header; what is no frame, or wants what was not offered, becomes empty. */
static void check_frame(struct vq_chain *c)
{
	struct virtio_net_hdr_v1 hdr;
	u64 len = c->out_len - HEADER;

	if (c->out_len < HEADER + NET_FRAME_MIN || len > NET_FRAME_MAX ||
	    iov_read(c->iov, c->n_out, 0, &hdr, sizeof(hdr)) != sizeof(hdr) || hdr.flags ||
	    hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		c->n_out = 0;
	else
		c->n_out = iov_cut(c->iov, c->n_out, HEADER, len);
}

static int transmit_one(struct virtio_net *n, struct virtqueue *q)
{
	int got;

	if (!n->tx_held) {
		got = virtqueue_pop(q, &n->tx);
		if (got <= 0)
			return got;
		check_frame(&n->tx);
		n->tx_held = true;
	}
	if (link_is_up(n) && !send_frame(n))
		return 0;
	n->tx_held = false;
	virtqueue_push(q, n->tx.head, 0);
	return 1;
}

static bool transmit(struct virtio_net *n)
{
	struct virtqueue *q = virtio_queue(n->v, TX);
	int ret = 0;

	n->again = false;
	if (!q)
		return true;
	do {
		virtqueue_listen(q, false);
		for (unsigned i = 0; i < ROUND; i++) {
			ret = transmit_one(n, q);
			if (ret <= 0)
				break;
		}
		if (ret < 0)
			return false;
		virtio_queue_done(n->v, TX);
		n->again = ret > 0;
	} while (!ret && !n->tx_held && virtqueue_listen(q, true));
	return true;
}

/* --- life ---------------------------------------------------------------------------------- */

static bool serve(void *arg)
{
	struct virtio_net *n = arg;

	return receive(n) && transmit(n);
}

static unsigned watch(void *arg, struct pollfd *p, int *timeout_ms)
{
	struct virtio_net *n = arg;
	bool input = virtio_queue(n->v, RX) && !n->rx_starved;

	if (n->again)
		*timeout_ms = 0;
	/* A descriptor that hung up is always ready: not watched any more. */
	if (!link_is_up(n))
		return 0;
	*p = (struct pollfd){
		.fd = n->b.fd,
		.events = (short)((input ? POLLIN : 0) | (n->tx_held ? POLLOUT : 0)),
	};
	return p->events ? 1 : 0;
}

static int start(void *arg, u64 features)
{
	static const struct vq_worker_ops ops = { "virtio-net", serve, watch };
	struct virtio_net *n = arg;

	(void)features;
	n->again = n->rx_starved = n->rx_held = n->tx_held = false;
	return vq_worker_start(&n->worker, n->v, &ops, n);
}

static void stop(void *arg)
{
	struct virtio_net *n = arg;

	vq_worker_stop(n->worker);
	n->worker = NULL;
}

static void config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	const struct virtio_net *n = arg;
	struct virtio_net_config c = {
		.status = __atomic_load_n(&n->status, __ATOMIC_ACQUIRE),
		.max_virtqueue_pairs = 1,
	};

	if (write || offset >= sizeof(c))
		return;
	memcpy(c.mac, n->b.mac, sizeof(c.mac));
	memcpy(data, (u8 *)&c + offset, len < sizeof(c) - offset ? len : sizeof(c) - offset);
}

int virtio_net_create(struct virtio_net **out, const struct net_backend *b)
{
	struct virtio_net *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->b = *b;
	n->status = VIRTIO_NET_S_LINK_UP;
	*out = n;
	return 0;
}

void virtio_net_destroy(struct virtio_net *n)
{
	free(n);
}

const struct virtio_type *virtio_net_type(void)
{
	static const struct virtio_type type = {
		.id = VIRTIO_ID_NET,
		.class = PCI_CLASS,
		.features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS,
		.queues = 2,
		.queue_size = QUEUE_SIZE,
		.start = start,
		.stop = stop,
		.config = config,
	};

	return &type;
}

void virtio_net_attach(struct virtio_net *n, struct virtio *v)
{
	n->v = v;
}
