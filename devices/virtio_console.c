// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements the console device: control messages, and output and input of each port.
 *
 * The messages that the device owes the driver on the control queue are a set of bits for each
 * port, not a list: so a driver that asks again and again makes no memory grow.
 */
#include "devices/virtio_console.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "devices/vq_worker.h"

#define PCI_CLASS  0x078000
#define QUEUE_SIZE 64
#define BUFFER	   1024U /* input that waits; a power of two */
#define CHUNK	   4096U
#define PORT_NAME  60U
#define TURN	   64U /* messages, or pieces of output, that a port has before the others */
#define CTRL_RX	   2U
#define CTRL_TX	   3U

/* A control message owed to the driver. They are sent in this order. */
enum owed {
	OWE_ADD,
	OWE_CONSOLE,
	OWE_NAME,
	OWE_OPEN,
	OWE_END,
};

struct virtio_console_port {
	char name[PORT_NAME + 1]; /* "": a console */
	bool open;		  /* by the guest; atomic */
	u8 owed;		  /* bits; the device's thread */

	/* Input, protected by the lock. */
	u8 in[BUFFER];
	u32 head, tail; /* free-running */
	bool starved;	/* virtio_console_input() refused bytes */

	/* Output, on the device's thread. */
	struct vq_chain *chain; /* being handed to output() */
	bool pending;		/* the chain is not given back yet */
	u64 at;			/* how many of its bytes were taken */
	bool blocked;		/* atomic: output() refused bytes, no room() since */
};

struct virtio_console {
	struct virtio_type type;
	struct virtio *v;
	struct vq_worker *worker; /* with the lock, except on the worker's own thread */
	pthread_mutex_t lock;
	struct virtio_console_params p;
	bool multiport;
	struct vq_chain chain;
	struct virtio_console_port ports[VIRTIO_CONSOLE_PORTS];
};

static unsigned console_rx_queue(unsigned port)
{
	return port ? 2 * port + 2 : 0;
}

/* --- control ------------------------------------------------------------------------------- */

static size_t console_make_message(const struct virtio_console *c, unsigned port, enum owed what,
				   u8 *buf)
{
	static const u16 events[] = {
		[OWE_ADD] = VIRTIO_CONSOLE_PORT_ADD,
		[OWE_CONSOLE] = VIRTIO_CONSOLE_CONSOLE_PORT,
		[OWE_NAME] = VIRTIO_CONSOLE_PORT_NAME,
		[OWE_OPEN] = VIRTIO_CONSOLE_PORT_OPEN,
	};
	struct virtio_console_control m = { .id = port, .event = events[what], .value = 1 };
	size_t name = what == OWE_NAME ? strlen(c->ports[port].name) : 0;

	memcpy(buf, &m, sizeof(m));
	memcpy(buf + sizeof(m), c->ports[port].name, name);
	return sizeof(m) + name;
}

/* Sends the messages owed for @port. 1: none is owed any more; 0: no buffer for the next; -EIO. */
static int console_send_owed(struct virtio_console *c, struct virtqueue *q, unsigned port)
{
	struct virtio_console_port *p = &c->ports[port];
	u8 buf[sizeof(struct virtio_console_control) + PORT_NAME];
	int got;

	for (unsigned what = 0; what < OWE_END; what++) {
		size_t len;

		if (!(p->owed >> what & 1))
			continue;
		got = virtqueue_pop(q, &c->chain);
		if (got <= 0)
			return got;
		len = console_make_message(c, port, what, buf);
		/* Too small a buffer breaks the rules: a message is not cut. */
		if (c->chain.in_len < len)
			return -EIO;
		iov_write(c->chain.iov + c->chain.n_out, c->chain.n_in, 0, buf, len);
		virtqueue_push(q, c->chain.head, (u32)len);
		p->owed &= (u8) ~(1U << what);
	}
	return 1;
}

static bool console_send_control(struct virtio_console *c, const struct vq_worker *w)
{
	struct virtqueue *q = virtio_queue(c->v, CTRL_RX);
	int ret;

	if (!q)
		return true;
	do {
		virtqueue_listen(q, false);
		ret = 1;
		for (unsigned i = 0; i < c->p.ports && ret > 0; i++)
			ret = console_send_owed(c, q, i);
		if (ret < 0)
			return false;
		virtio_queue_done(c->v, CTRL_RX);
		if (ret)
			return true; /* (Q10): nothing is owed, so no notification is needed */
	} while (!vq_worker_ending(w) && virtqueue_listen(q, true));
	return true;
}

static void port_store_open(struct virtio_console *c, unsigned port, bool open)
{
	bool was = __atomic_exchange_n(&c->ports[port].open, open, __ATOMIC_ACQ_REL);

	if (was != open && c->p.opened)
		c->p.opened(c->p.arg, port, open);
}

static void port_set_open(struct virtio_console *c, unsigned port, bool open)
{
	port_store_open(c, port, open);
	/*
	 * While the port was closed the owner may have sent its input elsewhere, to a serial port.
	 */
	c->p.room(c->p.arg, port);
}

static void console_on_control(struct virtio_console *c, const struct virtio_console_control *m)
{
	struct virtio_console_port *p = m->id < c->p.ports ? &c->ports[m->id] : NULL;

	switch (m->event) {
	case VIRTIO_CONSOLE_DEVICE_READY:
		for (unsigned i = 0; m->value && i < c->p.ports; i++)
			c->ports[i].owed |= 1U << OWE_ADD;
		break;
	case VIRTIO_CONSOLE_PORT_READY:
		if (!p || !m->value)
			break;
		p->owed |= (u8)(1U << (*p->name ? OWE_NAME : OWE_CONSOLE) | 1U << OWE_OPEN);
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		if (p)
			port_set_open(c, m->id, m->value);
		break;
	default:
		break;
	}
}

/* Takes what the driver says; *more: not all of it. */
static bool console_receive_control(struct virtio_console *c, const struct vq_worker *w, bool *more)
{
	struct virtqueue *q = virtio_queue(c->v, CTRL_TX);
	struct virtio_console_control m;
	unsigned turn = TURN;
	int got = 0;

	if (!q)
		return true;
	do {
		virtqueue_listen(q, false);
		while (!vq_worker_ending(w) && turn && (got = virtqueue_pop(q, &c->chain)) == 1) {
			turn--;
			if (iov_read(c->chain.iov, c->chain.n_out, 0, &m, sizeof(m)) == sizeof(m))
				console_on_control(c, &m);
			virtqueue_push(q, c->chain.head, 0);
		}
		if (got < 0)
			return false;
		virtio_queue_done(c->v, CTRL_TX);
	} while (!vq_worker_ending(w) && turn && virtqueue_listen(q, true));
	*more |= !turn;
	return true;
}

/* --- data ---------------------------------------------------------------------------------- */

/*
 * Hands the rest of the port's chain, which may be gigabytes, to output(), as long as *turn lasts;
 * true: all was taken.
 */
static bool console_output(struct virtio_console *c, unsigned port, const struct vq_worker *w,
			   unsigned *turn)
{
	struct virtio_console_port *p = &c->ports[port];
	u8 buf[CHUNK];

	while (p->at < p->chain->out_len && *turn && !vq_worker_ending(w)) {
		size_t len = iov_read(p->chain->iov, p->chain->n_out, p->at, buf, sizeof(buf));
		size_t taken;

		--*turn;
		__atomic_store_n(&p->blocked, true, __ATOMIC_SEQ_CST);
		taken = c->p.output(c->p.arg, port, buf, len);
		p->at += taken;
		if (taken < len)
			return false;
		__atomic_store_n(&p->blocked, false, __ATOMIC_SEQ_CST);
	}
	return p->at == p->chain->out_len;
}

/*
 * Takes the port's output; *more: not all of it, since the driver may add as fast as it is taken,
 * and the other ports have their turns.
 */
static bool console_transmit(struct virtio_console *c, unsigned port, const struct vq_worker *w,
			     bool *more)
{
	unsigned index = console_rx_queue(port) + 1;
	struct virtqueue *q = virtio_queue(c->v, index);
	struct virtio_console_port *p = &c->ports[port];
	unsigned turn = TURN;
	int got = 0;

	if (!q)
		return true;
	do {
		virtqueue_listen(q, false);
		while (!__atomic_load_n(&p->blocked, __ATOMIC_SEQ_CST) && turn &&
		       !vq_worker_ending(w)) {
			if (!p->pending) {
				got = virtqueue_pop(q, p->chain);
				if (got <= 0)
					break;
				p->at = 0;
				p->pending = true;
			}
			if (!console_output(c, port, w, &turn))
				continue;
			p->pending = false;
			virtqueue_push(q, p->chain->head, 0);
		}
		if (got < 0)
			return false;
		virtio_queue_done(c->v, index);
		/* (Q10): a chain that is pending waits for virtio_console_room(). */
	} while (!p->pending && turn && !vq_worker_ending(w) && virtqueue_listen(q, true));
	*more |= !turn;
	return true;
}

/*
 * Puts waiting input into the driver's buffers. 1: all of it; 0: more buffers are needed; -EIO. The
 * caller holds the lock.
 */
static int console_fill(struct virtio_console *c, struct virtqueue *q,
			struct virtio_console_port *p)
{
	while (p->head != p->tail) {
		const struct iovec *iov;
		u32 done = 0;
		int got = virtqueue_pop(q, &c->chain);

		if (got <= 0)
			return got;
		if (!c->chain.n_in)
			return -EIO;
		iov = c->chain.iov + c->chain.n_out;
		while (p->head != p->tail && done < c->chain.in_len) {
			u32 part = BUFFER - p->tail % BUFFER;

			if (part > p->head - p->tail)
				part = p->head - p->tail;
			part = (u32)iov_write(iov, c->chain.n_in, done, p->in + p->tail % BUFFER,
					      part);
			done += part;
			p->tail += part;
		}
		virtqueue_push(q, c->chain.head, done);
	}
	return 1;
}

static bool console_receive(struct virtio_console *c, unsigned port, const struct vq_worker *w)
{
	unsigned index = console_rx_queue(port);
	struct virtqueue *q = virtio_queue(c->v, index);
	struct virtio_console_port *p = &c->ports[port];
	bool starved = false;
	int ret;

	if (!q || !virtio_console_is_open(c, port))
		return true;
	do {
		virtqueue_listen(q, false);
		pthread_mutex_lock(&c->lock);
		ret = console_fill(c, q, p);
		if (p->starved && p->head - p->tail < BUFFER) {
			starved = true;
			p->starved = false;
		}
		pthread_mutex_unlock(&c->lock);
		if (ret < 0)
			return false;
		virtio_queue_done(c->v, index);
		/* (Q10): without input virtio_console_input() wakes this thread. */
	} while (!ret && !vq_worker_ending(w) && virtqueue_listen(q, true));
	if (starved)
		c->p.room(c->p.arg, port);
	return true;
}

static bool console_serve(void *arg, const struct vq_worker *w)
{
	struct virtio_console *c = arg;
	bool more;

	do {
		more = false;
		if (c->multiport &&
		    (!console_receive_control(c, w, &more) || !console_send_control(c, w)))
			return false;
		for (unsigned i = 0; i < (c->multiport ? c->p.ports : 1); i++)
			if (!console_transmit(c, i, w, &more) || !console_receive(c, i, w))
				return false;
	} while (more && !vq_worker_ending(w));
	return true;
}

size_t virtio_console_input(struct virtio_console *c, unsigned port, const u8 *buf, size_t len)
{
	struct virtio_console_port *p = &c->ports[port];
	size_t taken = 0;

	pthread_mutex_lock(&c->lock);
	while (taken < len && p->head - p->tail < BUFFER)
		p->in[p->head++ % BUFFER] = buf[taken++];
	p->starved = taken < len;
	if (c->worker)
		vq_worker_wake(c->worker);
	pthread_mutex_unlock(&c->lock);
	return taken;
}

void virtio_console_room(struct virtio_console *c, unsigned port)
{
	__atomic_store_n(&c->ports[port].blocked, false, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&c->lock);
	if (c->worker)
		vq_worker_wake(c->worker);
	pthread_mutex_unlock(&c->lock);
}

bool virtio_console_is_open(struct virtio_console *c, unsigned port)
{
	return __atomic_load_n(&c->ports[port].open, __ATOMIC_ACQUIRE);
}

/* --- life ---------------------------------------------------------------------------------- */

static void console_stop(void *arg)
{
	struct virtio_console *c = arg;
	struct vq_worker *w;

	pthread_mutex_lock(&c->lock);
	w = c->worker;
	c->worker = NULL;
	pthread_mutex_unlock(&c->lock);
	vq_worker_stop(w);
	for (unsigned i = 0; i < c->p.ports; i++) {
		struct virtio_console_port *p = &c->ports[i];

		p->pending = false;
		/* virtio_console_room() may be storing, too. */
		__atomic_store_n(&p->blocked, false, __ATOMIC_SEQ_CST);
		p->owed = 0;
		port_store_open(c, i, false);
	}
}

static int console_start(void *arg, u64 features)
{
	static const struct vq_worker_ops ops = { "virtio-console", console_serve, NULL };
	struct virtio_console *c = arg;
	struct vq_worker *w = NULL;
	int ret;

	c->multiport = features >> VIRTIO_CONSOLE_F_MULTIPORT & 1;
	if (!c->multiport)
		port_store_open(c, 0, true);
	ret = vq_worker_start(&w, c->v, &ops, c);
	pthread_mutex_lock(&c->lock);
	c->worker = w;
	pthread_mutex_unlock(&c->lock);
	/* Input may have come before there was a worker to wake. */
	if (w)
		vq_worker_wake(w);
	return ret;
}

static void console_config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	const struct virtio_console *c = arg;
	struct virtio_console_config f = { .max_nr_ports = c->p.ports };

	if (write || offset >= sizeof(f))
		return;
	memcpy(data, (u8 *)&f + offset, len < sizeof(f) - offset ? len : sizeof(f) - offset);
}

int virtio_console_create(struct virtio_console **out, const struct virtio_console_params *p)
{
	struct virtio_console *c;

	if (!p->ports || p->ports > VIRTIO_CONSOLE_PORTS)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	c->p = *p;
	for (unsigned i = 0; i < p->ports; i++) {
		c->ports[i].chain = calloc(1, sizeof(*c->ports[i].chain));
		if (!c->ports[i].chain) {
			virtio_console_destroy(c);
			return -ENOMEM;
		}
		if (p->names[i])
			memcpy(c->ports[i].name, p->names[i], strnlen(p->names[i], PORT_NAME));
	}
	c->type = (struct virtio_type){
		.id = VIRTIO_ID_CONSOLE,
		.class = PCI_CLASS,
		.features = 1ULL << VIRTIO_CONSOLE_F_MULTIPORT,
		.queues = 2 * p->ports + 2,
		.queue_size = QUEUE_SIZE,
		.start = console_start,
		.stop = console_stop,
		.config = console_config,
	};
	*out = c;
	return 0;
}

void virtio_console_destroy(struct virtio_console *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->p.ports; i++)
		free(c->ports[i].chain);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

const struct virtio_type *virtio_console_type(const struct virtio_console *c)
{
	return &c->type;
}

void virtio_console_attach(struct virtio_console *c, struct virtio *v)
{
	c->v = v;
}
