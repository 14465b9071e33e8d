// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the front end of vhost-user with the answers of its back end as the input, all of them
 * written before it is asked: messages with any head, with descriptors, or raw bytes. The same
 * bytes go to the channel by which it speaks by itself. No second thread: nothing waits, so a run
 * takes microseconds.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/vhost_user.h"
#include "devices/vhost_user_msg.h"
#include "tests/unit/devices/fake_host.h"

#define PATIENCE_MS 1000
#define MESSAGES    40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct head {
	u8 request;
	u8 how; /* 1: raw bytes, 2: other flags, 4: eight zero bytes; fds << 4 */
	u8 len;
};

static const u8 *answer_write(int to, int memory, const u8 *p, const u8 *end)
{
	struct vhost_user_msg m = { .flags = VHOST_USER_VERSION | VHOST_USER_REPLY };
	struct head h;

	memcpy(&h, p, sizeof(h));
	p += sizeof(h);
	m.request = h.request;
	m.size = h.len < end - p ? h.len : (u32)(end - p);
	if (h.how & 1) {
		if (write(to, p, m.size) < 0)
			return end;
		return p + m.size;
	}
	if (h.how & 2)
		m.flags = h.len;
	if (h.how & 4)
		m.size = 8;
	else
		memcpy(m.payload, p, m.size);
	m.n_fds = h.how >> 4;
	if (m.n_fds > VHOST_USER_FDS)
		m.n_fds = VHOST_USER_FDS;
	for (unsigned i = 0; i < m.n_fds; i++)
		m.fds[i] = memory;
	vhost_user_send(to, &m, vhost_user_deadline(PATIENCE_MS));
	return h.how & 4 ? p : p + m.size;
}

/* Returns the end of the channel that the front end sent, or -1. */
static int find_channel(int fd)
{
	struct vhost_user_msg m;
	int channel = -1;

	while (!vhost_user_receive(fd, &m, vhost_user_deadline(PATIENCE_MS))) {
		if (m.request == 21 && m.n_fds == 1 && channel < 0) {
			channel = m.fds[0];
			m.n_fds = 0;
		}
		vhost_user_drop_fds(&m);
	}
	return channel;
}

static int front_end_converse(struct vhost_user *u, struct host *h, int fd)
{
	struct vhost_user_inflight i = { .fd = -1, .queues = 1, .queue_size = 128 };
	struct vhost_user_ring r = { .size = 128, .kick = fd, .call = fd };
	u8 config[60];
	int ret = vhost_user_get_config(u, config, sizeof(config));

	if (!ret)
		ret = vhost_user_set_features(u, u->features);
	if (!ret)
		ret = vhost_user_set_memory(u, h);
	if (!ret)
		ret = vhost_user_make_inflight(u, &i);
	if (!ret) {
		ret = vhost_user_set_inflight(u, &i);
		close(i.fd);
	}
	if (!ret)
		ret = vhost_user_start_ring(u, 0, &r);
	if (!ret)
		ret = vhost_user_stop_ring(u, 0);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host f;
	static int memory = -1;
	const u8 *p = data, *end = data + size;
	struct vhost_user u;
	int pair[2], channel;

	if (memory < 0) {
		memory = memfd_create("ram", MFD_CLOEXEC);
		fake_host_init(&f);
		f.ram_fd = memory + 1;
	}
	if (memory < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		abort();
	for (unsigned i = 0; i < MESSAGES && end - p >= (ptrdiff_t)sizeof(struct head); i++)
		p = answer_write(pair[1], memory, p, end);
	shutdown(pair[1], SHUT_WR);
	if (!vhost_user_open(&u, pair[0], vhost_user_deadline(PATIENCE_MS))) {
		front_end_converse(&u, &f.host, memory);
		shutdown(u.fd, SHUT_RDWR);
		channel = find_channel(pair[1]);
		if (channel >= 0) {
			if (write(channel, data, size) < 0)
				abort();
			shutdown(channel, SHUT_WR);
			while (u.channel >= 0 && vhost_user_on_channel(&u) >= 0)
				;
			close(channel);
		}
		vhost_user_close(&u);
	}
	close(pair[1]);
	return 0;
}
