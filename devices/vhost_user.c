// SPDX-License-Identifier: GPL-2.0-only
/* Sends the front end's requests of vhost-user and checks their replies. */
#include "devices/vhost_user.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/virtio.h"

enum front_request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	SET_BACKEND_REQ_FD = 21,
	GET_CONFIG = 24,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
};

enum backend_request {
	BACKEND_CONFIG_CHANGE = 2,
};

#define F_PROTOCOL  (1ULL << 30) /* VHOST_USER_F_PROTOCOL_FEATURES */
#define PROTOCOL(n) (1ULL << VHOST_USER_P_##n)
#define WANTED                                                                       \
	(PROTOCOL(MQ) | PROTOCOL(REPLY_ACK) | PROTOCOL(CHANNEL) | PROTOCOL(CONFIG) | \
	 PROTOCOL(INFLIGHT))
#define ADDRESS	     (1ULL << 45) /* of guest-physical 0, as the back end is told */
#define INFLIGHT_MIN 20U	  /* four fields; C pads the structure to 24 */

struct ring_state {
	u32 index, num;
};

struct ring_address {
	u32 index, flags;
	u64 desc, used, avail, log;
};

struct memory_table {
	u32 n, padding;
	struct {
		u64 gpa, len, address, offset;
	} regions[HOST_MAX_REGIONS];
};

struct inflight {
	u64 size, offset;
	u16 queues, queue_size;
	u32 padding;
};

struct config {
	u32 offset, size, flags;
	u8 bytes[VHOST_USER_PAYLOAD - 12];
};

/* --- messages ------------------------------------------------------------------------------ */

/* The bytes and the descriptors of a request; both may be empty. */
struct vhost_user_payload {
	const void *bytes;
	u32 len;
	const int *fds;
	unsigned n_fds;
};

static int send_request(struct vhost_user *u, u32 request, u32 flags,
			const struct vhost_user_payload *p)
{
	struct vhost_user_msg m = {
		.request = request,
		.flags = VHOST_USER_VERSION | flags,
		.size = p->len,
		.n_fds = p->n_fds,
	};

	if (p->len)
		memcpy(m.payload, p->bytes, p->len);
	if (p->n_fds)
		memcpy(m.fds, p->fds, p->n_fds * sizeof(*p->fds));
	return vhost_user_send(u->fd, &m, u->limit);
}

/*
 * Receives the reply to @request, of @min to @max bytes, with a descriptor if @fd is not NULL. A
 * shorter reply leaves the rest of *reply unchanged.
 */
static int receive_reply(struct vhost_user *u, u32 request, void *reply, u32 min, u32 max, int *fd)
{
	struct vhost_user_msg m;
	int ret = vhost_user_receive(u->fd, &m, u->limit);

	if (ret)
		return ret;
	if (m.request != request || !(m.flags & VHOST_USER_REPLY) || m.size < min || m.size > max ||
	    m.n_fds != (fd ? 1U : 0U)) {
		vhost_user_drop_fds(&m);
		return -EPROTO;
	}
	memcpy(reply, m.payload, m.size);
	if (fd)
		*fd = m.fds[0];
	return 0;
}

/*
 * Sends a request that has no reply of its own, and awaits an acknowledgement if that was
 * negotiated.
 */
static int tell_back_end(struct vhost_user *u, u32 request, const struct vhost_user_payload *p)
{
	bool ack = u->protocol & PROTOCOL(REPLY_ACK);
	int ret = send_request(u, request, ack ? VHOST_USER_NEED_REPLY : 0, p);
	u64 status = 0;

	if (!ret && ack)
		ret = receive_reply(u, request, &status, sizeof(status), sizeof(status), NULL);
	return ret ? ret : status ? -EREMOTEIO : 0;
}

static int ask_back_end_u64(struct vhost_user *u, u32 request, u64 *value)
{
	const struct vhost_user_payload none = { .len = 0 };
	int ret = send_request(u, request, 0, &none);

	return ret ? ret : receive_reply(u, request, value, sizeof(*value), sizeof(*value), NULL);
}

/* --- opening ------------------------------------------------------------------------------- */

int vhost_user_dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, ret;

	if (len >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a))) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int open_channel(struct vhost_user *u)
{
	struct vhost_user_payload p = { .n_fds = 1 };
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	p.fds = &pair[1];
	ret = tell_back_end(u, SET_BACKEND_REQ_FD, &p);
	close(pair[1]);
	if (ret)
		close(pair[0]);
	else
		u->channel = pair[0];
	return ret;
}

static int greet_back_end(struct vhost_user *u)
{
	const struct vhost_user_payload none = { .len = 0 };
	u64 protocol, queues = 1;
	const struct vhost_user_payload p = { &protocol, sizeof(protocol), NULL, 0 };
	int ret = ask_back_end_u64(u, GET_FEATURES, &u->features);

	if (ret)
		return ret;
	if (!(u->features & F_PROTOCOL) || !(u->features >> VIRTIO_F_VERSION_1 & 1))
		return -EOPNOTSUPP;
	ret = ask_back_end_u64(u, GET_PROTOCOL_FEATURES, &protocol);
	if (ret)
		return ret;
	protocol &= WANTED;
	ret = tell_back_end(u, SET_PROTOCOL_FEATURES, &p);
	if (ret)
		return ret;
	u->protocol = protocol;
	ret = tell_back_end(u, SET_OWNER, &none);
	if (!ret && (protocol & PROTOCOL(MQ)))
		ret = ask_back_end_u64(u, GET_QUEUE_NUM, &queues);
	if (!ret && !queues)
		ret = -EPROTO;
	u->queues = queues < VIRTIO_MAX_QUEUES ? (unsigned)queues : VIRTIO_MAX_QUEUES;
	if (!ret && (protocol & PROTOCOL(CHANNEL)))
		ret = open_channel(u);
	return ret;
}

int vhost_user_open(struct vhost_user *u, int fd, struct vhost_user_limit limit)
{
	int ret;

	*u = (struct vhost_user){ .fd = fd, .channel = -1, .limit = limit };
	ret = greet_back_end(u);
	if (ret)
		vhost_user_close(u);
	return ret;
}

void vhost_user_close(struct vhost_user *u)
{
	if (u->fd >= 0)
		close(u->fd);
	if (u->channel >= 0)
		close(u->channel);
	u->fd = u->channel = -1;
}

void vhost_user_patience(struct vhost_user *u, unsigned ms)
{
	int cancel = u->limit.cancel;

	u->limit = vhost_user_deadline(ms);
	u->limit.cancel = cancel;
}

/* --- the device ---------------------------------------------------------------------------- */

int vhost_user_get_config(struct vhost_user *u, void *config, u32 len)
{
	const u32 head = offsetof(struct config, bytes);
	struct config c = { .size = len };
	const struct vhost_user_payload p = { &c, head + len, NULL, 0 };
	int ret;

	if (!(u->protocol & PROTOCOL(CONFIG)) || len > sizeof(c.bytes))
		return -EOPNOTSUPP;
	ret = send_request(u, GET_CONFIG, 0, &p);
	/* A back end refuses by a size of 0, or by an empty payload. */
	c.size = 0;
	if (!ret)
		ret = receive_reply(u, GET_CONFIG, &c, 0, head + len, NULL);
	if (ret)
		return ret;
	if (!c.size)
		return -EOPNOTSUPP;
	if (c.size != len || c.offset)
		return -EPROTO;
	memcpy(config, c.bytes, len);
	return 0;
}

int vhost_user_set_features(struct vhost_user *u, u64 features)
{
	const struct vhost_user_payload p = { &features, sizeof(features), NULL, 0 };

	features |= F_PROTOCOL;
	return tell_back_end(u, SET_FEATURES, &p);
}

int vhost_user_set_memory(struct vhost_user *u, struct host *h)
{
	struct memory_table t = { .n = 0 };
	struct host_region r;
	int fds[HOST_MAX_REGIONS];
	struct vhost_user_payload p = { .bytes = &t, .fds = fds };

	while (t.n < HOST_MAX_REGIONS && h->ops->ram_region(h, t.n, &r)) {
		if (r.fd < 0)
			return -ENOTSUP;
		t.regions[t.n].gpa = r.gpa;
		t.regions[t.n].len = r.len;
		t.regions[t.n].address = ADDRESS + r.gpa;
		t.regions[t.n].offset = r.offset;
		fds[t.n++] = r.fd;
	}
	p.len = (u32)(offsetof(struct memory_table, regions) + t.n * sizeof(t.regions[0]));
	p.n_fds = t.n;
	return tell_back_end(u, SET_MEM_TABLE, &p);
}

int vhost_user_make_inflight(struct vhost_user *u, struct vhost_user_inflight *i)
{
	struct inflight m = { .queues = i->queues, .queue_size = i->queue_size };
	const struct vhost_user_payload p = { &m, sizeof(m), NULL, 0 };
	int ret = send_request(u, GET_INFLIGHT_FD, 0, &p);

	if (!ret)
		ret = receive_reply(u, GET_INFLIGHT_FD, &m, INFLIGHT_MIN, sizeof(m), &i->fd);
	if (ret)
		return ret;
	i->size = m.size;
	i->offset = m.offset;
	return 0;
}

int vhost_user_set_inflight(struct vhost_user *u, const struct vhost_user_inflight *i)
{
	const struct inflight m = { i->size, i->offset, i->queues, i->queue_size, 0 };
	const struct vhost_user_payload p = { &m, sizeof(m), &i->fd, 1 };

	return tell_back_end(u, SET_INFLIGHT_FD, &p);
}

/* --- rings --------------------------------------------------------------------------------- */

static int set_ring_state(struct vhost_user *u, u32 request, unsigned index, u32 num)
{
	const struct ring_state s = { index, num };
	const struct vhost_user_payload p = { &s, sizeof(s), NULL, 0 };

	return tell_back_end(u, request, &p);
}

static int set_ring_fd(struct vhost_user *u, u32 request, unsigned index, int fd)
{
	const u64 value = index;
	const struct vhost_user_payload p = { &value, sizeof(value), &fd, 1 };

	return tell_back_end(u, request, &p);
}

int vhost_user_start_ring(struct vhost_user *u, unsigned index, const struct vhost_user_ring *r)
{
	const struct ring_address a = {
		.index = index,
		.desc = ADDRESS + r->desc,
		.used = ADDRESS + r->used,
		.avail = ADDRESS + r->avail,
	};
	const struct vhost_user_payload p = { &a, sizeof(a), NULL, 0 };
	int ret = set_ring_state(u, SET_VRING_NUM, index, r->size);

	if (!ret)
		ret = set_ring_state(u, SET_VRING_BASE, index, r->base);
	if (!ret)
		ret = tell_back_end(u, SET_VRING_ADDR, &p);
	if (!ret)
		ret = set_ring_fd(u, SET_VRING_CALL, index, r->call);
	if (!ret)
		ret = set_ring_fd(u, SET_VRING_KICK, index, r->kick);
	if (!ret)
		ret = set_ring_state(u, SET_VRING_ENABLE, index, 1);
	return ret;
}

int vhost_user_stop_ring(struct vhost_user *u, unsigned index)
{
	struct ring_state s = { .index = index };
	const struct vhost_user_payload p = { &s, sizeof(s), NULL, 0 };
	int ret = send_request(u, GET_VRING_BASE, 0, &p);

	if (!ret)
		ret = receive_reply(u, GET_VRING_BASE, &s, sizeof(s), sizeof(s), NULL);
	return ret ? ret : s.index == index ? 0 : -EPROTO;
}

/* --- the back end's own messages ----------------------------------------------------------- */

int vhost_user_on_channel(struct vhost_user *u)
{
	struct vhost_user_msg m;
	int ret = vhost_user_receive(u->channel, &m, u->limit);
	bool known;
	u64 status;

	if (ret)
		return ret;
	vhost_user_drop_fds(&m);
	known = m.request == BACKEND_CONFIG_CHANGE;
	if (!(m.flags & VHOST_USER_NEED_REPLY))
		return known;
	status = known ? 0 : 1;
	m.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	m.size = sizeof(status);
	memcpy(m.payload, &status, sizeof(status));
	ret = vhost_user_send(u->channel, &m, u->limit);
	return ret ? ret : known;
}
