/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plays the driver of one disk for tests of virtio-blk: the device with its own threads on a real
 * file, one request at a time on queue 0, of any shape.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_BLK_FIXTURE_H
#define UMBRA_TESTS_UNIT_DEVICES_BLK_FIXTURE_H

#include <linux/virtio_blk.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "devices/virtio_blk.h"
#include "tests/unit/devices/ring_fixture.h"

#define SIZE	16
#define HEADER	0x4000ULL
#define STATUS	0x4100ULL
#define SECTORS 64U
#define NO	0x5a /* a status that no device writes */

struct ctx {
	struct fake_host f;
	char path[64];
	int fd;
	struct virtio_blk *b;
	struct virtio *v;
	unsigned n_desc;
	u16 size;
	u16 served;
	struct virtio_blk_params params;
};

static inline void reg_write(struct ctx *t, u64 reg, u64 value, unsigned len)
{
	registers_write(t->v, reg, value, len);
}

static inline u32 reg_read(struct ctx *t, u64 reg, unsigned len)
{
	return registers_read(t->v, reg, len);
}

static inline void start_sized(struct ctx *t, u64 features, u16 size)
{
	const struct queue_place q = { size, DESC, AVAIL, USED };

	registers_reset(t->v);
	memset(t->f.ram, 0, FAKE_RAM);
	t->served = 0;
	t->size = size;
	registers_negotiate(t->v, features);
	registers_enable_queue(t->v, 0, &q);
	registers_driver_ok(t->v);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_STATUS, 1), 0xf);
}

static inline void start_device(struct ctx *t, u64 features)
{
	start_sized(t, features, SIZE);
}

static inline void open_disk(struct ctx *t, bool readonly)
{
	struct err e;

	t->params.path = t->path;
	t->params.id = "a-serial";
	t->params.readonly = readonly;
	assert_int_equal(virtio_blk_create(&t->b, &t->params, &e), 0);
	assert_int_equal(virtio_create(&t->v, &t->f.host, virtio_blk_type(t->b), t->b), 0);
	virtio_blk_attach(t->b, t->v);
}

static inline void close_disk(struct ctx *t)
{
	virtio_destroy(t->v);
	virtio_blk_destroy(t->b);
	t->v = NULL;
	t->b = NULL;
}

static inline int setup_with(void **state, const struct virtio_blk_params *params)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));
	u8 sector[512];

	assert_non_null(t);
	t->params = *params;
	snprintf(t->path, sizeof(t->path), "/var/tmp/blk_fixture.XXXXXX");
	t->fd = mkstemp(t->path);
	assert_true(t->fd >= 0);
	for (unsigned i = 0; i < SECTORS; i++) {
		memset(sector, (int)i, sizeof(sector));
		assert_int_equal(write(t->fd, sector, sizeof(sector)), sizeof(sector));
	}
	open_disk(t, false);
	start_device(t, 1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	*state = t;
	return 0;
}

static inline int setup(void **state)
{
	struct virtio_blk_params params = { .readonly = false };

	return setup_with(state, &params);
}

static inline int setup_plain(void **state)
{
	struct virtio_blk_params params = { .aio = BLK_AIO_THREADS };

	return setup_with(state, &params);
}

static inline int setup_direct(void **state)
{
	struct virtio_blk_params params = { .direct = true };

	return setup_with(state, &params);
}

static inline int setup_queues(void **state)
{
	struct virtio_blk_params params = { .queues = 1000 };

	return setup_with(state, &params);
}

static inline int teardown(void **state)
{
	struct ctx *t = *state;

	close_disk(t);
	close(t->fd);
	unlink(t->path);
	free(t);
	return 0;
}

/* Descriptors 0, 1, 2 ... of the one request at a time that these tests make. */
static inline void add_descriptor(struct ctx *t, u64 addr, u32 len, bool writable)
{
	struct vring_desc *d = (struct vring_desc *)(void *)(t->f.ram + DESC) + t->n_desc;

	if (t->n_desc)
		d[-1].flags |= VRING_DESC_F_NEXT;
	*d = (struct vring_desc){
		.addr = addr,
		.len = len,
		.flags = writable ? VRING_DESC_F_WRITE : 0,
		.next = (u16)(t->n_desc + 1),
	};
	t->n_desc++;
}

static inline void set_header(struct ctx *t, u32 type, u64 sector)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };

	memcpy(t->f.ram + HEADER, &h, sizeof(h));
	t->f.ram[STATUS] = NO;
	t->n_desc = 0;
}

static inline void notify_queue(struct ctx *t)
{
	u16 *a = (u16 *)(void *)(t->f.ram + AVAIL);

	a[2 + a[1] % t->size] = 0;
	__atomic_store_n(&a[1], (u16)(a[1] + 1), __ATOMIC_RELEASE);
	virtio_notify(t->v, 0);
}

static inline void nap(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

/* Rings, waits, returns used.len; -1: the device wants a reset. */
static inline s64 submit_chain(struct ctx *t)
{
	u16 *used = (u16 *)(void *)(t->f.ram + USED);
	struct vring_used_elem *e = (struct vring_used_elem *)(void *)(t->f.ram + USED + 4);

	notify_queue(t);
	for (unsigned i = 0; i < 5000; i++) {
		if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) != t->served) {
			t->served++;
			return e[(t->served - 1) % t->size].len;
		}
		if (reg_read(t, VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return -1;
		nap();
	}
	fail_msg("no answer");
	return -1;
}

static inline u8 do_request(struct ctx *t, u32 type, u64 sector, u64 data, u32 len, s64 *used)
{
	s64 n;

	set_header(t, type, sector);
	add_descriptor(t, HEADER, 16, false);
	if (len)
		add_descriptor(t, data, len,
			       type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID);
	add_descriptor(t, STATUS, 1, true);
	n = submit_chain(t);
	if (used)
		*used = n;
	return t->f.ram[STATUS];
}

#endif
