/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a disk behind the back end of vhost_user_back_end.h, with a driver, in memory that both
 * share.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_VHOST_USER_FIXTURE_H
#define UMBRA_TESTS_UNIT_DEVICES_VHOST_USER_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "devices/vhost_user.h"
#include "devices/vhost_user_blk.h"
#include "tests/unit/devices/driver_fixture.h"
#include "tests/unit/devices/vhost_user_back_end.h"

#define F_PROTOCOL (1ULL << 30)
#define SECTORS	   64U
#define STATUS	   0x8100U

struct ctx {
	struct fake_host f; /* in the memfd, so that it is shared */
	struct fixture_driver d;
	struct back_end be;
	char path[64];
	struct vhost_user_blk *b;
	char note[300];
	unsigned notes; /* atomic */
};

static inline void on_note(void *arg, const char *line)
{
	struct ctx *t = arg;

	snprintf(t->note, sizeof(t->note), "%s", line);
	__atomic_fetch_add(&t->notes, 1, __ATOMIC_RELEASE);
}

static inline void await_count(const unsigned *count, unsigned n)
{
	for (unsigned i = 0; i < 5000 && __atomic_load_n(count, __ATOMIC_ACQUIRE) < n; i++)
		driver_nap();
	assert_int_equal(__atomic_load_n(count, __ATOMIC_ACQUIRE), n);
}

static inline void await_notes(struct ctx *t, unsigned n)
{
	await_count(&t->notes, n);
}

static inline int setup(void **state)
{
	size_t size = ALIGN_UP(sizeof(struct ctx), BACK_END_PAGE);
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

static inline int teardown(void **state)
{
	struct ctx *t = *state;

	close(t->be.wake);
	close(t->f.ram_fd - 1);
	munmap(t, ALIGN_UP(sizeof(struct ctx), BACK_END_PAGE));
	return 0;
}

static inline void open_disk(struct ctx *t)
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

	back_end_start(&t->be, t->path);
	assert_int_equal(vhost_user_blk_create(&t->b, &t->f.host, &p, &e), 0);
	t->d.f = &t->f;
	assert_int_equal(virtio_create(&t->d.v, &t->f.host, vhost_user_blk_type(t->b), t->b), 0);
	assert_int_equal(vhost_user_blk_attach(t->b, t->d.v), 0);
	assert_int_equal(virtio_type(t->d.v)->queues, 1);
	driver_start(&t->d, 1ULL << VIRTIO_BLK_F_FLUSH);
}

static inline void close_disk(struct ctx *t)
{
	vhost_user_blk_shut(t->b);
	virtio_destroy(t->d.v);
	vhost_user_blk_destroy(t->b);
	back_end_stop(&t->be, t->path);
}

/* Has the back end leave, and waits until the device has noticed. */
static inline void lose_back_end(struct ctx *t)
{
	back_end_stop(&t->be, t->path);
	await_notes(t, 1);
}

/* Lets a successor come, of which the device says @news. */
static inline void replace_back_end(struct ctx *t, const char *news)
{
	back_end_start(&t->be, t->path);
	await_notes(t, 2);
	assert_non_null(strstr(t->note, news));
}

static inline void do_request(struct ctx *t)
{
	driver_offer(&t->d, 0, STATUS, 1, true);
}

static inline void assert_answered(struct ctx *t)
{
	assert_int_equal(driver_wait(&t->d, 0), 1);
}

/* Makes two requests of which one is answered, by a back end that answers in another order. */
static inline void request_two_lose_one(struct ctx *t)
{
	do_request(t);
	do_request(t);
	assert_answered(t);
	lose_back_end(t);
	t->be.out_of_order = false;
}

static inline void assert_serves(struct ctx *t)
{
	do_request(t);
	assert_answered(t);
}

/* Has the back end say that its configuration has changed. */
static inline void change_config(struct ctx *t)
{
	__atomic_store_n(&t->be.changed, true, __ATOMIC_RELEASE);
	eventfd_write(t->be.wake, 1);
}

/* Returns the disk's size in sectors, as the driver reads it. */
static inline u64 read_capacity(struct ctx *t)
{
	u64 v = 0;

	virtio_config_io(t->d.v, 0, &v, sizeof(v), false);
	return v;
}

#endif
