// SPDX-License-Identifier: GPL-2.0-only
/*
 * The front end of vhost-user and its disk, against a back end of this file: one that serves, one
 * that dies and comes back, and several that lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "devices/msix.h"
#include "devices/vhost_user.h"
#include "devices/vhost_user_blk.h"
#include "devices/vhost_user_msg.h"
#include "tests/unit/devices/driver_fixture.h"

#define F_PROTOCOL (1ULL << 30)
#define SECTORS	   64U
#define HEADER	   0x8000U
#define STATUS	   0x8100U
#define PAGE	   4096UL

/* What the back end has, and where it fails. */
struct back_end {
	int listener;
	pthread_t thread;
	u64 features, protocol;
	u64 capacity;	   /* atomic */
	bool out_of_order; /* answer the second request, never the first */
	bool swaps;	   /* answer every second request before the one that precedes it */
	bool deaf;	   /* take the kick, do nothing */
	bool mute;	   /* atomic: answer nothing, and stay */
	bool hang_up;	   /* atomic: leave at the next message or kick */
	int wake;	   /* eventfd: look at hang_up, or send a change of configuration */
	bool changed;	   /* atomic */
	unsigned inflight_made, inflight_set; /* atomic */

	int channel, kick, call;
	u8 *ram;
	u64 ram_len, base_address, desc, avail, used;
	u16 next, size, held;
};

struct ctx {
	struct fake_host f; /* in the memfd, so that it is shared */
	struct driver d;
	struct back_end be;
	char path[64];
	struct vhost_user_blk *b;
	char note[300];
	unsigned notes; /* atomic */
};

/* --- a back end ---------------------------------------------------------------------------- */

static void reply(int fd, struct vhost_user_msg *m, const void *payload, u32 len)
{
	m->flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	m->size = len;
	m->n_fds = 0;
	memcpy(m->payload, payload, len);
	assert_int_equal(vhost_user_send(fd, m, vhost_user_deadline(5000)), 0);
}

static void reply_u64(int fd, struct vhost_user_msg *m, u64 value)
{
	reply(fd, m, &value, sizeof(value));
}

static void *at(const struct back_end *be, u64 address)
{
	return be->ram + (address - be->base_address);
}

static void take_memory(struct back_end *be, struct vhost_user_msg *m)
{
	u64 region[4];

	memcpy(region, m->payload + 8, sizeof(region));
	if (be->ram)
		munmap(be->ram, be->ram_len);
	assert_int_equal(m->n_fds, 1);
	be->base_address = region[2];
	be->ram_len = region[1];
	be->ram = mmap(NULL, region[1], PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[0],
		       (off_t)region[3]);
	assert_true(be->ram != MAP_FAILED);
}

static void take_address(struct back_end *be, const struct vhost_user_msg *m)
{
	u64 a[3];

	memcpy(a, m->payload + 8, sizeof(a));
	be->desc = a[0];
	be->used = a[1];
	be->avail = a[2];
}

static int keep_fd(struct vhost_user_msg *m, int *slot)
{
	if (*slot >= 0)
		close(*slot);
	assert_int_equal(m->n_fds, 1);
	*slot = m->fds[0];
	m->n_fds = 0;
	return *slot;
}

static void send_inflight(int fd, struct vhost_user_msg *m)
{
	int file = memfd_create("inflight", MFD_CLOEXEC);
	u64 size = PAGE;

	memcpy(m->payload, &size, sizeof(size));
	m->flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	m->n_fds = 1;
	m->fds[0] = file;
	assert_int_equal(vhost_user_send(fd, m, vhost_user_deadline(5000)), 0);
	close(file);
	m->n_fds = 0;
}

static void send_config(const struct back_end *be, int fd, struct vhost_user_msg *m)
{
	u64 capacity = __atomic_load_n(&be->capacity, __ATOMIC_ACQUIRE);
	u8 payload[VHOST_USER_PAYLOAD];
	u32 len = m->size;

	memcpy(payload, m->payload, len);
	memcpy(payload + 12, &capacity, sizeof(capacity));
	reply(fd, m, payload, len);
}

static void answer(struct back_end *be, int fd, struct vhost_user_msg *m)
{
	bool ack = m->flags & VHOST_USER_NEED_REPLY;

	switch (m->request) {
	case 1:
		reply_u64(fd, m, be->features);
		return;
	case 15:
		reply_u64(fd, m, be->protocol);
		return;
	case 17:
		reply_u64(fd, m, 1);
		return;
	case 24:
		send_config(be, fd, m);
		return;
	case 31:
		__atomic_fetch_add(&be->inflight_made, 1, __ATOMIC_RELEASE);
		send_inflight(fd, m);
		return;
	case 11:
		reply(fd, m, m->payload, 8);
		return;
	case 5:
		take_memory(be, m);
		break;
	case 8:
		memcpy(&be->size, m->payload + 4, 2);
		break;
	case 9:
		take_address(be, m);
		break;
	case 10:
		memcpy(&be->next, m->payload + 4, 2);
		break;
	case 12:
		keep_fd(m, &be->kick);
		break;
	case 13:
		keep_fd(m, &be->call);
		break;
	case 21:
		keep_fd(m, &be->channel);
		break;
	case 32:
		__atomic_fetch_add(&be->inflight_set, 1, __ATOMIC_RELEASE);
		break;
	default:
		break;
	}
	if (ack)
		reply_u64(fd, m, 0);
}

static void finish(struct back_end *be, u16 head)
{
	struct vring_desc *desc = (struct vring_desc *)at(be, be->desc) + head;
	u16 *used = at(be, be->used);
	u32 *elem = (u32 *)(void *)(used + 2) + (size_t)2 * (used[1] % be->size);

	*(u8 *)at(be, be->base_address + desc->addr) = VIRTIO_BLK_S_OK;
	elem[0] = head;
	elem[1] = 1;
	__atomic_store_n(&used[1], (u16)(used[1] + 1), __ATOMIC_RELEASE);
	eventfd_write(be->call, 1);
}

/* A request of these tests is one byte to write a status to. */
static void serve_ring(struct back_end *be)
{
	const u16 *avail = at(be, be->avail);

	while (!be->deaf && be->next != __atomic_load_n(&avail[1], __ATOMIC_ACQUIRE)) {
		u16 head = avail[2 + be->next++ % be->size];

		if (be->out_of_order && be->held == 0xffff)
			be->held = head;
		else
			finish(be, head);
		if (be->swaps && head != be->held) {
			finish(be, be->held);
			be->held = 0xffff;
		}
	}
}

static void serve_client(struct back_end *be, int fd)
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
				answer(be, fd, &m);
			vhost_user_drop_fds(&m);
		}
		if (p[1].revents) {
			eventfd_read(be->kick, &n);
			serve_ring(be);
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
}

static void *back_end_main(void *arg)
{
	struct back_end *be = arg;
	int fd = accept4(be->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		serve_client(be, fd);
	return NULL;
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, path, strlen(path));
	unlink(path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void back_end_start(struct ctx *t)
{
	t->be.hang_up = false;
	t->be.listener = listen_at(t->path);
	assert_int_equal(pthread_create(&t->be.thread, NULL, back_end_main, &t->be), 0);
}

static void back_end_stop(struct ctx *t)
{
	__atomic_store_n(&t->be.hang_up, true, __ATOMIC_RELEASE);
	eventfd_write(t->be.wake, 1);
	shutdown(t->be.listener, SHUT_RDWR);
	pthread_join(t->be.thread, NULL);
	close(t->be.listener);
	unlink(t->path);
}

/* --- set-up -------------------------------------------------------------------------------- */

static void on_note(void *arg, const char *line)
{
	struct ctx *t = arg;

	snprintf(t->note, sizeof(t->note), "%s", line);
	__atomic_fetch_add(&t->notes, 1, __ATOMIC_RELEASE);
}

static void await_count(const unsigned *count, unsigned n)
{
	for (unsigned i = 0; i < 5000 && __atomic_load_n(count, __ATOMIC_ACQUIRE) < n; i++)
		driver_nap();
	assert_int_equal(__atomic_load_n(count, __ATOMIC_ACQUIRE), n);
}

static void await_notes(struct ctx *t, unsigned n)
{
	await_count(&t->notes, n);
}

static int setup(void **state)
{
	size_t size = ALIGN_UP(sizeof(struct ctx), PAGE);
	int fd = memfd_create("ctx", MFD_CLOEXEC);
	struct ctx *t;

	assert_true(fd >= 0 && !ftruncate(fd, (off_t)size));
	t = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(t != MAP_FAILED);
	fake_host_init(&t->f);
	t->f.ram_fd = fd + 1;
	t->f.ram_offset = offsetof(struct ctx, f.ram);
	snprintf(t->path, sizeof(t->path), "/tmp/test_vhost_user.%d", getpid());
	t->be = (struct back_end){
		.features = F_PROTOCOL | 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_BLK_F_FLUSH,
		.protocol = 1ULL << VHOST_USER_P_CONFIG | 1ULL << VHOST_USER_P_REPLY_ACK |
			    1ULL << VHOST_USER_P_CHANNEL,
		.capacity = SECTORS,
		.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	close(t->be.wake);
	close(t->f.ram_fd - 1);
	munmap(t, ALIGN_UP(sizeof(struct ctx), PAGE));
	return 0;
}

static void open_disk(struct ctx *t)
{
	struct vhost_user_blk_params p = {
		.path = t->path,
		.queues = 4,
		.fewer = true,
		.reconnect_ms = 20,
		.note = on_note,
		.arg = t,
	};
	struct err e;

	back_end_start(t);
	assert_int_equal(vhost_user_blk_create(&t->b, &t->f.host, &p, &e), 0);
	t->d.f = &t->f;
	assert_int_equal(virtio_create(&t->d.v, &t->f.host, vhost_user_blk_type(t->b), t->b), 0);
	assert_int_equal(vhost_user_blk_attach(t->b, t->d.v), 0);
	assert_int_equal(virtio_type(t->d.v)->queues, 1);
	driver_start(&t->d, 1ULL << VIRTIO_BLK_F_FLUSH);
}

static void close_disk(struct ctx *t)
{
	vhost_user_blk_shut(t->b);
	virtio_destroy(t->d.v);
	vhost_user_blk_destroy(t->b);
	back_end_stop(t);
}

static void request(struct ctx *t)
{
	driver_add(&t->d, 0, STATUS, 1, true);
}

/* --- tests --------------------------------------------------------------------------------- */

static void test_requests_are_served(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	for (unsigned i = 0; i < 40; i++) {
		t->f.ram[STATUS] = 0x5a;
		request(t);
		assert_int_equal(driver_wait(&t->d, 0), 1);
		assert_int_equal(t->f.ram[STATUS], VIRTIO_BLK_S_OK);
	}
	/* Nothing of this process's addresses went out. */
	assert_true(t->be.base_address == 1ULL << 45);
	/* A reset, and once more. */
	driver_start(&t->d, 0);
	request(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	close_disk(t);
}

static void test_features(void **state)
{
	struct ctx *t = *state;
	u32 low;

	t->be.features |= 1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_BLK_F_RO |
			  1ULL << VIRTIO_BLK_F_CONFIG_WCE | 1ULL << VIRTIO_BLK_F_MQ;
	open_disk(t);
	driver_put(&t->d, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	low = driver_get(&t->d, VIRTIO_PCI_COMMON_DF, 4);
	/* What the back end has, what we know of it, and nothing else. */
	assert_int_equal(low, 1U << VIRTIO_RING_F_INDIRECT_DESC | 1U << VIRTIO_BLK_F_RO |
				      1U << VIRTIO_BLK_F_FLUSH);
	assert_true(vhost_user_blk_is_readonly(t->b));
	close_disk(t);
}

static u64 capacity(struct ctx *t)
{
	u64 v = 0;

	virtio_config_io(t->d.v, 0, &v, sizeof(v), false);
	return v;
}

static void test_resize(void **state)
{
	struct ctx *t = *state;
	u32 generation;

	open_disk(t);
	assert_int_equal(capacity(t), SECTORS);
	generation = driver_get(&t->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
	__atomic_store_n(&t->be.capacity, 4 * SECTORS, __ATOMIC_RELEASE);
	__atomic_store_n(&t->be.changed, true, __ATOMIC_RELEASE);
	eventfd_write(t->be.wake, 1);
	for (unsigned i = 0; i < 5000 && capacity(t) == SECTORS; i++)
		driver_nap();
	assert_int_equal(capacity(t), 4 * SECTORS);
	assert_int_equal(vhost_user_blk_size(t->b), 4ULL * SECTORS * 512);
	for (unsigned i = 0; i < 5000; i++)
		if (driver_get(&t->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1) != generation)
			break;
	assert_int_not_equal(driver_get(&t->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
	assert_true(virtio_isr(t->d.v) & 2);
	close_disk(t);
}

static void test_back_end_comes_back(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	request(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	back_end_stop(t);
	await_notes(t, 1);
	assert_non_null(strstr(t->note, "is gone"));
	request(t);
	request(t);
	back_end_start(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	await_notes(t, 2);
	assert_non_null(strstr(t->note, "there again"));
	assert_false(driver_broken(&t->d));
	close_disk(t);
}

/* A kick that the predecessor took is repeated for the new one. */
static void test_kick_is_repeated(void **state)
{
	struct ctx *t = *state;

	t->be.deaf = true;
	open_disk(t);
	request(t);
	usleep(50000);
	back_end_stop(t);
	await_notes(t, 1);
	t->be.deaf = false;
	back_end_start(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	close_disk(t);
}

/* What was answered in another order is answered all the same. */
static void test_order_does_not_matter(void **state)
{
	struct ctx *t = *state;

	t->be.out_of_order = t->be.swaps = true;
	open_disk(t);
	for (unsigned i = 0; i < 7; i++) {
		request(t);
		request(t);
		assert_int_equal(driver_wait(&t->d, 0), 1);
		assert_int_equal(driver_wait(&t->d, 0), 1);
	}
	back_end_stop(t);
	await_notes(t, 1);
	request(t);
	t->be.out_of_order = t->be.swaps = false;
	back_end_start(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	await_notes(t, 2);
	assert_false(driver_broken(&t->d));
	close_disk(t);
}

static void test_lost_requests_need_a_reset(void **state)
{
	struct ctx *t = *state;

	t->be.out_of_order = true;
	open_disk(t);
	request(t);
	request(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	back_end_stop(t);
	await_notes(t, 1);
	t->be.out_of_order = false;
	back_end_start(t);
	await_notes(t, 2);
	assert_non_null(strstr(t->note, "out of order"));
	for (unsigned i = 0; i < 5000 && !driver_broken(&t->d); i++)
		driver_nap();
	assert_true(driver_broken(&t->d));
	driver_start(&t->d, 0);
	request(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	close_disk(t);
}

static void test_record_of_requests_is_handed_on(void **state)
{
	struct ctx *t = *state;

	t->be.protocol |= 1ULL << VHOST_USER_P_INFLIGHT;
	t->be.out_of_order = true;
	open_disk(t);
	await_count(&t->be.inflight_set, 1);
	request(t);
	request(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	back_end_stop(t);
	await_notes(t, 1);
	t->be.out_of_order = false;
	back_end_start(t);
	await_notes(t, 2);
	assert_non_null(strstr(t->note, "there again"));
	await_count(&t->be.inflight_set, 2);
	assert_false(driver_broken(&t->d));
	close_disk(t);
}

static void test_back_end_of_another_kind_is_not_taken(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	back_end_stop(t);
	await_notes(t, 1);
	t->be.features |= 1ULL << VIRTIO_BLK_F_RO;
	back_end_start(t);
	usleep(200000);
	assert_int_equal(__atomic_load_n(&t->notes, __ATOMIC_ACQUIRE), 1);
	/* Even so, the driver can reset the device, and everything ends. */
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(driver_get(&t->d, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	close_disk(t);
}

static s64 reset_ms(struct ctx *t)
{
	s64 begin = now_ms();

	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(driver_get(&t->d, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	return now_ms() - begin;
}

/* Neither the vCPU that resets or starts the device nor who asks for its size waits for a back end. */
static void test_a_mute_back_end_holds_up_nobody(void **state)
{
	struct ctx *t = *state;
	s64 begin;

	open_disk(t);
	request(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	__atomic_store_n(&t->be.mute, true, __ATOMIC_RELEASE);
	/* It is asked for its configuration, for five seconds. */
	__atomic_store_n(&t->be.changed, true, __ATOMIC_RELEASE);
	eventfd_write(t->be.wake, 1);
	for (unsigned i = 0; i < 50; i++)
		driver_nap();
	begin = now_ms();
	assert_int_equal(vhost_user_blk_size(t->b), SECTORS * 512);
	assert_int_equal(capacity(t), SECTORS);
	assert_in_range(now_ms() - begin, 0, 100);
	assert_in_range(reset_ms(t), 0, 900);
	/* Its end, too, while it is greeted in vain. */
	await_notes(t, 1);
	begin = now_ms();
	driver_start(&t->d, 0);
	assert_in_range(now_ms() - begin, 0, 500);
	begin = now_ms();
	close_disk(t);
	assert_in_range(now_ms() - begin, 0, 1500);
}

/* The same where it is asked to leave the queues. */
static void test_a_reset_is_bounded(void **state)
{
	struct ctx *t = *state;

	open_disk(t);
	request(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	__atomic_store_n(&t->be.mute, true, __ATOMIC_RELEASE);
	assert_in_range(reset_ms(t), 0, 900);
	await_notes(t, 1);
	assert_non_null(strstr(t->note, "is gone"));
	back_end_stop(t);
	__atomic_store_n(&t->be.mute, false, __ATOMIC_RELEASE);
	back_end_start(t);
	driver_start(&t->d, 0);
	request(t);
	assert_int_equal(driver_wait(&t->d, 0), 1);
	close_disk(t);
}

/* A record is of requests of one driver: the next one has a new record. */
static void test_a_record_ends_with_its_driver(void **state)
{
	struct ctx *t = *state;

	t->be.protocol |= 1ULL << VHOST_USER_P_INFLIGHT;
	open_disk(t);
	await_count(&t->be.inflight_made, 1);
	back_end_stop(t);
	await_notes(t, 1);
	/* Reset and started while nobody is there. */
	driver_start(&t->d, 0);
	back_end_start(t);
	await_count(&t->be.inflight_set, 2);
	assert_int_equal(__atomic_load_n(&t->be.inflight_made, __ATOMIC_ACQUIRE), 2);
	close_disk(t);
}

static void test_memory_must_be_shared(void **state)
{
	struct ctx *t = *state;
	struct vhost_user_blk_params p = { .path = t->path, .queues = 1 };
	int fd = t->f.ram_fd;
	struct err e;

	back_end_start(t);
	t->f.ram_fd = 0;
	assert_int_equal(vhost_user_blk_create(&t->b, &t->f.host, &p, &e), -ENOTSUP);
	t->f.ram_fd = fd;
	back_end_stop(t);
	back_end_start(t);
	p.queues = 2;
	assert_int_equal(vhost_user_blk_create(&t->b, &t->f.host, &p, &e), -EINVAL);
	assert_non_null(strstr(e.text, "1 queue,"));
	back_end_stop(t);
	assert_int_equal(vhost_user_blk_create(&t->b, &t->f.host, &p, &e), -ENOENT);
}

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* What a liar says before it hangs up, or says nothing and stays. */
static int greet_liar(const void *text, size_t len, bool stay, const int *fds, unsigned n_fds)
{
	struct vhost_user_msg m = { .request = 1, .n_fds = n_fds };
	struct vhost_user u;
	int pair[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	if (n_fds) {
		m.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
		m.size = 8;
		memcpy(m.fds, fds, n_fds * sizeof(*fds));
		assert_int_equal(vhost_user_send(pair[1], &m, vhost_user_deadline(100)), 0);
	}
	assert_int_equal(write(pair[1], text, len), (ssize_t)len);
	if (!stay)
		shutdown(pair[1], SHUT_WR);
	ret = vhost_user_open(&u, pair[0], vhost_user_deadline(100));
	close(pair[1]);
	return ret;
}

static void test_liars(void **state)
{
	const u32 wrong_request[] = { 2, 5, 8, 0, 0 };
	const u32 no_reply[] = { 1, 1, 8, 0, 0 };
	const u32 version[] = { 1, 6, 8, 0, 0 };
	const u32 too_long[] = { 1, 5, 100000, 0, 0 };
	const u32 too_short[] = { 1, 5, 4, 0 };
	const u32 no_virtio_1[] = { 1, 5, 8, 1U << 30, 0 };
	const int two[] = { 0, 1 };
	unsigned before = count_fds();

	(void)state;
	assert_int_equal(greet_liar("", 0, true, NULL, 0), -ETIMEDOUT);
	assert_int_equal(greet_liar("", 0, false, NULL, 0), -ECONNRESET);
	assert_int_equal(greet_liar("abc", 3, true, NULL, 0), -ETIMEDOUT);
	assert_int_equal(greet_liar("abc", 3, false, NULL, 0), -ECONNRESET);
	assert_int_equal(greet_liar(wrong_request, 20, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(no_reply, 20, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(version, 20, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(too_long, 20, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(too_short, 16, true, NULL, 0), -EPROTO);
	assert_int_equal(greet_liar(no_virtio_1, 20, true, NULL, 0), -EOPNOTSUPP);
	assert_int_equal(greet_liar("", 0, true, two, 2), -EPROTO);
	/* No descriptor of theirs is left. */
	assert_int_equal(count_fds(), before);
}

static void send_fds(int to, void *bytes, size_t len, unsigned n)
{
	union {
		char space[CMSG_SPACE(40 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { bytes, len };
	struct msghdr h = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};

	memset(&control, 0, sizeof(control));
	control.align = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	assert_int_equal(sendmsg(to, &h, 0), (ssize_t)len);
}

/* In one piece, or with the head and with the rest. None of them is left. */
static void test_too_many_descriptors(void **state)
{
	u8 text[20] = { 1, 0, 0, 0, 5, 0, 0, 0, 8 };
	unsigned before = count_fds();
	struct vhost_user u;
	int pair[2];

	(void)state;
	for (unsigned pieces = 1; pieces <= 2; pieces++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		if (pieces == 1) {
			send_fds(pair[1], text, 20, 40);
		} else {
			send_fds(pair[1], text, 12, 5);
			send_fds(pair[1], text + 12, 8, 5);
		}
		assert_int_equal(vhost_user_open(&u, pair[0], vhost_user_deadline(100)), -EPROTO);
		close(pair[1]);
	}
	assert_int_equal(count_fds(), before);
}

static void test_eventfd_as_vector(void **state)
{
	struct ctx *t = *state;
	struct msix *x;
	u32 on = 0, masked = 1, pending = 0;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_equal(msix_create(&x, &t->f.host, 2), 0);
	assert_int_equal(msix_attach(x, 1, fd), 0);
	assert_int_equal(t->f.bound[0], 0);
	msix_control(x, MSIX_CTRL_ENABLE);
	msix_table_io(x, 16 + 12, &on, 4, true);
	assert_int_equal(t->f.bound[0], fd);
	msix_control(x, MSIX_CTRL_ENABLE | MSIX_CTRL_MASK);
	assert_int_equal(t->f.bound[0], 0);
	msix_control(x, MSIX_CTRL_ENABLE);
	assert_int_equal(t->f.bound[0], fd);
	msix_table_io(x, 16 + 12, &masked, 4, true);
	assert_int_equal(t->f.bound[0], 0);
	/* What is signalled meanwhile is pending. */
	msix_pba_io(x, 0, &pending, 4, false);
	assert_int_equal(pending, 0);
	eventfd_write(fd, 1);
	msix_pba_io(x, 0, &pending, 4, false);
	assert_int_equal(pending, 2);
	msix_table_io(x, 16 + 12, &on, 4, true);
	assert_int_equal(t->f.bound[0], fd);
	assert_int_equal(msix_attach(x, MSIX_NO_VECTOR, fd), 0);
	assert_int_equal(t->f.bound[0], 0);
	msix_destroy(x);
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_requests_are_served),
		TEST(test_features),
		TEST(test_resize),
		TEST(test_back_end_comes_back),
		TEST(test_kick_is_repeated),
		TEST(test_order_does_not_matter),
		TEST(test_lost_requests_need_a_reset),
		TEST(test_record_of_requests_is_handed_on),
		TEST(test_back_end_of_another_kind_is_not_taken),
		TEST(test_a_mute_back_end_holds_up_nobody),
		TEST(test_a_reset_is_bounded),
		TEST(test_a_record_ends_with_its_driver),
		TEST(test_memory_must_be_shared),
		cmocka_unit_test(test_liars),
		cmocka_unit_test(test_too_many_descriptors),
		TEST(test_eventfd_as_vector),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
