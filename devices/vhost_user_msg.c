// SPDX-License-Identifier: GPL-2.0-only
/* Sends and receives one message of vhost-user with its descriptors, within a limit of time. */
#include "devices/vhost_user_msg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define HEADER	     12U
#define VERSION_MASK 0x3U

struct vhost_user_limit vhost_user_deadline(unsigned ms)
{
	return (struct vhost_user_limit){ now_ns() + ms * NS_PER_MS, -1 };
}

/* Waits for @events of @fd. 0: they are there, or the peer hung up, which the next call reports. */
static int await_peer(int fd, short events, struct vhost_user_limit limit)
{
	struct pollfd p[2] = {
		{ .fd = fd, .events = events },
		{ .fd = limit.cancel, .events = POLLIN },
	};
	u64 now;
	int n;

	do {
		now = now_ns();
		if (now >= limit.at)
			return -ETIMEDOUT;
		n = poll(p, 2, (int)((limit.at - now) / NS_PER_MS) + 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return p[1].revents ? -ECANCELED : n ? 0 : -ETIMEDOUT;
}

/* Decides by errno how a failed system call goes on, and waits for the peer. 0: try again. */
static int peer_await_after_failure(int fd, short events, struct vhost_user_limit limit)
{
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN)
		return await_peer(fd, events, limit);
	return errno == EPIPE ? -ECONNRESET : -errno;
}

int vhost_user_send(int fd, const struct vhost_user_msg *m, struct vhost_user_limit limit)
{
	union {
		char space[CMSG_SPACE(sizeof(m->fds))];
		struct cmsghdr align;
	} control;
	u32 header[3] = { m->request, m->flags, m->size };
	u8 text[HEADER + VHOST_USER_PAYLOAD];
	struct iovec iov = { text, HEADER + m->size };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	int ret;

	if (m->size > VHOST_USER_PAYLOAD || m->n_fds > VHOST_USER_FDS)
		return -EINVAL;
	memcpy(text, header, HEADER);
	memcpy(text + HEADER, m->payload, m->size);
	if (m->n_fds) {
		size_t len = m->n_fds * sizeof(int);

		memset(&control, 0, sizeof(control));
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(len);
		control.align = (struct cmsghdr){ CMSG_LEN(len), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.align), m->fds, len);
	}
	while (iov.iov_len) {
		ssize_t done = sendmsg(fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (done < 0) {
			ret = peer_await_after_failure(fd, POLLOUT, limit);
			if (ret)
				return ret;
			continue;
		}
		iov.iov_base = (u8 *)iov.iov_base + done;
		iov.iov_len -= (size_t)done;
		h.msg_control = NULL; /* they went with the first byte */
		h.msg_controllen = 0;
	}
	return 0;
}

void vhost_user_drop_fds(struct vhost_user_msg *m)
{
	for (unsigned i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
	m->n_fds = 0;
}

/* Takes over the descriptors of @h; -EPROTO: more than any message has. */
static int take_over_fds(struct vhost_user_msg *m, struct msghdr *h)
{
	int ret = h->msg_flags & MSG_CTRUNC ? -EPROTO : 0, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n =
			c->cmsg_len < CMSG_LEN(0) ? 0 : (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (m->n_fds < VHOST_USER_FDS) {
				m->fds[m->n_fds++] = fd;
				continue;
			}
			close(fd);
			ret = -EPROTO;
		}
	}
	return ret;
}

static int receive_bytes(int fd, struct vhost_user_msg *m, u8 *to, size_t len,
			 struct vhost_user_limit limit)
{
	union {
		char space[CMSG_SPACE(sizeof(m->fds))];
		struct cmsghdr align;
	} control;
	int ret;

	while (len) {
		struct iovec iov = { to, len };
		struct msghdr h = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		ssize_t done = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

		if (done < 0) {
			ret = peer_await_after_failure(fd, POLLIN, limit);
			if (ret)
				return ret;
			continue;
		}
		ret = take_over_fds(m, &h);
		if (ret)
			return ret;
		if (!done)
			return -ECONNRESET;
		to += done;
		len -= (size_t)done;
	}
	return 0;
}

int vhost_user_receive(int fd, struct vhost_user_msg *m, struct vhost_user_limit limit)
{
	u32 header[3];
	int ret;

	m->n_fds = 0;
	ret = receive_bytes(fd, m, (u8 *)header, sizeof(header), limit);
	if (!ret) {
		m->request = header[0];
		m->flags = header[1];
		m->size = header[2];
		if (m->size > VHOST_USER_PAYLOAD || (m->flags & VERSION_MASK) != VHOST_USER_VERSION)
			ret = -EPROTO;
	}
	if (!ret)
		ret = receive_bytes(fd, m, m->payload, m->size, limit);
	if (ret)
		vhost_user_drop_fds(m);
	return ret;
}
