/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plays a back end of vhost-user for tests: a thread that speaks the protocol by itself and serves
 * one queue of a disk, with faults to choose from. A request is one byte to write a status to.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_VHOST_USER_BACK_END_H
#define UMBRA_TESTS_UNIT_DEVICES_VHOST_USER_BACK_END_H

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "devices/vhost_user_msg.h"

#define BACK_END_PAGE 4096UL

struct back_end {
	int listener;
	pthread_t thread;
	u64 features, protocol;
	u64 capacity; /* atomic */
	/* Its faults. */
	bool out_of_order; /* answers the second request, never the first */
	bool swaps;	   /* answers every second request before the one that precedes it */
	bool deaf;	   /* atomic: takes the kick and serves nothing */
	bool mute;	   /* atomic: answers no message, and stays */
	bool hang_up;	   /* atomic: leaves at the next message or kick */
	bool changed;	   /* atomic: says that the configuration has changed */
	int wake;	   /* eventfd: has it look at hang_up and changed */
	/* What it has seen; atomic. */
	unsigned inflight_made, inflight_set;
	unsigned offered; /* the available index at the last kick that it took */
	unsigned clients_gone;

	int channel, kick, call;
	u8 *ram;
	u64 ram_len, base_address, desc, avail, used;
	u16 next, size, held;
};

static inline void back_end_reply(int fd, struct vhost_user_msg *m, const void *payload, u32 len)
{
	m->flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	m->size = len;
	m->n_fds = 0;
	memcpy(m->payload, payload, len);
	assert_int_equal(vhost_user_send(fd, m, vhost_user_deadline(5000)), 0);
}

static inline void back_end_reply_u64(int fd, struct vhost_user_msg *m, u64 value)
{
	back_end_reply(fd, m, &value, sizeof(value));
}

static inline void *back_end_at(const struct back_end *be, u64 address)
{
	return be->ram + (address - be->base_address);
}

static inline void back_end_take_memory(struct back_end *be, struct vhost_user_msg *m)
{
	u64 region[4];

	memcpy(region, m->payload + 8, sizeof(region));
	if (be->ram)
		munmap(be->ram, be->ram_len);
	assert_int_equal(m->n_fds, 1);
	__atomic_store_n(&be->base_address, region[2], __ATOMIC_RELEASE);
	be->ram_len = region[1];
	be->ram = mmap(NULL, region[1], PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[0],
		       (off_t)region[3]);
	assert_true(be->ram != MAP_FAILED);
}

static inline void back_end_take_address(struct back_end *be, const struct vhost_user_msg *m)
{
	u64 a[3];

	memcpy(a, m->payload + 8, sizeof(a));
	be->desc = a[0];
	be->used = a[1];
	be->avail = a[2];
}

static inline int back_end_keep_fd(struct vhost_user_msg *m, int *slot)
{
	if (*slot >= 0)
		close(*slot);
	assert_int_equal(m->n_fds, 1);
	*slot = m->fds[0];
	m->n_fds = 0;
	return *slot;
}

static inline void back_end_send_inflight(int fd, struct vhost_user_msg *m)
{
	int file = memfd_create("inflight", MFD_CLOEXEC);
	u64 size = BACK_END_PAGE;

	memcpy(m->payload, &size, sizeof(size));
	m->flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	m->n_fds = 1;
	m->fds[0] = file;
	assert_int_equal(vhost_user_send(fd, m, vhost_user_deadline(5000)), 0);
	close(file);
	m->n_fds = 0;
}

static inline void back_end_send_config(const struct back_end *be, int fd, struct vhost_user_msg *m)
{
	u64 capacity = __atomic_load_n(&be->capacity, __ATOMIC_ACQUIRE);
	u8 payload[VHOST_USER_PAYLOAD];
	u32 len = m->size;

	memcpy(payload, m->payload, len);
	memcpy(payload + 12, &capacity, sizeof(capacity));
	back_end_reply(fd, m, payload, len);
}

static inline void back_end_answer(struct back_end *be, int fd, struct vhost_user_msg *m)
{
	bool ack = m->flags & VHOST_USER_NEED_REPLY;

	switch (m->request) {
	case 1: /* GET_FEATURES */
		back_end_reply_u64(fd, m, be->features);
		return;
	case 15: /* GET_PROTOCOL_FEATURES */
		back_end_reply_u64(fd, m, be->protocol);
		return;
	case 17: /* GET_QUEUE_NUM */
		back_end_reply_u64(fd, m, 1);
		return;
	case 24: /* GET_CONFIG */
		back_end_send_config(be, fd, m);
		return;
	case 31: /* GET_INFLIGHT_FD */
		__atomic_fetch_add(&be->inflight_made, 1, __ATOMIC_RELEASE);
		back_end_send_inflight(fd, m);
		return;
	case 11: /* GET_VRING_BASE */
		back_end_reply(fd, m, m->payload, 8);
		return;
	case 5: /* SET_MEM_TABLE */
		back_end_take_memory(be, m);
		break;
	case 8: /* SET_VRING_NUM */
		memcpy(&be->size, m->payload + 4, 2);
		break;
	case 9: /* SET_VRING_ADDR */
		back_end_take_address(be, m);
		break;
	case 10: /* SET_VRING_BASE */
		memcpy(&be->next, m->payload + 4, 2);
		break;
	case 12: /* SET_VRING_KICK */
		back_end_keep_fd(m, &be->kick);
		break;
	case 13: /* SET_VRING_CALL */
		back_end_keep_fd(m, &be->call);
		break;
	case 21: /* SET_BACKEND_REQ_FD */
		back_end_keep_fd(m, &be->channel);
		break;
	case 32: /* SET_INFLIGHT_FD */
		__atomic_fetch_add(&be->inflight_set, 1, __ATOMIC_RELEASE);
		break;
	default:
		break;
	}
	if (ack)
		back_end_reply_u64(fd, m, 0);
}

static inline void back_end_finish(struct back_end *be, u16 head)
{
	struct vring_desc *desc = (struct vring_desc *)back_end_at(be, be->desc) + head;
	u16 *used = back_end_at(be, be->used);
	u32 *elem = (u32 *)(void *)(used + 2) + (size_t)2 * (used[1] % be->size);

	*(u8 *)back_end_at(be, be->base_address + desc->addr) = VIRTIO_BLK_S_OK;
	elem[0] = head;
	elem[1] = 1;
	__atomic_store_n(&used[1], (u16)(used[1] + 1), __ATOMIC_RELEASE);
	eventfd_write(be->call, 1);
}

static inline void back_end_serve_ring(struct back_end *be)
{
	const u16 *avail = back_end_at(be, be->avail);

	__atomic_store_n(&be->offered, __atomic_load_n(&avail[1], __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
	while (!__atomic_load_n(&be->deaf, __ATOMIC_ACQUIRE) &&
	       be->next != __atomic_load_n(&avail[1], __ATOMIC_ACQUIRE)) {
		u16 head = avail[2 + be->next++ % be->size];

		if (be->out_of_order && be->held == 0xffff)
			be->held = head;
		else
			back_end_finish(be, head);
		if (be->swaps && head != be->held) {
			back_end_finish(be, be->held);
			be->held = 0xffff;
		}
	}
}

static inline void back_end_serve(struct back_end *be, int fd)
{
	struct vhost_user_msg m;
	eventfd_t n;

	be->channel = be->kick = be->call = -1;
	be->held = 0xffff;
	for (;;) {
		struct pollfd p[3] = {
			{ .fd = fd, .events = POLLIN },
			{ .fd = be->kick, .events = POLLIN },
			{ .fd = be->wake, .events = POLLIN },
		};

		poll(p, 3, -1);
		if (p[2].revents)
			eventfd_read(be->wake, &n);
		if (__atomic_load_n(&be->hang_up, __ATOMIC_ACQUIRE))
			break;
		if (__atomic_exchange_n(&be->changed, false, __ATOMIC_ACQ_REL)) {
			m = (struct vhost_user_msg){ .request = 2, .flags = VHOST_USER_VERSION };
			assert_int_equal(
				vhost_user_send(be->channel, &m, vhost_user_deadline(5000)), 0);
		}
		if (p[0].revents) {
			if (vhost_user_receive(fd, &m, vhost_user_deadline(5000)))
				break;
			if (!__atomic_load_n(&be->mute, __ATOMIC_ACQUIRE))
				back_end_answer(be, fd, &m);
			vhost_user_drop_fds(&m);
		}
		if (p[1].revents) {
			eventfd_read(be->kick, &n);
			back_end_serve_ring(be);
		}
	}
	close(fd);
	if (be->channel >= 0)
		close(be->channel);
	if (be->kick >= 0)
		close(be->kick);
	if (be->call >= 0)
		close(be->call);
	if (be->ram)
		munmap(be->ram, be->ram_len);
	be->ram = NULL;
	__atomic_fetch_add(&be->clients_gone, 1, __ATOMIC_RELEASE);
}

static inline void *back_end_main(void *arg)
{
	struct back_end *be = arg;
	int fd = accept4(be->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		back_end_serve(be, fd);
	return NULL;
}

static inline int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, path, strlen(path));
	unlink(path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* Listens at @path, and serves the one client that comes on a thread of its own. */
static inline void back_end_start(struct back_end *be, const char *path)
{
	be->hang_up = false;
	be->listener = listen_at(path);
	assert_int_equal(pthread_create(&be->thread, NULL, back_end_main, be), 0);
}

static inline void back_end_stop(struct back_end *be, const char *path)
{
	__atomic_store_n(&be->hang_up, true, __ATOMIC_RELEASE);
	eventfd_write(be->wake, 1);
	shutdown(be->listener, SHUT_RDWR);
	pthread_join(be->thread, NULL);
	close(be->listener);
	unlink(path);
}

#endif
