// SPDX-License-Identifier: GPL-2.0-only
/* Implements the network device: moves frames between its two queues and a backend's descriptor. */
#include "devices/virtio_net.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/net_sum.h"
#include "devices/net_train.h"
#include "devices/vq_worker.h"

#define PCI_CLASS  0x020000
#define QUEUE_SIZE 256
#define RX	   0
#define TX	   1
#define HEADER	   sizeof(struct virtio_net_hdr_v1) /* 12: always so with VERSION_1 */
#define ROUND	   256 /* frames of one direction before the other has its turn */
#define MERGE_MAX  64  /* buffers for one frame; of 1500 bytes each, they hold the longest */
#define HEAD_MAX   128 /* of a frame, up to the end of a checksum that is to be completed */
#define F(n)	   (1ULL << VIRTIO_NET_F_##n)
/* Offered if the backend's frames may be long; and if it offloads. */
#define LONG_INPUT (F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(MRG_RXBUF))
#define OFFLOADS   (F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | LONG_INPUT)

struct virtio_net {
	struct virtio *v;
	struct net_backend b;
	struct virtio_type type;
	struct vq_worker *worker; /* with the lock */
	pthread_mutex_t lock;
	u64 features;

	/*
	 * @life numbers the peers that the backend's descriptor has led to, one after the other.
	 * The link is down while @lost is the present @life, so a worker that sees the end of an
	 * earlier peer does not take the link down.
	 */
	u32 life; /* atomic */
	u32 lost; /* atomic */

	/* Only the worker uses these. */
	u32 served;	 /* @life when it began to serve */
	u32 told;	 /* the @life that knows what the driver accepts; 0: none */
	bool again;	 /* a round ended before its queue did */
	bool rx_starved; /* no buffer for frames */
	bool tx_held;	 /* the chain is not given back yet */
	u8 *rx_frame;	 /* in @input: the one that waits, behind its header */
	size_t rx_len;	 /* of both; 0: none waits */
	struct vq_chain rx, tx;
	struct virtio_net_hdr_v1 tx_header;
	u8 tx_head[HEAD_MAX];
	struct iovec tx_iov[1 + VIRTQUEUE_MAX];
	unsigned tx_n; /* entries of tx_iov that go to the backend; 0: none, it is no frame */
	struct net_train input; /* what was read last, a train or in its bytes a frame */
};

static bool net_link_is_up(const struct virtio_net *n)
{
	return __atomic_load_n(&n->lost, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&n->life, __ATOMIC_ACQUIRE);
}

/*
 * Takes the link down, because peer number @life of the backend's descriptor is gone; once for
 * each.
 */
static void net_link_down(struct virtio_net *n, u32 life)
{
	if (__atomic_exchange_n(&n->lost, life, __ATOMIC_ACQ_REL) != life)
		virtio_config_changed(n->v);
}

/* --- to the driver ------------------------------------------------------------------------- */

/* Reads from the backend into n->input.bytes, from @skip on. 0: there is nothing now. */
static size_t net_read(struct virtio_net *n, size_t skip)
{
	ssize_t len;

	do {
		len = read(n->b.fd, n->input.bytes + skip, sizeof(n->input.bytes) - skip);
	} while (len < 0 && errno == EINTR);
	/* A tap whose interface is down gives EIO; it may come up again. */
	if (!len || (len < 0 && errno != EAGAIN && errno != EIO))
		net_link_down(n, n->served);
	return len > 0 ? (size_t)len : 0;
}

/* Takes the next frame, which stays empty if it is to be dropped; false: there is none now. */
static bool net_next_frame(struct virtio_net *n)
{
	static const struct virtio_net_hdr_v1 plain;
	size_t skip = n->b.offload ? 0 : HEADER, len;

	if (n->b.tell) {
		if (!net_train_has_more(&n->input)) {
			n->input.at = 0;
			n->input.len = net_read(n, 0);
		}
		if (!n->input.len)
			return false;
		n->rx_frame = net_train_next(&n->input, n->features, &n->rx_len);
		n->rx_len = n->rx_frame ? n->rx_len : 0;
		return true;
	}
	len = net_read(n, skip);
	if (!len)
		return false;
	if (skip)
		memcpy(n->input.bytes, &plain, sizeof(plain));
	n->rx_frame = n->input.bytes;
	n->rx_len = len + skip;
	return true;
}

/* Is there a frame that was read already? */
static bool net_has_frame(const struct virtio_net *n)
{
	return n->rx_len || net_train_has_more(&n->input);
}

/*
 * Puts the frame that waits into one of the driver's buffers, or into several if they may be
 * merged. 1: it is delivered, or too long and dropped; 0: more buffers are needed; -EIO. The header
 * is written last, when the number of buffers is known.
 */
static int net_deliver(struct virtio_net *n, struct virtqueue *q)
{
	unsigned most = n->features & F(MRG_RXBUF) ? MERGE_MAX : 1, used = 0, n_first = 0;
	struct vq_chain *c = &n->rx;
	struct virtio_net_hdr_v1 hdr;
	struct iovec first[HEADER];
	size_t done = 0;

	for (used = 0; done < n->rx_len && used < most; used++) {
		size_t part = n->rx_len - done;
		int got = virtqueue_pop(q, c);

		if (got < 0)
			return got;
		if (!got) {
			n->rx_starved = true;
			virtqueue_unpop(q, used);
			return 0;
		}
		if (c->in_len < part)
			part = (size_t)c->in_len;
		if (!used) {
			if (c->in_len <= HEADER)
				return -EIO;
			n_first = c->n_in < HEADER ? c->n_in : HEADER;
			memcpy(first, c->iov + c->n_out, n_first * sizeof(*first));
		}
		iov_write(c->iov + c->n_out, c->n_in, 0, n->rx_frame + done, part);
		virtqueue_fill(q, used, c->head, (u32)part);
		done += part; /* filled, not published: it can still be given back */
	}
	if (done < n->rx_len) {
		virtqueue_unpop(q, used);
	} else {
		memcpy(&hdr, n->rx_frame, sizeof(hdr));
		hdr.num_buffers = (u16)used;
		iov_write(first, n_first, 0, &hdr, HEADER);
		virtqueue_publish(q, used);
	}
	n->rx_len = 0;
	return 1;
}

/* Delivers one frame. 1: go on; 0: no frame, or no buffer; -EIO. */
static int net_receive_one(struct virtio_net *n, struct virtqueue *q)
{
	n->rx_starved = false;
	if (!n->rx_len && !net_next_frame(n))
		return 0;
	if (n->rx_len < HEADER + NET_FRAME_MIN) {
		n->rx_len = 0; /* dropped */
		return 1;
	}
	return net_deliver(n, q);
}

static bool net_receive(struct virtio_net *n, const struct vq_worker *w)
{
	struct virtqueue *q = virtio_queue(n->v, RX);
	int ret = 0;

	/* Woken up by a kick for frames to be sent, it asks for none. */
	if (!q || !net_link_is_up(n) || (!net_has_frame(n) && !vq_worker_own_ready(w)))
		return true;
	do {
		virtqueue_listen(q, false);
		for (unsigned i = 0; i < ROUND; i++) {
			ret = net_receive_one(n, q);
			if (ret <= 0)
				break;
		}
		virtio_queue_done(n->v, RX);
		/*
		 * (Q10): without a frame that waits the backend's descriptor wakes this
		 * thread.
		 */
	} while (!ret && n->rx_starved && !vq_worker_ending(w) && virtqueue_listen(q, true));
	/* After a full round the descriptor may be readable, which wakes this thread. */
	n->again = ret > 0 && net_has_frame(n);
	return ret >= 0;
}

/* --- from the driver ----------------------------------------------------------------------- */

/* Sends the frame in n->tx_iov, or drops it; false: the backend takes none now. */
static bool net_send_frame(struct virtio_net *n)
{
	ssize_t done;

	if (!n->tx_n)
		return true;
	do {
		done = writev(n->b.fd, n->tx_iov, (int)n->tx_n);
	} while (done < 0 && errno == EINTR);
	if (done >= 0 || (errno != EAGAIN && errno != EPIPE && errno != ECONNRESET))
		return true;
	if (errno == EAGAIN)
		return false;
	net_link_down(n, n->served);
	return true;
}

/* Returns true if @h asks only for negotiated offloads, within a frame of @len bytes (5.1.6.2). */
static bool net_header_is_good(const struct virtio_net *n, const struct virtio_net_hdr_v1 *h,
			       u64 len)
{
	bool csum = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	if (csum && (!(n->features & F(CSUM)) || (u64)h->csum_start + h->csum_offset + 2 > len))
		return false;
	switch (h->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return csum && h->gso_size && (n->features & F(HOST_TSO4));
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return csum && h->gso_size && (n->features & F(HOST_TSO6));
	default:
		return false;
	}
}

/*
 * Completes the checksum of the frame in n->tx, of @len bytes, in a copy of its head, which is
 * taken off. Returns the head's length; 0: no protocol has its checksum that far behind.
 */
static size_t net_complete_checksum(struct virtio_net *n, u64 len)
{
	size_t start = n->tx_header.csum_start, at = start + n->tx_header.csum_offset;
	struct net_sum sum = { 0 };
	struct vq_chain *c = &n->tx;
	u16 checksum;

	if (at + sizeof(checksum) > HEAD_MAX)
		return 0;
	iov_read(c->iov, c->n_out, 0, n->tx_head, at + sizeof(checksum));
	c->n_out = iov_cut(c->iov, c->n_out, at + sizeof(checksum), len);
	net_sum_add(&sum, n->tx_head + start, at + sizeof(checksum) - start);
	for (unsigned i = 0; i < c->n_out; i++)
		net_sum_add(&sum, c->iov[i].iov_base, c->iov[i].iov_len);
	checksum = net_sum_checksum(&sum);
	memcpy(n->tx_head + at, &checksum, sizeof(checksum));
	return at + sizeof(checksum);
}

/*
 * Splits the chain into header and frame, and fills n->tx_iov. That stays empty if it is no frame,
 * or asks for an offload that was not negotiated. The backend gets the copy of the header that was
 * checked, without the flags that are for a receiver only.
 */
static void net_check_frame(struct virtio_net *n)
{
	struct virtio_net_hdr_v1 *h = &n->tx_header;
	struct vq_chain *c = &n->tx;
	u64 len = c->out_len - HEADER;
	size_t head;

	n->tx_n = 0;
	if (c->out_len < HEADER + NET_FRAME_MIN || len > NET_FRAME_MAX ||
	    iov_read(c->iov, c->n_out, 0, h, sizeof(*h)) != sizeof(*h) ||
	    (h->flags && !(n->features & F(CSUM))) || !net_header_is_good(n, h, len))
		return;
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->num_buffers = 0;
	c->n_out = iov_cut(c->iov, c->n_out, HEADER, len);
	if (n->b.offload) {
		n->tx_iov[n->tx_n++] = (struct iovec){ h, HEADER };
	} else if (h->flags) {
		head = net_complete_checksum(n, len);
		if (!head)
			return;
		n->tx_iov[n->tx_n++] = (struct iovec){ n->tx_head, head };
	}
	memcpy(n->tx_iov + n->tx_n, c->iov, c->n_out * sizeof(c->iov[0]));
	n->tx_n += c->n_out;
}

/*
 * Sends one frame of the driver's. 1: go on; 0: none is available, or the backend takes none; -EIO.
 */
static int net_transmit_one(struct virtio_net *n, struct virtqueue *q)
{
	int got;

	if (!n->tx_held) {
		got = virtqueue_pop(q, &n->tx);
		if (got <= 0)
			return got;
		net_check_frame(n);
		n->tx_held = true;
	}
	if (net_link_is_up(n) && !net_send_frame(n))
		return 0;
	n->tx_held = false;
	virtqueue_push(q, n->tx.head, 0);
	return 1;
}

static bool net_transmit(struct virtio_net *n, const struct vq_worker *w)
{
	struct virtqueue *q = virtio_queue(n->v, TX);
	int ret = 0;

	if (!q)
		return true;
	do {
		virtqueue_listen(q, false);
		for (unsigned i = 0; i < ROUND; i++) {
			ret = net_transmit_one(n, q);
			if (ret <= 0)
				break;
		}
		if (ret < 0)
			return false;
		virtio_queue_done(n->v, TX);
		n->again |= ret > 0;
		/* (Q10): while a frame is held, the backend's POLLOUT wakes this thread. */
	} while (!ret && !n->tx_held && !vq_worker_ending(w) && virtqueue_listen(q, true));
	return true;
}

/* --- life ---------------------------------------------------------------------------------- */

/* Is there a peer that does not know what the driver accepts? */
static bool net_has_to_tell(const struct virtio_net *n)
{
	return n->b.tell && n->told != n->served && net_link_is_up(n);
}

static bool net_serve(void *arg, const struct vq_worker *w)
{
	struct virtio_net *n = arg;

	n->served = __atomic_load_n(&n->life, __ATOMIC_ACQUIRE);
	n->again = false;
	if (net_has_to_tell(n) && n->b.tell(n->b.fd, n->features) != -EAGAIN)
		n->told = n->served;
	return net_receive(n, w) && net_transmit(n, w);
}

static unsigned net_watch(void *arg, struct pollfd *p, int *timeout_ms)
{
	struct virtio_net *n = arg;
	bool input = virtio_queue(n->v, RX) && !n->rx_starved;

	if (n->again)
		*timeout_ms = 0;
	/* A descriptor that hung up is always ready, so it is not watched any more. */
	if (!net_link_is_up(n))
		return 0;
	*p = (struct pollfd){
		.fd = n->b.fd,
		.events = (short)((input ? POLLIN : 0) |
				  (n->tx_held || net_has_to_tell(n) ? POLLOUT : 0)),
	};
	return p->events ? 1 : 0;
}

static int net_start(void *arg, u64 features)
{
	static const struct vq_worker_ops ops = { "virtio-net", net_serve, net_watch };
	struct virtio_net *n = arg;
	u32 life = __atomic_load_n(&n->life, __ATOMIC_ACQUIRE);
	struct vq_worker *w = NULL;
	int ret = n->b.offload ? n->b.offload(n->b.fd, features) : 0;

	if (ret)
		return ret;
	n->features = features;
	n->again = n->rx_starved = n->tx_held = false;
	n->rx_len = n->input.at = n->input.len = 0;
	n->told = 0;
	/* The main thread takes the lock, so it is not held while a thread is made. */
	ret = vq_worker_start(&w, n->v, &ops, n);
	pthread_mutex_lock(&n->lock);
	n->worker = w;
	/* virtio_net_backend_back() may have found none to wake. */
	if (w && __atomic_load_n(&n->life, __ATOMIC_ACQUIRE) != life)
		vq_worker_wake(w);
	pthread_mutex_unlock(&n->lock);
	return ret;
}

static void net_stop(void *arg)
{
	struct virtio_net *n = arg;
	struct vq_worker *w;

	pthread_mutex_lock(&n->lock);
	w = n->worker;
	n->worker = NULL;
	pthread_mutex_unlock(&n->lock);
	vq_worker_stop(w);
}

static void net_config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	const struct virtio_net *n = arg;
	struct virtio_net_config c = {
		.status = net_link_is_up(n) ? VIRTIO_NET_S_LINK_UP : 0,
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
	n->life = 1;
	pthread_mutex_init(&n->lock, NULL);
	n->type = (struct virtio_type){
		.id = VIRTIO_ID_NET,
		.class = PCI_CLASS,
		.features = F(MAC) | F(STATUS) | (b->offload ? OFFLOADS : 0) |
			    (b->long_frames ? F(CSUM) | F(HOST_TSO4) : 0) |
			    (b->tell ? LONG_INPUT : 0),
		.queues = 2,
		.queue_size = QUEUE_SIZE,
		.start = net_start,
		.stop = net_stop,
		.config = net_config,
	};
	*out = n;
	return 0;
}

void virtio_net_destroy(struct virtio_net *n)
{
	if (n)
		pthread_mutex_destroy(&n->lock);
	free(n);
}

const struct virtio_type *virtio_net_type(const struct virtio_net *n)
{
	return &n->type;
}

void virtio_net_backend_gone(struct virtio_net *n)
{
	net_link_down(n, __atomic_load_n(&n->life, __ATOMIC_ACQUIRE));
}

void virtio_net_backend_back(struct virtio_net *n)
{
	__atomic_fetch_add(&n->life, 1, __ATOMIC_ACQ_REL);
	virtio_config_changed(n->v);
	pthread_mutex_lock(&n->lock);
	if (n->worker)
		vq_worker_wake(n->worker);
	pthread_mutex_unlock(&n->lock);
}

void virtio_net_attach(struct virtio_net *n, struct virtio *v)
{
	n->v = v;
}
